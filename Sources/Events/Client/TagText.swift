/// Tags and help texts as they are written in a line.
enum TagText {
  /// `k:v,k:v`. In a value a backslash, a newline, a bar and a comma are escaped: a declared family
  /// shows the original value; other families show the escape itself, since StatsD has none.
  static func text(_ tags: [(String, String)]) -> String {
    var text = ""
    for (name, value) in tags {
      if !text.isEmpty { text += "," }
      text += self.name(name, isTag: true)
      text += ":"
      text += escaped(value, comma: true)
    }
    return text
  }

  /// A name that a line can contain: characters that would end it become underscores.
  static func name(_ text: String, isTag: Bool = false) -> String {
    guard text.utf8.contains(where: { isBreak($0, isTag) }) else { return text }
    return String(decoding: text.utf8.map { isBreak($0, isTag) ? 95 : $0 }, as: UTF8.self)
  }

  /// A valid name of a family: anything but letters, digits and `_` becomes an underscore, and
  /// several in a row become one.
  static func word(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      let isWord = byte | 0x20 &- 97 < 26 || byte &- 48 < 10
      if isWord { bytes.append(byte) } else if bytes.last != 95 { bytes.append(95) }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func isBreak(_ byte: UInt8, _ isTag: Bool) -> Bool {
    switch byte {
    case UInt8(ascii: ":"), UInt8(ascii: "|"), UInt8(ascii: "\n"): true
    case UInt8(ascii: ","), UInt8(ascii: "#"): isTag
    default: false
    }
  }

  /// Any text, in which `\\`, `\n`, `\p` and, for tags, `\c` stand for what a line cannot contain.
  static func escaped(_ text: String, comma: Bool) -> String {
    guard text.utf8.contains(where: { letter($0, comma) != nil }) else { return text }
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if let letter = letter(byte, comma) {
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(letter)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func letter(_ byte: UInt8, _ comma: Bool) -> UInt8? {
    switch byte {
    case UInt8(ascii: "\\"): UInt8(ascii: "\\")
    case UInt8(ascii: "\n"): UInt8(ascii: "n")
    case UInt8(ascii: "|"): UInt8(ascii: "p")
    case UInt8(ascii: ","): comma ? UInt8(ascii: "c") : nil
    default: nil
    }
  }
}
