/// The memory that clients hold, over all of them and every way in, within one limit: unfinished
/// requests and frames, answers and expositions that nobody has read yet.
///
/// What must stay true: what a client holds is charged as soon as it grows and given back when it
/// shrinks or the client goes; whoever charges calls `makeRoom` before the next client is read.
/// Beyond the limit the client that has held most for longest without progress is closed. One thread.
public final class ClientMemory {
  /// In bytes.
  public let limit: Int
  /// What all clients hold now, in bytes.
  public private(set) var byteCount = 0
  /// A need that outweighs the limit, such as two of the newest expositions, in bytes: without it an
  /// exposition larger than the limit could never be answered.
  public var leastByteCount = 0
  private var holders: [any ClientMemoryHolder] = []

  /// No memory yet, of at most `limit` bytes.
  public init(limit: Int) { self.limit = limit }

  /// Has `holder` take part: its clients may be closed from now on.
  public func join(_ holder: any ClientMemoryHolder) { holders.append(holder) }

  /// Forgets all holders. The end of a program: they and this hold one another.
  public func leave() { holders = [] }

  /// Takes note that clients hold `delta` bytes more, or fewer.
  @inline(__always)
  public func change(by delta: Int) { byteCount += delta }

  /// Whether somebody has to go.
  @inline(__always)
  public var isExceeded: Bool { byteCount > max(limit, leastByteCount) }

  /// Closes clients until the rest is within the limit, or nobody is left to close. Not while a
  /// holder is in the middle of a client that it would offer.
  public func makeRoom(now: UInt64) {
    while isExceeded {
      var heaviest: (any ClientMemoryHolder)?
      var most: UInt64 = 0
      for holder in holders {
        let weight = holder.heaviestWeight(now: now)
        if weight > most {
          most = weight
          heaviest = holder
        }
      }
      guard let heaviest else { return }
      heaviest.closeHeaviest(now: now)
    }
  }

  /// What `byteCount` bytes weigh that a client has held since `since` without progress, in bytes
  /// times milliseconds. Progress is 16 KiB in either direction, or a request or frame that is done
  /// with, so a byte now and then does not keep a client here.
  public static func weight(byteCount: Int, since: UInt64, now: UInt64) -> UInt64 {
    let milliseconds = now > since ? (now - since) / 1_000_000 : 0
    return UInt64(max(byteCount, 0)) * (min(milliseconds, 1 << 24) + 1)
  }

  /// Bytes that count as progress: see `weight`.
  public static var progressByteCount: Int { 16 << 10 }
}

/// Something that has clients, such as a server.
public protocol ClientMemoryHolder: AnyObject {
  /// The greatest `ClientMemory.weight` among its clients that may be closed now; 0 if there is none.
  func heaviestWeight(now: UInt64) -> UInt64
  /// Closes that client, takes what it held off the memory, and counts it.
  func closeHeaviest(now: UInt64)
}
