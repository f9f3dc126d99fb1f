/// The memory that all clients hold, over all sockets, within one limit: unfinished requests and
/// frames, answers and expositions that nobody has read yet.
///
/// What must stay true: what a client holds is charged as soon as it grows and released when it
/// shrinks or the client goes; the caller that charges calls `makeRoom` before it reads the next
/// client. Beyond the limit the client that has held the most for longest without progress is
/// closed. One thread.
public final class ClientMemory {
  /// In bytes.
  public let limit: Int
  /// What all clients hold now, in bytes.
  public private(set) var byteCount = 0
  /// A need that overrides the limit, such as two of the newest expositions, in bytes: without it
  /// an exposition larger than the limit could never be served.
  public var leastByteCount = 0
  private var holders: [any ClientMemoryHolder] = []

  /// Creates an account of at most `limit` bytes, none of them used.
  public init(limit: Int) { self.limit = limit }

  /// Adds `holder`: its clients may be closed from now on.
  public func join(_ holder: any ClientMemoryHolder) { holders.append(holder) }

  /// Forgets all holders. Call it at the end of a program: they and this object refer to each
  /// other.
  public func leave() { holders = [] }

  /// Records that clients hold `delta` bytes more, or fewer.
  @inline(__always)
  public func change(by delta: Int) { byteCount += delta }

  /// Whether a client has to be closed.
  @inline(__always)
  public var isExceeded: Bool { byteCount > max(limit, leastByteCount) }

  /// Closes clients until the rest is within the limit, or no client is left. Do not call it while
  /// a holder is working on a client that it would offer.
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

  /// The weight of `byteCount` bytes that a client has held since `since` without progress, in
  /// bytes times milliseconds; a client without progress for a second weighs a thousand times that,
  /// so that it goes before all whose bytes still move. Progress is 16 KiB in either direction, or
  /// a finished request or frame, so an occasional byte does not protect a client.
  public static func weight(byteCount: Int, since: UInt64, now: UInt64) -> UInt64 {
    let milliseconds = now > since ? (now - since) / 1_000_000 : 0
    let weight = UInt64(max(byteCount, 0)) * (min(milliseconds, 1 << 20) + 1)
    return milliseconds < 1000 ? weight : weight << 10
  }

  /// Bytes that count as progress: see `weight`.
  public static var progressByteCount: Int { 16 << 10 }
}

/// Something that has clients, such as a server.
public protocol ClientMemoryHolder: AnyObject {
  /// The greatest `ClientMemory.weight` among its clients that may be closed now; 0 if there are
  /// none.
  func heaviestWeight(now: UInt64) -> UInt64
  /// Closes that client, releases what it held, and counts it.
  func closeHeaviest(now: UInt64)
}
