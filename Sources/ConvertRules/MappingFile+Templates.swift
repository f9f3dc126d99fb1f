import SidecarPlatform
import SidecarRules

/// Names and labels with references to what the stars or groups of a match stand for.
extension MappingFile {
  /// A name or label as a template of ours; `nil` where it has a `$` that means nothing here.
  func asTemplate(_ text: String, _ mapping: Mapping, _ json: JSON) -> String? {
    mapping.timing.isRegex ? renumbered(text, mapping) : globTemplate(text, json)
  }

  /// A glob's template. There, `$` takes all letters, digits, `_` and `$` behind it, so that `$1_$2` is
  /// one reference, which stands for nothing; `${1}_${2}` is two.
  private func globTemplate(_ text: String, _ json: JSON) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let start = index
      index += 1
      guard bytes[start] == UInt8(ascii: "$") else {
        result.append(bytes[start])
        continue
      }
      if index < bytes.count, bytes[index] == UInt8(ascii: "{") { index += 1 }
      let first = index
      while index < bytes.count,
        Names.isWordByte(bytes[index]) || bytes[index] == UInt8(ascii: "$")
      { index += 1 }
      guard index > first else {
        result += bytes[start..<index]
        continue
      }
      let word = String(decoding: bytes[first..<index], as: UTF8.self)
      if index < bytes.count, bytes[index] == UInt8(ascii: "}") { index += 1 }
      if let number = Int(word), (1...99).contains(number) {
        result += Array(joined("${", number.description, "}").utf8)
      } else {
        note(
          json,
          joined(
            "$", word,
            " stands for nothing, as there: a $ takes all letters, digits and _ behind it. Write ")
            + "${1}_${2} for two of them")
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// A template of a regex whose groups have become stars; `nil` where it names one that is not.
  private func renumbered(_ text: String, _ mapping: Mapping) -> String? {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      guard byte == UInt8(ascii: "$") else {
        result.append(byte)
        continue
      }
      if index < bytes.count, bytes[index] == byte {
        result += [byte, byte]
        index += 1
        continue
      }
      let isBraced = index < bytes.count && bytes[index] == UInt8(ascii: "{")
      if isBraced { index += 1 }
      var number = 0
      let start = index
      while index < bytes.count, bytes[index] &- 48 < 10, index < start + 2 {
        number = number * 10 + Int(bytes[index] &- 48)
        index += 1
      }
      // In a regex's template `$1_total` is a group of the name `1_total`.
      if isBraced {
        guard index < bytes.count, bytes[index] == UInt8(ascii: "}") else { return nil }
        index += 1
      } else if index < bytes.count, Names.isWordByte(bytes[index]) {
        return nil
      }
      guard number >= 1, number <= mapping.stars.count else { return nil }
      let star = mapping.stars[number - 1]
      result += Array("${".utf8)
      if star > 9 { result.append(48 + UInt8(star / 10)) }
      result += [48 + UInt8(star % 10), UInt8(ascii: "}")]
    }
    return String(decoding: result, as: UTF8.self)
  }
}
