import Platform

/// Counts exactly once, and never waits: increments add up here by series, go out as one frame a
/// turn, are kept until they are acknowledged, and are sent again to a sidecar that comes back.
///
/// What must stay true: it never blocks; its memory is bounded by the number of series and the
/// window, not by the length of an outage; a frame keeps its number until the sidecar has it.
///
///     let events = try EventClient(path: "/run/metrics/events.sock")
///     let jobs = events.counter("jobs.done", tags: "queue:mail")
///     events.add(jobs, 1)
///     events.flush(now: Clock.monotonicNanoseconds)
public final class EventClient {
  /// A series that was registered once and is then only counted.
  public struct Handle: Sendable {
    let index: Int
  }

  /// Unacknowledged bytes: beyond, increments stay sums until the sidecar catches up.
  public static var windowByteCount: Int { 256 << 10 }
  private static var frameByteCount: Int { 16 << 10 }
  private static var acknowledgeEvery: Int { 32 }

  private let path: String
  private var pending = PendingEvents()
  private var window = FrameWindow()
  private var session: SessionID
  private var socket: Descriptor?
  /// Bytes of the hello that the kernel has not taken yet.
  private var hello = ByteBuffer(capacity: 64)
  private var incoming = ByteBuffer(capacity: 256)
  private var framesSinceRead = 0
  private var awaitsHello = false
  private var highestAcknowledged: UInt64 = 0
  private var nextAttempt: UInt64 = 0
  private var backoffMilliseconds: UInt64 = 10
  /// Changes with each new connection, so that the owner of the loop knows to watch it.
  public private(set) var connectionNumber = 0
  /// Whether the kernel's buffer is full: the loop should tell when it can be written to.
  public private(set) var isBlocked = false

  /// Draws a session of its own. Does not connect: the first `flush` does.
  /// - Throws: only if the kernel has no random bytes.
  public init(path: String) throws(Errno) {
    self.path = path
    session = try Self.newSession()
  }

  private static func newSession() throws(Errno) -> SessionID {
    var bytes = [UInt8](repeating: 0, count: 16)
    try Process.fillRandom(&bytes)
    var halves: (UInt64, UInt64) = (0, 0)
    for index in 0..<8 {
      halves.0 = halves.0 << 8 | UInt64(bytes[index])
      halves.1 = halves.1 << 8 | UInt64(bytes[index + 8])
    }
    return SessionID(high: halves.0, low: halves.1)
  }

  // MARK: Counting

  /// Registers a counter; `tags` are `name:value` with commas between them.
  public func counter(_ name: String, tags: String = "") -> Handle {
    Handle(index: pending.register(name, tags, isTiming: false))
  }

  /// Registers a distribution of durations, sent in seconds.
  public func timing(_ name: String, tags: String = "") -> Handle {
    Handle(index: pending.register(name, tags, isTiming: true))
  }

  @inline(__always)
  public func add(_ counter: Handle, _ count: UInt64) { pending.add(counter.index, count) }

  @inline(__always)
  public func observe(_ timing: Handle, nanoseconds: UInt64) {
    pending.observe(timing.index, nanoseconds)
  }

  /// Whether everything counted so far has been acknowledged.
  public var isDrained: Bool { pending.isEmpty && window.isEmpty }

  // MARK: The loop's side

  /// The connection to watch with no interest (hang-ups are told without asking), or with `writable`
  /// while `isBlocked`. -1 without a connection.
  public var descriptor: Int32 { socket?.raw ?? -1 }

  /// When `flush` should be called though nothing new was counted; `UInt64.max` for never.
  public var nextDeadline: UInt64 {
    socket == nil && !isDrained ? nextAttempt : .max
  }

  /// Hands what was counted to the kernel, in one write. Call it once a turn, before answers go out.
  public func flush(now: UInt64) {
    if socket == nil {
      if isDrained || now < nextAttempt { return }
      connect(now)
    }
    guard socket != nil, !isBlocked else { return }
    if awaitsHello || framesSinceRead >= Self.acknowledgeEvery
      || window.byteCount > Self.windowByteCount / 4
    {
      readAcknowledgements(now)
      guard socket != nil else { return }
    }
    while !pending.isEmpty, window.byteCount < Self.windowByteCount, window.hasRoom {
      window.append { buffer in pending.drain(into: &buffer, limit: Self.frameByteCount) }
      framesSinceRead += 1
    }
    send(now)
  }

  /// The loop has seen something on `descriptor`.
  public func ready(_ interest: Poller.Interest, now: UInt64) {
    if interest.contains(.writable) { isBlocked = false }
    if interest.contains(.hangup) || interest.contains(.error) {
      readAcknowledgements(now)
      if socket != nil { disconnect(now) }
    }
    flush(now: now)
  }

  /// Sends what is left and waits for its acknowledgement, at most until `deadline`: for a stop.
  public func drain(until deadline: UInt64) {
    while !isDrained {
      let now = Clock.monotonicNanoseconds
      if now >= deadline { return }
      isBlocked = false
      flush(now: now)
      readAcknowledgements(now)
      if !isDrained { Process.sleep(milliseconds: 1) }
    }
  }

  // MARK: The connection

  private func connect(_ now: UInt64) {
    do throws(Errno) {
      socket = try Socket.connectUnix(path: path, kind: .stream)
    } catch {
      nextAttempt = now + backoffMilliseconds * 1_000_000
      backoffMilliseconds = min(backoffMilliseconds * 2, 1000)
      return
    }
    connectionNumber += 1
    hello.removeAll()
    SessionLine.appendSession(session, to: &hello)
    incoming.removeAll()
    window.rewind()
    awaitsHello = true
    isBlocked = false
  }

  private func disconnect(_ now: UInt64) {
    socket = nil
    isBlocked = false
    nextAttempt = now + backoffMilliseconds * 1_000_000
    backoffMilliseconds = min(backoffMilliseconds * 2, 1000)
  }

  private func send(_ now: UInt64) {
    guard let raw = socket?.raw else { return }
    if !hello.isEmpty {
      switch Socket.send(raw, hello.bytes) {
      case .bytes(let count): hello.removeFirst(count)
      case .wouldBlock: isBlocked = true
      case .closed, .failed: return disconnect(now)
      }
      if !hello.isEmpty { return }
    }
    guard window.unsentByteCount > 0 else { return }
    switch Socket.send(raw, window.unsent) {
    case .bytes(let count):
      window.sent(count)
      if window.unsentByteCount > 0 { isBlocked = true }
    case .wouldBlock: isBlocked = true
    case .closed, .failed:
      readAcknowledgements(now)
      if socket != nil { disconnect(now) }
    }
  }

  private func readAcknowledgements(_ now: UInt64) {
    framesSinceRead = 0
    while let raw = socket?.raw {
      switch Socket.receive(raw, into: &incoming, capacity: 4096) {
      case .bytes: break
      case .wouldBlock: return
      case .closed, .failed: return disconnect(now)
      }
      if !takeAcknowledgements() { return startAgain(now) }
    }
  }

  /// Takes what has come; `false` when the sidecar knows less than it has acknowledged before.
  private func takeAcknowledgements() -> Bool {
    var start = 0
    while case .frame(let range) = Frame.next(in: incoming.bytes, from: start, limit: 4096) {
      start = range.upperBound
      guard case .acknowledgement(let number) = SessionLine.parse(incoming.bytes.extracting(range))
      else { continue }
      if awaitsHello {
        awaitsHello = false
        backoffMilliseconds = 10
        if number < highestAcknowledged { return false }
      }
      highestAcknowledged = max(highestAcknowledged, number)
      window.acknowledge(number)
    }
    incoming.removeFirst(start)
    return true
  }

  /// The sidecar has lost its state, and with it what it had of this session: what is not
  /// acknowledged is counted anew, in a new session.
  private func startAgain(_ now: UInt64) {
    do throws(Errno) { session = try Self.newSession() } catch { session.low &+= 1 }
    highestAcknowledged = 0
    window.renumber()
    disconnect(now)
    nextAttempt = now
    connect(now)
  }
}
