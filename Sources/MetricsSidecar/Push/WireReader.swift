import SidecarPlatform

/// Fields of a protobuf message, one after the other.
/// https://protobuf.dev/programming-guides/encoding/
struct WireReader: ~Escapable {
  private let bytes: RawSpan
  private var at: Int
  private let end: Int

  struct Field {
    let number: Int
    /// Its start.
    let start: Int
    fileprivate let type: UInt64
    fileprivate let bits: UInt64
    fileprivate let range: Range<Int>

    func varint() throws(PushError) -> UInt64 {
      guard type == 0 else { throw WireReader.malformed }
      return bits
    }

    func double() throws(PushError) -> Double {
      guard type == 1 else { throw WireReader.malformed }
      return Double(bitPattern: bits)
    }

    /// Numbers one after the other, or a message or text.
    var isPacked: Bool { type == 2 }

    func bytes() throws(PushError) -> Range<Int> {
      guard type == 2 else { throw WireReader.malformed }
      return range
    }
  }

  static var malformed: PushError { PushError("the body is no delimited protobuf of MetricFamily") }

  @_lifetime(copy bytes)
  init(_ bytes: RawSpan, _ range: Range<Int>) {
    self.bytes = bytes
    at = range.lowerBound
    end = range.upperBound
  }

  var isAtEnd: Bool { at >= end }

  /// The start of the next field.
  var position: Int { at }

  mutating func next() throws(PushError) -> Field? {
    guard at < end else { return nil }
    let start = at
    let key = try varint()
    guard let number = Int(exactly: key >> 3), number > 0 else { throw Self.malformed }
    let type = key & 7
    var bits: UInt64 = 0
    var range = at..<at
    switch type {
    case 0: bits = try varint()
    case 1: bits = try fixed(8)
    case 2: range = try lengthPrefixed()
    case 3: try skipGroup()
    case 5: bits = try fixed(4)
    default: throw Self.malformed
    }
    return Field(number: number, start: start, type: type, bits: bits, range: range)
  }

  /// Skips the content of an obsolete group, up to its end.
  private mutating func skipGroup() throws(PushError) {
    var depth = 1
    while depth > 0 {
      switch try varint() & 7 {
      case 0: _ = try varint()
      case 1: _ = try fixed(8)
      case 2: _ = try lengthPrefixed()
      case 3: depth += 1
      case 4: depth -= 1
      case 5: _ = try fixed(4)
      default: throw Self.malformed
      }
    }
  }

  mutating func lengthPrefixed() throws(PushError) -> Range<Int> {
    let length = try varint()
    guard length <= UInt64(end - at) else { throw Self.malformed }
    let start = at
    at += Int(length)
    return start..<at
  }

  mutating func varint() throws(PushError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while at < end, shift < 64 {
      let byte = bytes.at(at)
      at += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw Self.malformed
  }

  mutating func fixed(_ count: Int) throws(PushError) -> UInt64 {
    guard end - at >= count else { throw Self.malformed }
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(bytes.at(at + index)) << UInt64(8 * index) }
    at += count
    return value
  }
}
