/// Looking for a byte, eight a step.
///
/// The trick: in `x ^ pattern` the byte sought is zero; `(y - 0x01…) & ~y & 0x80…` has the top bit
/// of the first zero byte set and of none before it ("Hacker's Delight", 6-1).
package enum ByteScan {
  @inlinable @inline(__always)
  static func repeated(_ byte: UInt8) -> UInt64 { UInt64(byte) &* 0x0101_0101_0101_0101 }

  @inlinable @inline(__always)
  static func zeros(_ x: UInt64) -> UInt64 {
    (x &- 0x0101_0101_0101_0101) & ~x & 0x8080_8080_8080_8080
  }

  /// Sound if `index + 8` is at most the count of bytes, as all callers test.
  @inlinable @inline(__always)
  static func word(_ bytes: RawSpan, _ index: Int) -> UInt64 {
    unsafe UInt64(
      littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self))
  }

  /// Sound if `index` is below the count of bytes, as all callers test.
  @inlinable @inline(__always)
  static func byte(_ bytes: RawSpan, _ index: Int) -> UInt8 {
    unsafe bytes.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
  }

  /// The offset of the first `sought` from `start` up to `end`, or `end`, which is at most the
  /// count.
  @inlinable @inline(__always)
  package static func find(_ sought: UInt8, in bytes: RawSpan, from start: Int, to end: Int) -> Int
  {
    var index = start
    let pattern = repeated(sought)
    while index &+ 8 <= end {
      let found = zeros(word(bytes, index) ^ pattern)
      if found != 0 { return index &+ found.trailingZeroBitCount >> 3 }
      index &+= 8
    }
    while index < end, byte(bytes, index) != sought { index &+= 1 }
    return index
  }
}
