/// Copying bytes. musl's `memcpy` costs twenty cycles before its first byte, which is more than
/// copying most names and labels takes.
public enum ByteCopy {
  /// Beyond it, the C library's copy is faster.
  @usableFromInline static let shortByteCount = 128

  /// Copies `count` bytes, which must not overlap.
  @inline(never)
  @_optimize(speed)
  public static func copy(
    _ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ count: Int
  ) {
    if count > shortByteCount {
      unsafe target.copyMemory(from: source, byteCount: count)
    } else {
      unsafe short(source, to: target, count)
    }
  }

  /// The same for few bytes.
  @inlinable @inline(__always)
  public static func short(
    _ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ count: Int
  ) {
    // Sound: each load and store lies within the `count` bytes; the last ones overlap those before.
    if count >= 8 {
      var at = 0
      while at &+ 8 <= count {
        unsafe target.storeBytes(
          of: source.loadUnaligned(fromByteOffset: at, as: UInt64.self), toByteOffset: at,
          as: UInt64.self)
        at &+= 8
      }
      unsafe target.storeBytes(
        of: source.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self),
        toByteOffset: count &- 8, as: UInt64.self)
    } else if count >= 4 {
      unsafe target.storeBytes(
        of: source.loadUnaligned(as: UInt32.self), as: UInt32.self)
      unsafe target.storeBytes(
        of: source.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self),
        toByteOffset: count &- 4, as: UInt32.self)
    } else {
      var at = 0
      while at < count {
        unsafe target.storeBytes(
          of: source.load(fromByteOffset: at, as: UInt8.self), toByteOffset: at, as: UInt8.self)
        at &+= 1
      }
    }
  }
}
