/// Checksums for files, and hashes of texts that files store: multiply and fold, eight bytes a
/// step, the same on every platform and in every version. Not cryptographic, and not for tables
/// with untrusted keys: use `HashKey` for those.
public enum Digest {
  @usableFromInline static var a: UInt64 { 0x9e37_79b9_7f4a_7c15 }
  @usableFromInline static var b: UInt64 { 0xd6e8_feb8_6659_fd93 }

  /// Folds one more word into a hash.
  @inlinable @inline(__always)
  public static func mix(_ x: UInt64, _ y: UInt64) -> UInt64 {
    var h = (x ^ y) &* b
    h ^= h >> 32
    return h &* a
  }

  /// The hash of `bytes`; equal bytes and seeds have equal hashes on every platform.
  @inlinable
  public static func hash(_ bytes: RawSpan, seed: UInt64 = 0) -> UInt64 {
    let count = bytes.byteCount
    var h = seed ^ (UInt64(truncatingIfNeeded: count) &* a)
    var index = 0
    // Sound: every load ends at or before `count`.
    while index + 8 <= count {
      let word = unsafe bytes.unsafeLoadUnaligned(
        fromUncheckedByteOffset: index, as: UInt64.self)
      h = mix(h, UInt64(littleEndian: word))
      index += 8
    }
    if index < count, count >= 8 {
      // The last bytes, by a word that overlaps the one before, shifted to where they belong.
      let word = unsafe bytes.unsafeLoadUnaligned(
        fromUncheckedByteOffset: count - 8, as: UInt64.self)
      h = mix(h, UInt64(littleEndian: word) >> UInt64(8 * (8 - (count - index))))
    } else if index < count {
      var tail: UInt64 = 0
      var shift: UInt64 = 0
      while index < count {
        let byte = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
        tail |= UInt64(byte) << shift
        shift += 8
        index += 1
      }
      h = mix(h, tail)
    }
    return h ^ (h >> 29)
  }

  /// 32 bits of the hash, for checksums.
  public static func checksum(_ bytes: RawSpan) -> UInt32 {
    UInt32(truncatingIfNeeded: hash(bytes, seed: 0x6d73_6964_6563_6172) >> 16)
  }
}
