import SidecarPlatform

/// Counts exactly once, and never waits: increments add up here by series, go out as one frame a
/// turn, are kept until they are acknowledged, and are sent again to a sidecar that comes back.
///
/// What must stay true: it never blocks; its memory is bounded by the number of series and the
/// window, not by the length of an outage; a frame keeps its number until the sidecar has it.
///
///     let events = try EventClient(path: "/run/metrics/events.sock")
///     let jobs = events.counter("jobs.done", tags: "queue:mail")
///     events.add(jobs, 1)
///     events.flush()
///
/// One thread at a time may use it.
public final class EventClient {
  /// A series that was registered once and is then only counted.
  public struct Handle: Sendable {
    let index: Int
  }

  /// Unacknowledged bytes: beyond, increments stay sums until the sidecar catches up.
  public static var windowByteCount: Int { 256 << 10 }
  /// Each frame costs the kernel some 800 bytes of its buffer however short it is. What is in there
  /// outlives this process, and by default that is 280 frames.
  private static var bufferByteCount: Int { 512 << 10 }
  /// How soon a full window is looked at again if nothing else happens.
  private static var lookAgainNanoseconds: UInt64 { 50_000_000 }

  private let path: String
  private var session: EventSession
  private var socket: Descriptor?
  private var received = ByteBuffer(capacity: 256)
  private var lastFlush: UInt64 = 0
  /// Changes with each new connection, so that the owner of the loop knows to watch it.
  public private(set) var connectionNumber = 0

  /// Draws a session of its own. Does not connect: the first `flush` does.
  /// - Throws: only if the kernel has no random bytes.
  public init(path: String) throws(Errno) {
    self.path = path
    let (high, low) = try Process.randomIdentity()
    session = EventSession(
      id: SessionID(high: high, low: low), windowByteCount: Self.windowByteCount)
  }

  // MARK: Counting

  /// Registers a counter; `tags` are `name:value` with commas between them.
  public func counter(_ name: String, tags: String = "") -> Handle {
    Handle(index: session.pending.register(name, tags, isTiming: false))
  }

  /// Registers a distribution of durations, sent in seconds.
  public func timing(_ name: String, tags: String = "") -> Handle {
    Handle(index: session.pending.register(name, tags, isTiming: true))
  }

  /// Counts `count` more, without a system call; `flush` sends.
  @inline(__always)
  public func add(_ counter: Handle, _ count: UInt64) { session.pending.add(counter.index, count) }

  /// Takes one duration in, without a system call; `flush` sends.
  @inline(__always)
  public func observe(_ timing: Handle, nanoseconds: UInt64) {
    session.pending.observe(timing.index, nanoseconds)
  }

  /// Whether everything counted so far has been acknowledged.
  public var isDrained: Bool { session.isDrained }

  // MARK: The loop's side

  /// The connection to watch with no interest (hang-ups are told without asking), or with `writable`
  /// while `isBlocked`. -1 without a connection.
  public var descriptor: Int32 { socket?.raw ?? -1 }

  /// Whether the kernel's buffer is full: the loop should tell when it can be written to.
  public var isBlocked: Bool { session.isBlocked }

  /// When `flush` should be called though nothing new was counted; `UInt64.max` for never.
  public var nextDeadline: UInt64 {
    if session.shouldConnect { return session.nextAttempt }
    // The window is full and the kernel has all of it: only an acknowledgement helps.
    let waits = socket != nil && !session.isBlocked && !session.pending.isEmpty
    return waits ? lastFlush + Self.lookAgainNanoseconds : .max
  }

  /// Hands what was counted to the kernel, in one write. Call it once a turn, before answers go out.
  public func flush(now: UInt64) {
    lastFlush = now
    if socket == nil {
      guard session.shouldConnect, now >= session.nextAttempt else { return }
      connect(now)
    }
    guard socket != nil, !session.isBlocked else { return }
    if session.wantsAcknowledgements { readAcknowledgements(now) }
    session.fill()
    send(now)
  }

  /// The loop has seen something on `descriptor`.
  public func ready(_ interest: Poller.Interest, now: UInt64) {
    if interest.contains(.writable) { session.setBlocked(false) }
    if interest.contains(.hangup) || interest.contains(.error) {
      readAcknowledgements(now)
      if socket != nil { disconnect(now) }
    }
    flush(now: now)
  }

  /// The same, for programs that keep no clock.
  public func flush() { flush(now: Clock.monotonicNanoseconds) }

  /// Sends what is left and waits, at most so long, until it is acknowledged: before a program ends.
  /// - Returns: whether everything counted has been acknowledged.
  @discardableResult
  public func drain(milliseconds: Int) -> Bool {
    drain(until: Clock.monotonicNanoseconds + UInt64(milliseconds) * 1_000_000)
    return isDrained
  }

  /// Sends what is left and waits for its acknowledgement, at most until `deadline`: for a stop.
  public func drain(until deadline: UInt64) {
    while !isDrained {
      let now = Clock.monotonicNanoseconds
      if now >= deadline { return }
      session.setBlocked(false)
      flush(now: now)
      readAcknowledgements(now)
      if !isDrained { Process.sleep(milliseconds: 1) }
    }
  }

  // MARK: The connection

  private func connect(_ now: UInt64) {
    do throws(Errno) {
      socket = try Socket.connectUnix(path: path, kind: .stream)
      Socket.growSendBuffer(descriptor, byteCount: Self.bufferByteCount)
      connectionNumber += 1
      session.connected()
    } catch {
      session.disconnected(now: now)
    }
  }

  private func disconnect(_ now: UInt64) {
    socket = nil
    session.disconnected(now: now)
  }

  /// The hello, if this is a new connection, and then all frames at once.
  private func send(_ now: UInt64) {
    while let raw = socket?.raw, session.unsent.byteCount > 0 {
      switch Socket.send(raw, session.unsent) {
      case .bytes(let count): session.sent(count)
      case .wouldBlock: return session.setBlocked(true)
      case .closed, .failed:
        // Acknowledgements that came before the end still hold.
        readAcknowledgements(now)
        if socket != nil { disconnect(now) }
      }
    }
  }

  private func readAcknowledgements(_ now: UInt64) {
    session.didRead()
    while let raw = socket?.raw {
      received.removeAll()
      switch Socket.receive(raw, into: &received, capacity: 4096) {
      case .bytes: if !session.received(received.bytes, now: now) { disconnect(now) }
      case .wouldBlock: return
      case .closed, .failed: disconnect(now)
      }
    }
  }
}
