internal import SidecarPlatform

/// An `EventSession` with its socket.
///
/// What must stay true: it never blocks; its memory is bounded by its source and the window, not by
/// the length of an outage; a frame keeps its number until the sidecar has it.
struct SessionSocket<Source: LineSource>: ~Copyable {
  /// Each frame costs some 800 bytes of the kernel's buffer, however short it is. What is in there
  /// outlives this process; by default it holds 280 frames.
  private static var bufferByteCount: Int { 512 << 10 }
  /// How soon to look at a full window again if nothing else happens.
  private static var lookAgainNanoseconds: UInt64 { 50_000_000 }

  private let path: String
  var session: EventSession<Source>
  private var socket: Descriptor?
  private var received = ByteBuffer(capacity: 256)
  private var lastFlush: UInt64 = 0
  /// Changes with each new connection.
  private(set) var connectionNumber = 0
  /// Why the last try to connect failed; `nil` if it did not.
  private(set) var attemptFailure: Errno?

  /// Does not connect: the first `flush` with something to send does.
  init(path: String, session: consuming EventSession<Source>) {
    self.path = path
    self.session = session
  }

  /// -1 without a connection.
  private(set) var descriptor: Int32 = -1

  /// When to call `flush` although nothing new was counted; `UInt64.max` for never.
  var nextDeadline: UInt64 {
    if session.shouldConnect { return session.nextAttempt }
    // The window is full and the kernel has all of it: only an acknowledgement makes room.
    let waits = descriptor >= 0 && !session.isBlocked && !session.pending.isEmpty
    return waits ? lastFlush + Self.lookAgainNanoseconds : .max
  }

  /// Hands the counts to the kernel, in one write.
  mutating func flush(now: UInt64) {
    lastFlush = now
    if descriptor < 0 {
      guard session.shouldConnect, now >= session.nextAttempt else { return }
      connect(now)
    }
    guard descriptor >= 0, !session.isBlocked else { return }
    if session.wantsAcknowledgements { readAcknowledgements(now) }
    session.fill()
    send(now)
  }

  /// The loop has seen an event on `descriptor`.
  mutating func ready(_ interest: Poller.Interest, now: UInt64) {
    if interest.contains(.writable) { session.setBlocked(false) }
    if interest.contains(.hangup) || interest.contains(.error) {
      readAcknowledgements(now)
      if descriptor >= 0 { disconnect(now) }
    }
    flush(now: now)
  }

  /// Sends what is left and waits for its acknowledgement, at most until `deadline`.
  mutating func drain(until deadline: UInt64) {
    while !session.isDrained {
      let now = Clock.monotonicNanoseconds
      if now >= deadline { return }
      press(now: now)
      if !session.isDrained { Process.sleep(milliseconds: 1) }
    }
  }

  /// One step towards the end: tries whatever may bring it nearer.
  mutating func press(now: UInt64) {
    session.setBlocked(false)
    flush(now: now)
    readAcknowledgements(now)
  }

  private mutating func readAcknowledgements(_ now: UInt64) {
    session.didRead()
    while descriptor >= 0 {
      received.removeAll()
      switch Socket.receive(descriptor, into: &received, capacity: 4096) {
      case .bytes: if !Self.hand(received, to: &session, now) { disconnect(now) }
      case .wouldBlock: return
      case .closed, .failed: disconnect(now)
      }
    }
  }

  private static func hand(
    _ received: borrowing ByteBuffer, to session: inout EventSession<Source>, _ now: UInt64
  ) -> Bool { session.received(received.bytes, now: now) }

  private mutating func connect(_ now: UInt64) {
    do throws(Errno) {
      let connected = try Socket.connectUnix(path: path, kind: .stream)
      descriptor = connected.raw
      socket = consume connected
      Socket.growSendBuffer(descriptor, byteCount: Self.bufferByteCount)
      connectionNumber += 1
      attemptFailure = nil
      session.connected()
    } catch {
      attemptFailure = error
      session.disconnected(now: now)
    }
  }

  private mutating func disconnect(_ now: UInt64) {
    socket = nil
    descriptor = -1
    session.disconnected(now: now)
  }

  /// The hello, if this is a new connection, and then all frames at once.
  private mutating func send(_ now: UInt64) {
    while descriptor >= 0, session.unsent.byteCount > 0 {
      let result = Socket.send(descriptor, session.unsent)
      switch result {
      case .bytes(let count): session.sent(count)
      case .wouldBlock: return session.setBlocked(true)
      case .closed, .failed:
        // Acknowledgements from before the end still count.
        readAcknowledgements(now)
        if descriptor >= 0 { disconnect(now) }
      }
    }
  }
}
