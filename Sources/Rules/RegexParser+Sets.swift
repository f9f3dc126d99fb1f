import SidecarPlatform

/// A set of the 256 bytes.
struct ByteSet {
  private(set) var words: [UInt64] = [0, 0, 0, 0]

  mutating func insert(_ first: UInt8, _ last: UInt8) {
    for byte in first...last { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
  }

  func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }

  mutating func formUnion(_ other: ByteSet) {
    for index in 0..<4 { words[index] |= other.words[index] }
  }

  mutating func invert() { for index in 0..<4 { words[index] = ~words[index] } }

  /// `ranges` has pairs of bytes.
  init(_ ranges: StaticString = "") {
    let bytes = unsafe UnsafeBufferPointer(
      start: ranges.utf8Start, count: ranges.utf8CodeUnitCount)
    var index = 0
    while index + 1 < bytes.count {
      unsafe insert(bytes[index], bytes[index + 1])
      index += 2
    }
  }
}

/// Sets of bytes, and characters after a backslash.
extension RegexParser {
  mutating func add(_ set: ByteSet, isNegated: Bool = false) -> Int {
    var set = set
    if isNegated { set.invert() }
    sets += set.words
    return sets.count / 4 - 1
  }

  /// Adds letters in the other case if case is ignored.
  private func folded(_ set: ByteSet) -> ByteSet {
    guard flags.ignoresCase else { return set }
    var result = set
    for byte in UInt8(65)...90 {
      if set.contains(byte) { result.insert(byte | 32, byte | 32) }
      if set.contains(byte | 32) { result.insert(byte, byte) }
    }
    return result
  }

  // MARK: Classes

  /// `[…]`: the number of its set.
  mutating func bracketed() throws(Mistake) -> Int {
    let start = index
    index += 1
    let isNegated = take("^")
    var set = ByteSet()
    var isFirst = true
    while isFirst || byte != UInt8(ascii: "]") {
      guard let byte else {
        index = start
        throw mistake("a [ without its ]")
      }
      isFirst = false
      if byte == UInt8(ascii: "["), let named = try namedClass() {
        set.formUnion(named)
      } else if byte == UInt8(ascii: "\\"), index + 1 < text.count,
        let known = Self.letterClass(text[index + 1])
      {
        index += 2
        set.formUnion(known)
      } else {
        try range(into: &set)
      }
    }
    index += 1
    return add(set, isNegated: isNegated)
  }

  /// `a` or `a-z`.
  private mutating func range(into set: inout ByteSet) throws(Mistake) {
    let start = index
    let first = try member()
    var last = first
    if byte == UInt8(ascii: "-"), index + 1 < text.count, text[index + 1] != UInt8(ascii: "]") {
      index += 1
      last = try member()
    }
    guard first <= last else {
      index = start
      throw mistake("a range goes from a lower to a higher character")
    }
    var part = ByteSet()
    part.insert(first, last)
    set.formUnion(folded(part))
  }

  private mutating func member() throws(Mistake) -> UInt8 {
    guard let byte else { throw mistake("a [ without its ]") }
    var scalar = UInt32(byte)
    if byte == UInt8(ascii: "\\") { scalar = try character() } else { index += 1 }
    guard scalar < 128 else {
      throw mistake("a class has ASCII characters alone: write others as (é|è)")
    }
    return UInt8(scalar)
  }

  /// `[:alpha:]` within a class; `nil` if the bracket is a character.
  private mutating func namedClass() throws(Mistake) -> ByteSet? {
    guard index + 1 < text.count, text[index + 1] == UInt8(ascii: ":") else { return nil }
    var end = index + 2
    while end < text.count, text[end] != UInt8(ascii: ":") { end += 1 }
    guard end + 1 < text.count, text[end + 1] == UInt8(ascii: "]") else { return nil }
    var name = text[(index + 2)..<end]
    let isNegated = name.first == UInt8(ascii: "^")
    if isNegated { name = name.dropFirst() }
    for (known, ranges) in Self.namedClasses where name.elementsEqual(known.utf8) {
      index = end + 2
      var set = folded(ByteSet(ranges))
      if isNegated { set.invert() }
      return set
    }
    throw mistake("there is no such class")
  }

  private static var namedClasses: [(String, StaticString)] {
    [
      ("alnum", "09AZaz"), ("alpha", "AZaz"), ("ascii", "\0\u{7f}"), ("blank", "\t\t  "),
      ("cntrl", "\0\u{1f}\u{7f}\u{7f}"), ("digit", "09"), ("graph", "!~"), ("lower", "az"),
      ("print", " ~"), ("punct", "!/:@[`{~"), ("space", "\t\r  "), ("upper", "AZ"),
      ("word", "09AZaz__"), ("xdigit", "09AFaf"),
    ]
  }

  /// `\d`, `\s` and `\w`, and their complements in capitals.
  private static func letterClass(_ letter: UInt8) -> ByteSet? {
    var set: ByteSet
    switch letter | 0x20 {
    case UInt8(ascii: "d"): set = ByteSet("09")
    case UInt8(ascii: "s"): set = ByteSet("\t\n\u{c}\r  ")
    case UInt8(ascii: "w"): set = ByteSet("09AZaz__")
    default: return nil
    }
    if letter & 0x20 == 0 { set.invert() }
    return set
  }

  // MARK: Backslashes

  /// The escape outside a class; `nil` for `\Q`.
  mutating func escaped() throws(Mistake) -> RegexNode? {
    guard index + 1 < text.count else { throw mistake("a \\ with nothing behind it") }
    let letter = text[index + 1]
    if let set = Self.letterClass(letter) {
      index += 2
      return .set(add(set))
    }
    var assertion: RegularExpression.Step.Operation
    switch letter {
    case UInt8(ascii: "A"): assertion = .beginText
    case UInt8(ascii: "z"): assertion = .endText
    case UInt8(ascii: "b"): assertion = .wordBoundary
    case UInt8(ascii: "B"): assertion = .noWordBoundary
    case UInt8(ascii: "Q"):
      index += 2
      quote()
      return nil
    default:
      let scalar = try character()
      guard let character = Unicode.Scalar(scalar) else { throw mistake("no character") }
      return literal(Array(String(Character(character)).utf8)[...])
    }
    index += 2
    return .assertion(assertion)
  }

  /// Finds the end of `\Q…\E`, or of the text: up to there every character is literal.
  private mutating func quote() {
    quoteEnd = index
    while quoteEnd < text.count,
      text[quoteEnd] != UInt8(ascii: "\\") || quoteEnd + 1 == text.count
        || text[quoteEnd + 1] != UInt8(ascii: "E")
    {
      quoteEnd += 1
    }
    endQuote()
  }

  /// A character after a backslash, inside a class or not.
  mutating func character() throws(Mistake) -> UInt32 {
    let start = index
    index += 1
    guard let letter = byte else { throw mistake("a \\ with nothing behind it") }
    index += 1
    switch letter {
    case UInt8(ascii: "a"): return 7
    case UInt8(ascii: "f"): return 12
    case UInt8(ascii: "n"): return 10
    case UInt8(ascii: "r"): return 13
    case UInt8(ascii: "t"): return 9
    case UInt8(ascii: "v"): return 11
    case UInt8(ascii: "x"): return try hexadecimal()
    case UInt8(ascii: "0"): return octal(0)
    case UInt8(ascii: "1")...UInt8(ascii: "7"):
      // A single digit would be a reference to a group.
      if let byte, byte & 0xf8 == 48 { return octal(UInt32(letter - 48)) }
    default:
      if letter < 128, !isLetter(letter), letter &- 48 >= 10 { return UInt32(letter) }
    }
    index = start
    throw mistake("a \\ that RE2 over bytes does not have: no references, \\p or \\C")
  }

  private mutating func octal(_ first: UInt32) -> UInt32 {
    var value = first
    for _ in 0..<2 {
      guard let byte, byte & 0xf8 == 48 else { break }
      value = value * 8 + UInt32(byte - 48)
      index += 1
    }
    return value
  }

  /// `\x7f` or `\x{e9}`.
  private mutating func hexadecimal() throws(Mistake) -> UInt32 {
    let isBraced = take("{")
    var value: UInt32 = 0
    var count = 0
    while let digit = byte?.hexDigit, isBraced || count < 2, value < 0x11_0000 {
      value = value << 4 | UInt32(digit)
      index += 1
      count += 1
    }
    guard isBraced ? count > 0 && take("}") : count == 2, value < 0x11_0000 else {
      throw mistake("\\x takes two digits, or more in { }")
    }
    return value
  }
}
