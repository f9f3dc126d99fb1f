package import SidecarPlatform

/// The App's client: counts exactly once, and never waits. Increments add up here by series, are
/// sent as one frame per turn, are kept until they are acknowledged, and are sent again to a
/// sidecar that comes back. Other programs use `SessionClient`, which needs no loop to call it.
///
/// One thread at a time may use it.
package final class EventClient {
  /// A series, registered once and then only counted.
  package struct Handle: Sendable {
    let index: Int
  }

  /// Unacknowledged bytes: beyond, increments stay sums until the sidecar catches up.
  package static var windowByteCount: Int { 256 << 10 }

  private var link: SessionSocket<PendingEvents>

  /// Draws a new session. Does not connect: the first `flush` does.
  /// - Throws: only if the kernel has no random bytes.
  package init(path: String) throws(Errno) {
    let (high, low) = try Process.randomIdentity()
    link = SessionSocket(
      path: path,
      session: EventSession(
        id: SessionID(high: high, low: low), windowByteCount: Self.windowByteCount,
        pending: PendingEvents()))
  }

  // MARK: Counting

  /// Registers a counter; `tags` are `name:value`, separated by commas.
  package func counter(_ name: String, tags: String = "") -> Handle {
    Handle(index: link.session.pending.register(name, tags, isTiming: false))
  }

  /// Registers a distribution of durations, sent in seconds under exactly this name.
  package func durations(_ name: String, tags: String = "") -> Handle {
    Handle(index: link.session.pending.register(name, tags, isTiming: true))
  }

  /// Adds `count`, without a system call; `flush` sends it.
  @inline(__always)
  package func add(_ counter: Handle, _ count: UInt64) {
    link.session.pending.add(counter.index, count)
  }

  /// Adds one duration, without a system call; `flush` sends it.
  @inline(__always)
  package func observe(_ durations: Handle, nanoseconds: UInt64) {
    link.session.pending.observe(durations.index, nanoseconds)
  }

  /// Whether everything counted so far has been acknowledged.
  package var isDrained: Bool { link.session.isDrained }

  // MARK: The loop's side

  /// Changes with each new connection, so that the owner of the loop knows to watch it.
  package var connectionNumber: Int { link.connectionNumber }
  /// Why the last try to connect failed; `nil` if it did not.
  package var attemptFailure: Errno? { link.attemptFailure }
  /// Events that waited before the last try to connect.
  package private(set) var waitedCount: UInt64 = 0

  /// The connection to watch for no events (hang-ups are always reported), or for `writable` while
  /// `isBlocked`. -1 without a connection.
  package var descriptor: Int32 { link.descriptor }

  /// Whether the kernel's buffer is full: the loop should report when the socket is writable.
  package var isBlocked: Bool { link.session.isBlocked }

  /// When to call `flush` although nothing new was counted; `UInt64.max` for never.
  package var nextDeadline: UInt64 { link.nextDeadline }

  /// Hands the counts to the kernel, in one write. Call it once per turn, before answers are sent.
  package func flush(now: UInt64) {
    if link.descriptor < 0, now >= link.session.nextAttempt {
      waitedCount = link.session.pending.eventCount
    }
    link.flush(now: now)
  }

  /// The loop has seen an event on `descriptor`.
  package func ready(_ interest: Poller.Interest, now: UInt64) { link.ready(interest, now: now) }

  /// Sends what is left and waits for its acknowledgement, at most until `deadline`: for a stop.
  package func drain(until deadline: UInt64) { link.drain(until: deadline) }
}
