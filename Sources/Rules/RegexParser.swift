/// Reads an expression. Sets of bytes are in `RegexParser+Sets`.
struct RegexParser {
  typealias Mistake = RegularExpression.Mistake

  struct Flags {
    var ignoresCase = false
    /// `^` and `$` match at the ends of each line.
    var isMultiline = false
    /// `.` matches a newline.
    var dotTakesAll = false
    var isLazy = false
  }

  /// The depth of nested groups.
  static let depthLimit = 100
  static let lengthLimit = 65_536

  let text: [UInt8]
  var index = 0
  var flags = Flags()
  /// Four words for each.
  var sets: [UInt64] = []
  private(set) var groupCount = 0
  /// The names of groups, with their numbers from 1.
  private(set) var names: [(name: [UInt8], number: Int)] = []
  private var depth = 0
  /// The end of the characters between `\Q` and `\E`.
  var quoteEnd = -1

  init(_ text: [UInt8]) { self.text = text }

  mutating func expression() throws(Mistake) -> RegexNode {
    if text.count > Self.lengthLimit { throw mistake("it is longer than 65,536 bytes") }
    let node = try choices()
    if index < text.count { throw mistake("a ) without its (") }
    return node
  }

  func mistake(_ message: String) -> Mistake { Mistake(offset: index, message: message) }

  var byte: UInt8? { index < text.count ? text[index] : nil }

  mutating func take(_ expected: Unicode.Scalar) -> Bool {
    guard byte == UInt8(ascii: expected) else { return false }
    index += 1
    return true
  }

  private mutating func choices() throws(Mistake) -> RegexNode {
    var choices = [try sequence()]
    while take("|") { choices.append(try sequence()) }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  private mutating func sequence() throws(Mistake) -> RegexNode {
    var parts: [RegexNode] = []
    while let byte,
      index < quoteEnd || byte != UInt8(ascii: "|") && byte != UInt8(ascii: ")")
    {
      guard let atom = try atom() else { continue }
      parts.append(try repeated(atom))
    }
    return parts.count == 1 ? parts[0] : parts.isEmpty ? .empty : .sequence(parts)
  }

  /// `nil` for a group that only sets flags.
  private mutating func atom() throws(Mistake) -> RegexNode? {
    let first = text[index]
    if index < quoteEnd { return character(first) }
    switch first {
    case UInt8(ascii: "("): return try group()
    case UInt8(ascii: "["): return .set(try bracketed())
    case UInt8(ascii: "\\"): return try escaped()
    case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"):
      throw mistake("nothing that it could repeat stands before it")
    case UInt8(ascii: "{"):
      if try bounds() != nil { throw mistake("nothing that it could repeat stands before it") }
    case UInt8(ascii: "."):
      index += 1
      var set = ByteSet()
      if !flags.dotTakesAll { set.insert(10, 10) }
      return .set(add(set, isNegated: true))
    case UInt8(ascii: "^"):
      index += 1
      return .assertion(flags.isMultiline ? .beginLine : .beginText)
    case UInt8(ascii: "$"):
      index += 1
      return .assertion(flags.isMultiline ? .endLine : .endText)
    default: break
    }
    return character(first)
  }

  /// A literal character; a multibyte one repeats as a whole.
  private mutating func character(_ first: UInt8) -> RegexNode {
    let start = index
    index += 1
    if first >= 0xc0 { while let byte, byte & 0xc0 == 0x80 { index += 1 } }
    let node = literal(text[start..<index])
    endQuote()
    return node
  }

  mutating func endQuote() { if index == quoteEnd { index = min(text.count, index + 2) } }

  func isLetter(_ byte: UInt8) -> Bool { byte & 0xdf &- 65 < 26 }

  mutating func literal(_ bytes: ArraySlice<UInt8>) -> RegexNode {
    var parts: [RegexNode] = []
    for byte in bytes {
      if flags.ignoresCase, isLetter(byte) {
        var set = ByteSet()
        set.insert(byte & 0xdf, byte & 0xdf)
        set.insert(byte | 0x20, byte | 0x20)
        parts.append(.set(add(set)))
      } else {
        parts.append(.byte(byte))
      }
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  // MARK: Repetitions

  private mutating func repeated(_ atom: RegexNode) throws(Mistake) -> RegexNode {
    guard index >= quoteEnd, let (least, most) = try repetition() else { return atom }
    let isLazy = take("?") != flags.isLazy
    let start = index
    if try repetition() != nil {
      index = start
      throw mistake("a repetition of a repetition: put ( ) around the first")
    }
    return .repetition(atom, least: least, most: most, isLazy: isLazy)
  }

  private mutating func repetition() throws(Mistake) -> (least: Int, most: Int)? {
    if take("*") { return (0, -1) }
    if take("+") { return (1, -1) }
    if take("?") { return (0, 1) }
    return try bounds()
  }

  /// `{2}`, `{2,}` or `{2,5}`; any other brace is a character.
  private mutating func bounds() throws(Mistake) -> (least: Int, most: Int)? {
    let start = index
    guard take("{"), let least = number() else {
      index = start
      return nil
    }
    var most = least
    if take(",") { most = number() ?? -1 }
    guard take("}") else {
      index = start
      return nil
    }
    guard least <= 1000, most <= 1000, most < 0 || least <= most else {
      index = start
      throw mistake("a repetition goes from a smaller to a larger number, up to 1000")
    }
    return (least, most)
  }

  private mutating func number() -> Int? {
    let start = index
    var value = 0
    while let byte, byte &- 48 < 10, index < start + 8 {
      value = value * 10 + Int(byte - 48)
      index += 1
    }
    return index == start || index > start + 1 && text[start] == 48 ? nil : value
  }

  // MARK: Groups

  private mutating func group() throws(Mistake) -> RegexNode? {
    let start = index
    index += 1
    depth += 1
    defer { depth -= 1 }
    if depth > Self.depthLimit { throw mistake("groups are nested more than 100 deep") }
    let outer = flags
    var number: Int?
    if take("?") {
      if take("P"), byte != UInt8(ascii: "<") { throw mistake("(?P takes <name> here") }
      if take("<") {
        number = groupCount
        try name()
      } else if try !setFlags() {
        return nil
      }
    } else {
      number = groupCount
    }
    if number != nil { groupCount += 1 }
    if groupCount > 99 { throw mistake("more than 99 groups") }
    let inner = try choices()
    guard take(")") else {
      index = start
      throw mistake("a ( without its )")
    }
    flags = outer
    return number.map { .group(inner, $0) } ?? inner
  }

  private mutating func name() throws(Mistake) {
    let start = index
    while let byte, Names.isWordByte(byte) { index += 1 }
    let name = Array(text[start..<index])
    guard !name.isEmpty, take(">"), !names.contains(where: { $0.name == name }) else {
      throw mistake("a group's name has letters, digits and _, and is there once")
    }
    names.append((name, groupCount + 1))
  }

  /// The flags of `(?i)`, which apply to the rest of the enclosing group, or of `(?i:…)`, which
  /// begins a group: then it returns `true`.
  private mutating func setFlags() throws(Mistake) -> Bool {
    var isOn = true
    var count = 0
    while let byte {
      index += 1
      count += 1
      switch byte {
      case UInt8(ascii: "i"): flags.ignoresCase = isOn
      case UInt8(ascii: "m"): flags.isMultiline = isOn
      case UInt8(ascii: "s"): flags.dotTakesAll = isOn
      case UInt8(ascii: "U"): flags.isLazy = isOn
      case UInt8(ascii: "-") where isOn:
        isOn = false
        count = 0
      case UInt8(ascii: ":") where isOn || count > 1: return true
      case UInt8(ascii: ")") where isOn || count > 1: return false
      default:
        index -= 1
        throw mistake("(? takes :, P<name> or the flags imsU here")
      }
    }
    throw mistake("a ( without its )")
  }
}
