internal import SidecarPlatform

/// A source of events that writes its lines when there is room for them.
protocol LineSource {
  /// Whether no line is waiting.
  var isEmpty: Bool { get }
  /// Whether to connect to a sidecar that comes back even though nothing was counted.
  var wantsConnection: Bool { get }
  /// Writes lines, each with its newline before it, until nothing is left or `limit` bytes are
  /// full.
  mutating func drain(into buffer: inout ByteBuffer, limit: Int)
  /// The sidecar has lost its state: inserts the opening of a new session before the frames.
  mutating func restart(_ window: inout FrameWindow)
}

/// The client's end of an events connection, without the socket: it takes increments,
/// acknowledgements and changes of the connection, and returns bytes to send. `SessionSocket` gives
/// it a socket.
///
/// What must stay true: every increment is in exactly one place, a sum or a frame of the window; a
/// frame leaves the window only when the sidecar has acknowledged it; so after any number of lost
/// connections everything is applied once. Memory is bounded by series and window.
struct EventSession<Source: LineSource>: ~Copyable {
  private static var frameByteCount: Int { 16 << 10 }
  private static var acknowledgeEvery: Int { 32 }
  private static var backoff: (first: UInt64, last: UInt64) { (10_000_000, 1_000_000_000) }

  var pending: Source
  private var window = FrameWindow()
  private let windowByteCount: Int
  private(set) var id: SessionID
  private(set) var isConnected = false
  private(set) var isBlocked = false
  /// Bytes of the hello that the connection has not accepted yet.
  private var hello = ByteBuffer(capacity: 64)
  private var incoming = ByteBuffer(capacity: 64)
  private var framesSinceRead = 0
  private var awaitsHello = false
  private var highestAcknowledged: UInt64 = 0
  private var backoffNanoseconds = Self.backoff.first
  /// When to connect, if there is something to send.
  private(set) var nextAttempt: UInt64 = 0

  init(id: SessionID, windowByteCount: Int, pending: Source) {
    self.id = id
    self.pending = pending
    self.windowByteCount = windowByteCount
  }

  /// Whether everything counted so far has been acknowledged.
  var isDrained: Bool { pending.isEmpty && window.isEmpty }

  /// Whether the sidecar has fallen a window behind, so that increments stay sums.
  var isFull: Bool { window.byteCount >= windowByteCount || !window.hasRoom }

  // MARK: The connection

  var shouldConnect: Bool { !isConnected && (!isDrained || pending.wantsConnection) }

  /// Connected: names the session and sends all unacknowledged frames again, without waiting for
  /// the answer; the sidecar recognises applied ones by their numbers.
  mutating func connected() {
    isConnected = true
    isBlocked = false
    awaitsHello = true
    framesSinceRead = 0
    hello.removeAll()
    SessionLine.appendSession(id, to: &hello)
    incoming.removeAll()
    window.rewind()
  }

  /// Not connected, or no longer: the next attempt waits 10 ms, then 20 ms … up to a second.
  mutating func disconnected(now: UInt64) {
    isConnected = false
    isBlocked = false
    nextAttempt = now + backoffNanoseconds
    backoffNanoseconds = min(backoffNanoseconds * 2, Self.backoff.last)
  }

  // MARK: Sending

  /// Turns sums into frames, while the connection accepts them and the window has room.
  @_optimize(speed)
  mutating func fill() {
    guard isConnected, !isBlocked else { return }
    while !pending.isEmpty, !isFull {
      window.append(&pending, limit: Self.frameByteCount)
      framesSinceRead += 1
    }
  }

  /// The bytes to send next; empty if there are none.
  var unsent: RawSpan {
    @_lifetime(borrow self)
    get { hello.isEmpty ? window.unsent : hello.bytes }
  }

  /// The connection has accepted this many bytes of `unsent`.
  mutating func sent(_ byteCount: Int) {
    if hello.isEmpty { window.sent(byteCount) } else { hello.removeFirst(byteCount) }
  }

  /// The connection accepts no more for now, or accepts bytes again.
  mutating func setBlocked(_ isBlocked: Bool) { self.isBlocked = isBlocked }

  // MARK: Acknowledgements

  /// Whether it is time to check for acknowledgements. They do not wake the loop, which reads them
  /// now and then.
  var wantsAcknowledgements: Bool {
    isConnected
      && (awaitsHello || framesSinceRead >= Self.acknowledgeEvery
        || window.byteCount > windowByteCount / 4)
  }

  /// Acknowledgements have been checked for.
  mutating func didRead() { framesSinceRead = 0 }

  /// Handles what the sidecar has sent. False if the connection must be given up: either the
  /// sidecar knows less than it has acknowledged before, so its state is lost, and all
  /// unacknowledged frames are sent in a new session; or it does not speak the protocol.
  @_optimize(speed)
  mutating func received(_ bytes: RawSpan, now: UInt64) -> Bool {
    incoming.append(bytes)
    var start = 0
    while true {
      switch Frame.next(in: incoming.bytes, from: start, limit: 4096) {
      case .incomplete:
        incoming.removeFirst(start)
        return true
      case .tooLong: return false
      case .frame(let range):
        start = range.upperBound
        let line = SessionLine.parse(incoming.bytes.extracting(range))
        guard case .acknowledgement(let number) = line else { continue }
        if !acknowledge(number, now: now) { return false }
      }
    }
  }

  private mutating func acknowledge(_ number: UInt64, now: UInt64) -> Bool {
    if awaitsHello {
      awaitsHello = false
      backoffNanoseconds = Self.backoff.first
      if number < highestAcknowledged {
        startAgain()
        return false
      }
    }
    highestAcknowledged = max(highestAcknowledged, number)
    window.acknowledge(number)
    return true
  }

  private mutating func startAgain() {
    id = id.successor
    highestAcknowledged = 0
    pending.restart(&window)
    window.renumber()
  }
}

extension SessionID {
  /// Another identity, as random as this one (SplitMix64's finaliser).
  var successor: SessionID {
    let high = Self.mix(high &+ 0x9e37_79b9_7f4a_7c15)
    return SessionID(high: high, low: Self.mix(low ^ high))
  }

  static func mix(_ seed: UInt64) -> UInt64 {
    var z = seed
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
