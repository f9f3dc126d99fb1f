/// Comparing borrowed bytes, eight a step.
public enum ByteCompare {
  /// Whether both have the same bytes.
  @inlinable @inline(__always)
  public static func equal(_ a: RawSpan, _ b: RawSpan) -> Bool {
    let count = a.byteCount
    guard count == b.byteCount else { return false }
    var index = 0
    // Sound: every load ends at or before `count`, the length of both.
    while index + 8 <= count {
      let x = unsafe a.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self)
      let y = unsafe b.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self)
      if x != y { return false }
      index += 8
    }
    // The rest, together with bytes already known to be equal, if any.
    if index < count, count >= 8 {
      let last = count - 8
      let x = unsafe a.unsafeLoadUnaligned(fromUncheckedByteOffset: last, as: UInt64.self)
      let y = unsafe b.unsafeLoadUnaligned(fromUncheckedByteOffset: last, as: UInt64.self)
      return x == y
    }
    while index < count {
      let x = unsafe a.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
      let y = unsafe b.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
      if x != y { return false }
      index += 1
    }
    return true
  }
}

extension RawSpan {
  /// The byte at `index`, with a bounds check.
  @inlinable @inline(__always)
  public func at(_ index: Int) -> UInt8 {
    unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
  }

  /// Whether these bytes are exactly `text`.
  @inlinable @inline(__always)
  public func isEqual(to text: StaticString) -> Bool {
    guard byteCount == text.utf8CodeUnitCount else { return false }
    for index in 0..<byteCount where unsafe at(index) != text.utf8Start[index] { return false }
    return true
  }

  /// Whether these bytes are `text`, which is lowercase, ignoring case.
  public func equalsIgnoringCase(_ text: StaticString) -> Bool {
    guard byteCount == text.utf8CodeUnitCount else { return false }
    for index in 0..<byteCount {
      let byte = at(index)
      let small = byte >= 65 && byte <= 90 ? byte | 0x20 : byte
      if unsafe small != text.utf8Start[index] { return false }
    }
    return true
  }
}
