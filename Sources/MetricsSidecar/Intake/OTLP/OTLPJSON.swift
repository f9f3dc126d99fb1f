import SidecarPlatform

/// Rewrites a request in OTLP's JSON as the protobuf of the same request, so that one reader
/// handles both: names in camelCase, 64-bit numbers as text or number, IDs in hexadecimal; unknown
/// members are skipped. https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
///
/// What must stay true: the output never exceeds `limit` bytes; it reads the text once, and no
/// deeper than `OTLPSchema.depthLimit`.
struct OTLPJSON: ~Escapable {
  enum Failure: Error { case malformed, tooDeep, tooLarge }

  private let text: RawSpan
  private var at = 0
  private let limit: Int
  private var depth = 0

  @_lifetime(copy text)
  private init(_ text: RawSpan, limit: Int) {
    self.text = text
    self.limit = limit
  }

  /// Appends the protobuf of the request in `text`.
  static func rewrite(
    _ text: RawSpan, limit: Int, into output: inout ByteBuffer
  ) throws(Failure) {
    var reader = OTLPJSON(text, limit: output.count + limit)
    try reader.object(.request, &output)
    if reader.peek() != 0 { throw .malformed }
  }

  // MARK: Structure

  /// The next byte that is not a space; 0 at the end.
  private mutating func peek() -> UInt8 {
    while at < text.byteCount {
      let byte = text.at(at)
      if byte != 32 && byte != 10 && byte != 13 && byte != 9 { return byte == 0 ? 1 : byte }
      at += 1
    }
    return 0
  }

  private mutating func take(_ byte: UInt8) throws(Failure) {
    guard peek() == byte else { throw .malformed }
    at += 1
  }

  private mutating func takes(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    at += 1
    return true
  }

  private mutating func object(
    _ message: OTLPMessage, _ output: inout ByteBuffer
  ) throws(Failure) {
    depth += 1
    if depth > OTLPSchema.depthLimit { throw .tooDeep }
    let fields = OTLPSchema.fields(of: message)
    try take(UInt8(ascii: "{"))
    if takes(UInt8(ascii: "}")) {
      depth -= 1
      return
    }
    repeat {
      let name = try rawText()
      try take(UInt8(ascii: ":"))
      if let field = fields.first(where: { text.extracting(name).isEqual(to: $0.name) }) {
        try member(field, &output)
      } else {
        try skip()
      }
      if output.count > limit { throw .tooLarge }
    } while takes(UInt8(ascii: ","))
    try take(UInt8(ascii: "}"))
    depth -= 1
  }

  /// A member's value: `null` counts as missing, a list as each of its values.
  private mutating func member(
    _ field: OTLPField, _ output: inout ByteBuffer
  ) throws(Failure) {
    if peek() == UInt8(ascii: "n") { return try skip() }
    guard takes(UInt8(ascii: "[")) else { return try value(field, &output) }
    if takes(UInt8(ascii: "]")) { return }
    repeat {
      try value(field, &output)
      if output.count > limit { throw .tooLarge }
    } while takes(UInt8(ascii: ","))
    try take(UInt8(ascii: "]"))
  }

  private mutating func value(
    _ field: OTLPField, _ output: inout ByteBuffer
  ) throws(Failure) {
    output.append(field.number << 3 | field.kind.wireType)
    switch field.kind {
    case .message, .text, .base64, .hex:
      // The length is known later: reserve a varint of four bytes for it.
      let start = output.count
      output.append("\0\0\0\0")
      switch field.kind {
      case .message: try object(field.message, &output)
      case .text: try string(&output)
      default: try binary(isHex: field.kind == .hex, &output)
      }
      let byteCount = output.count - start - 4
      if byteCount >= 1 << 28 { throw .tooLarge }
      for index in 0..<4 {
        let bits = UInt8(truncatingIfNeeded: byteCount >> (7 * index)) & 0x7f
        output.replace(at: start + index, with: index < 3 ? bits | 0x80 : bits)
      }
    case .flag: ProtobufFields.varint(try flag() ? 1 : 0, to: &output)
    case .unsigned, .signed: ProtobufFields.varint(UInt64(bitPattern: try integer()), to: &output)
    case .zigzag:
      let number = try integer()
      ProtobufFields.varint(UInt64(bitPattern: number << 1 ^ number >> 63), to: &output)
    case .fixed, .signedFixed: output.append64(UInt64(bitPattern: try integer()))
    case .double: output.append64(try double().bitPattern)
    }
  }

  // MARK: Values

  private mutating func flag() throws(Failure) -> Bool {
    let word = bareWord()
    if text.extracting(word).isEqual(to: "true") { return true }
    guard text.extracting(word).isEqual(to: "false") else { throw .malformed }
    return false
  }

  /// The bytes of a number or a word, up to the next mark.
  private mutating func bareWord() -> Range<Int> {
    _ = peek()
    let start = at
    while at < text.byteCount {
      let byte = text.at(at)
      let isPart =
        byte &- 48 <= 9 || byte | 0x20 &- 97 <= 25 || byte == UInt8(ascii: "-")
        || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
      if !isPart { break }
      at += 1
    }
    return start..<at
  }

  private mutating func numberText() throws(Failure) -> Range<Int> {
    peek() == UInt8(ascii: "\"") ? try rawText() : bareWord()
  }

  /// A whole number of 64 bits, with a sign or without; or a name of an enumeration, which only the
  /// aggregation's temporality has.
  private mutating func integer() throws(Failure) -> Int64 {
    let range = try numberText()
    guard !range.isEmpty else { throw .malformed }
    var index = range.lowerBound
    let isNegative = text.at(index) == UInt8(ascii: "-")
    if isNegative { index += 1 }
    var value: UInt64 = 0
    var isWhole = index < range.upperBound
    for place in index..<range.upperBound {
      let digit = UInt64(text.at(place) &- 48)
      let (high, low) = value.multipliedFullWidth(by: 10)
      let (sum, isOver) = low.addingReportingOverflow(digit)
      if digit > 9 || high != 0 || isOver {
        isWhole = false
        break
      }
      value = sum
    }
    if isWhole {
      if isNegative {
        guard value <= 1 << 63 else { throw .malformed }
        return Int64(bitPattern: 0 &- value)
      }
      return Int64(bitPattern: value)
    }
    let word = text.extracting(range)
    if word.isEqual(to: "AGGREGATION_TEMPORALITY_DELTA") { return 1 }
    if word.isEqual(to: "AGGREGATION_TEMPORALITY_CUMULATIVE") { return 2 }
    let number = Decimal.parse(word)
    guard number.magnitude < 0x1p53, number == number.rounded(.towardZero) else {
      throw .malformed
    }
    return Int64(number)
  }

  private mutating func double() throws(Failure) -> Double {
    let range = try numberText()
    let number = Decimal.parse(text.extracting(range))
    if number.isNaN, !text.extracting(range).isEqual(to: "NaN") { throw .malformed }
    return number
  }

  /// A string's raw bytes, after its first quote.
  private mutating func rawText() throws(Failure) -> Range<Int> {
    try take(UInt8(ascii: "\""))
    let start = at
    while at < text.byteCount {
      let byte = text.at(at)
      if byte == UInt8(ascii: "\"") {
        at += 1
        return start..<at - 1
      }
      if byte < 32 { throw .malformed }
      at += byte == UInt8(ascii: "\\") ? 2 : 1
    }
    throw .malformed
  }

  private mutating func string(_ output: inout ByteBuffer) throws(Failure) {
    let range = try rawText()
    var index = range.lowerBound
    while index < range.upperBound {
      let byte = text.at(index)
      index += 1
      if byte != UInt8(ascii: "\\") {
        output.append(byte)
        continue
      }
      let escape = text.at(index)
      index += 1
      switch escape {
      case UInt8(ascii: "n"): output.append(UInt8(10))
      case UInt8(ascii: "t"): output.append(UInt8(9))
      case UInt8(ascii: "r"): output.append(UInt8(13))
      case UInt8(ascii: "b"): output.append(UInt8(8))
      case UInt8(ascii: "f"): output.append(UInt8(12))
      case UInt8(ascii: "u"): try scalar(&index, range.upperBound, &output)
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(escape)
      default: throw .malformed
      }
      if output.count > limit { throw .tooLarge }
    }
  }

  private func scalar(
    _ index: inout Int, _ end: Int, _ output: inout ByteBuffer
  ) throws(Failure) {
    var code = try unit(&index, end)
    if code >> 10 == 0x36, end - index >= 6, text.at(index) == UInt8(ascii: "\\"),
      text.at(index + 1) == UInt8(ascii: "u")
    {
      index += 2
      let low = try unit(&index, end)
      guard low >> 10 == 0x37 else { throw .malformed }
      code = 0x10000 + (code & 0x3ff) << 10 + low & 0x3ff
    }
    if code >> 11 == 0x1b { throw .malformed }
    if code < 0x80 { return output.append(UInt8(code)) }
    let count = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3
    let head: UInt32 = count == 1 ? 0xc0 : count == 2 ? 0xe0 : 0xf0
    output.append(UInt8(head | code >> UInt32(6 * count)))
    for place in stride(from: count - 1, through: 0, by: -1) {
      output.append(UInt8(0x80 | code >> UInt32(6 * place) & 0x3f))
    }
  }

  private func unit(_ index: inout Int, _ end: Int) throws(Failure) -> UInt32 {
    guard end - index >= 4 else { throw .malformed }
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = text.at(index).hexDigit else { throw .malformed }
      unit = unit << 4 | UInt32(digit)
      index += 1
    }
    return unit
  }

  /// Bytes in hexadecimal, or in base64 of either alphabet.
  private mutating func binary(isHex: Bool, _ output: inout ByteBuffer) throws(Failure) {
    let range = try rawText()
    var bits: UInt32 = 0
    var count: UInt32 = 0
    for index in range {
      let byte = text.at(index)
      if isHex {
        guard let digit = byte.hexDigit else { throw .malformed }
        bits = bits << 4 | UInt32(digit)
        count += 4
      } else {
        if byte == UInt8(ascii: "=") { break }
        guard let digit = Self.base64(byte) else { throw .malformed }
        bits = bits << 6 | digit
        count += 6
      }
      if count >= 8 {
        count -= 8
        output.append(UInt8(truncatingIfNeeded: bits >> count))
      }
    }
    if isHex, count != 0 { throw .malformed }
  }

  private static func base64(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 65...90: UInt32(byte) - 65
    case 97...122: UInt32(byte) - 71
    case 48...57: UInt32(byte) + 4
    case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
    case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
    default: nil
    }
  }

  /// Skips a value of any kind.
  private mutating func skip() throws(Failure) {
    let byte = peek()
    if byte == UInt8(ascii: "\"") {
      _ = try rawText()
    } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
      depth += 1
      if depth > OTLPSchema.depthLimit { throw .tooDeep }
      at += 1
      let end = byte + 2
      if !takes(end) {
        repeat {
          if byte == UInt8(ascii: "{") {
            _ = try rawText()
            try take(UInt8(ascii: ":"))
          }
          try skip()
        } while takes(UInt8(ascii: ","))
        try take(end)
      }
      depth -= 1
    } else {
      let word = text.extracting(bareWord())
      let isWord = word.isEqual(to: "null") || word.isEqual(to: "true") || word.isEqual(to: "false")
      if !isWord, Decimal.parse(word).isNaN { throw .malformed }
    }
  }
}
