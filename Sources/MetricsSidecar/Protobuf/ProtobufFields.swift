import SidecarPlatform

/// Fields of protobuf messages. https://protobuf.dev/programming-guides/encoding/
enum ProtobufFields {
  /// Starts a message or text of unknown length: returns the position of its length.
  @_optimize(speed)
  static func begin(_ field: UInt8, _ page: inout ByteBuffer) -> Int {
    page.append(field << 3 | 2)
    // A field from 16 on and its type have two bytes.
    if field > 15 {
      page.replace(at: page.count - 1, with: field << 3 | 0x82)
      page.append(field >> 4)
    }
    page.append(UInt8(0))
    return page.count - 1
  }

  /// Ends it. A length over 127 needs more bytes than were reserved, so the following bytes move.
  @_optimize(speed)
  static func end(_ lengthAt: Int, _ page: inout ByteBuffer) {
    let length = page.count - lengthAt - 1
    if length < 0x80 { return page.replace(at: lengthAt, with: UInt8(length)) }
    var extra = 0
    var rest = length >> 7
    while rest > 0 {
      extra += 1
      rest >>= 7
    }
    page.insertZeros(extra, at: lengthAt + 1)
    rest = length
    for index in 0...extra {
      page.replace(at: lengthAt + index, with: UInt8(rest & 0x7f) | (index < extra ? 0x80 : 0))
      rest >>= 7
    }
  }

  static func text(_ field: UInt8, _ bytes: [UInt8], to page: inout ByteBuffer) {
    page.append(field << 3 | 2)
    varint(UInt64(bytes.count), to: &page)
    page.append(bytes)
  }

  @_optimize(speed)
  static func double(_ field: UInt8, _ value: Double, to page: inout ByteBuffer) {
    page.append(field << 3 | 1)
    page.append(value)
  }

  /// A `google.protobuf.Timestamp`; nothing if it is unknown.
  static func time(_ field: UInt8, _ milliseconds: UInt64, to page: inout ByteBuffer) {
    guard milliseconds > 1 else { return }
    let time = begin(field, &page)
    page.append(1 << 3)
    varint(milliseconds / 1000, to: &page)
    page.append(2 << 3)
    varint(milliseconds % 1000 * 1_000_000, to: &page)
    end(time, &page)
  }

  /// A count in `field`, or as a float in field 4.
  static func count(
    _ field: UInt8, _ count: Double, isFloat: Bool, to page: inout ByteBuffer
  ) {
    if isFloat { return double(4, count, to: &page) }
    page.append(field << 3)
    varint(whole(count), to: &page)
  }

  /// At most 2^63.
  static func whole(_ count: Double) -> UInt64 {
    UInt64(exactly: min(count, 0x1p63).rounded()) ?? 0
  }

  /// A `BucketSpan`.
  static func span(
    _ field: UInt8, offset: Int, length: Int, to page: inout ByteBuffer
  ) {
    let span = begin(field, &page)
    page.append(1 << 3)
    zigzag(Int64(offset), to: &page)
    page.append(2 << 3)
    varint(UInt64(length), to: &page)
    end(span, &page)
  }

  /// A `sint32` or `sint64`.
  static func zigzag(_ value: Int64, to page: inout ByteBuffer) {
    varint(UInt64(bitPattern: value << 1 ^ value >> 63), to: &page)
  }

  @_optimize(speed)
  static func varint(_ value: UInt64, to page: inout ByteBuffer) {
    var rest = value
    while rest >= 0x80 {
      page.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    page.append(UInt8(rest))
  }
}
