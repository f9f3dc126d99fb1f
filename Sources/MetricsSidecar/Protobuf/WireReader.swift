import SidecarPlatform

/// A `WireCursor` that throws, for pushes.
struct WireReader: ~Escapable {
  private var cursor: WireCursor

  struct Field {
    let number: Int
    /// Its start.
    let start: Int
    fileprivate let type: UInt8
    fileprivate let bits: UInt64
    fileprivate let range: Range<Int>

    func varint() throws(PushError) -> UInt64 {
      guard type == WireCursor.varint else { throw WireReader.malformed }
      return bits
    }

    func double() throws(PushError) -> Double {
      guard type == WireCursor.fixed else { throw WireReader.malformed }
      return Double(bitPattern: bits)
    }

    /// Numbers one after the other, or a message or text.
    var isPacked: Bool { type == WireCursor.bytes }

    func bytes() throws(PushError) -> Range<Int> {
      guard type == WireCursor.bytes else { throw WireReader.malformed }
      return range
    }
  }

  static var malformed: PushError { PushError("the body is no delimited protobuf of MetricFamily") }

  @_lifetime(copy bytes)
  init(_ bytes: RawSpan, _ range: Range<Int>) {
    // Sound: this value does not outlive the bytes.
    cursor = unsafe bytes.withUnsafeBytes { unsafe WireCursor($0) }.over(range)
  }

  var isAtEnd: Bool { cursor.at >= cursor.end }

  /// The start of the next field.
  var position: Int { cursor.at }

  mutating func next() throws(PushError) -> Field? {
    guard cursor.next() else {
      try check()
      return nil
    }
    return Field(
      number: cursor.number, start: cursor.fieldStart, type: cursor.type, bits: cursor.bits,
      range: cursor.content)
  }

  mutating func lengthPrefixed() throws(PushError) -> Range<Int> {
    let range = cursor.readLengthPrefixed()
    try check()
    return range
  }

  mutating func varint() throws(PushError) -> UInt64 {
    let value = cursor.readVarint()
    try check()
    return value
  }

  mutating func fixed() throws(PushError) -> UInt64 {
    let value = cursor.readFixed()
    try check()
    return value
  }

  private func check() throws(PushError) {
    if cursor.isMalformed { throw Self.malformed }
  }
}
