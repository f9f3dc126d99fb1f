/// The secret of this process's hash tables: their keys come from untrusted input, which must not
/// be able to choose colliding keys.
///
/// Each word is mixed in by one multiplication whose 128 bits are folded to 64:
///
///     state = fold((state ^ word) · factor)          fold(x) = upper half ^ lower half
///
/// What must stay true: both `start` and `factor` are secret. A secret start alone does not help: a
/// product cut to 64 bits maps a flipped top bit to a flipped top bit, whatever the start, and a
/// second chosen bit undoes it. Folded, a difference of two words becomes one that depends on all
/// of the secret factor, so no pair of keys collides under more than a vanishing part of all
/// secrets.
///
/// Only within one process: hashes in files come from `Digest`.
public struct HashKey: Sendable {
  /// What a hash begins with.
  public let start: UInt64
  /// What each word is multiplied with; odd.
  public let factor: UInt64

  /// For repeatable tests; programs use `process`.
  public init(start: UInt64, factor: UInt64) {
    self.start = start
    self.factor = factor | 1
  }

  /// Drawn at first use. If the kernel has no random bytes, the clock has to do.
  public static let process: HashKey = {
    do throws(Errno) {
      let (start, factor) = try Process.randomIdentity()
      return HashKey(start: start, factor: factor)
    } catch {
      let time = Clock.unixNanoseconds
      return HashKey(start: Digest.mix(time, 1), factor: Digest.mix(time, 2))
    }
  }()

  /// Mixes in one more word.
  @inlinable @inline(__always)
  public func fold(_ state: UInt64, _ word: UInt64) -> UInt64 {
    let product = (state ^ word).multipliedFullWidth(by: factor)
    return product.high ^ product.low
  }

  /// The hash of one number.
  @inlinable @inline(__always)
  public func hash(_ number: UInt64) -> UInt64 { fold(start, number) }

  /// The hash of `bytes`. The last word is never full: the byte above its last one holds their
  /// number, so that a key with another zero at the end is a different key.
  @inlinable
  public func hash(_ bytes: RawSpan) -> UInt64 {
    let count = bytes.byteCount
    var state = start
    var index = 0
    // Sound: every load ends at or before `count`.
    while index + 8 <= count {
      let word = unsafe bytes.unsafeLoadUnaligned(
        fromUncheckedByteOffset: index, as: UInt64.self)
      state = fold(state, UInt64(littleEndian: word))
      index += 8
    }
    var last = UInt64(truncatingIfNeeded: count - index)
    var at = count
    while at > index {
      at -= 1
      last =
        last << 8
        | UInt64(
          unsafe bytes.unsafeLoad(fromUncheckedByteOffset: at, as: UInt8.self))
    }
    return fold(state, last)
  }
}
