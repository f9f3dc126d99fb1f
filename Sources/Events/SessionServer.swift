package import SidecarPlatform

/// The sidecar's end of one connection to the events socket, without the socket: bytes in, steps
/// out. Its owner keeps the positions, together with the sums.
///
///     read more into `buffer`; then
///     loop: switch server.next(buffer.bytes, lastApplied: position of the session) {
///     case .needMore: break loop
///     case .open(let id): server.opened(lastApplied: table.position(id))  // or refused()
///     case .apply(let start, let end, let position):
///       apply the lines; if position > 0, store it as the session's; both in one commit
///     case .close(let reason): count it; send what `output` has; close
///     }
///     buffer.removeFirst(server.takeConsumed())
///     commit; server.committed(lastApplied: position); send `output`
///
/// What must stay true: a frame is handed out at most once per session, in order and complete. The
/// position is not kept here: while an old connection of the same session still has bytes to read,
/// a second copy would let a frame in twice. Only `committed` writes an acknowledgement, so it
/// never runs ahead of the committed state.
package struct SessionServer: ~Copyable {
  /// The owner's next step; see the loop above.
  package enum Step: Equatable, Sendable {
    case needMore
    /// The client names its session: look it up and call `opened` or `refused`.
    case open(SessionID)
    /// Apply the lines from `start` up to `end`. `position` is the frame's number, to be stored in
    /// the same commit as its effect; 0 without a session.
    case apply(start: Int, end: Int, position: UInt64)
    /// The connection must end. Ignore the remaining bytes.
    case close(Reason)
  }

  /// Why a connection was closed; `rawValue` is an index for a table of counters.
  package enum Reason: Int, CaseIterable, Error, Sendable {
    /// A frame beyond its limit.
    case tooLong
    /// A frame's number leaves a gap: frames are missing.
    case gap
    /// A frame of a session without `_seq|n`, a second `_session`, a `_session` with more lines in
    /// its frame, or `_seq` without a session.
    case malformed
    /// No room for another session.
    case sessionRefused
    /// Lines that are an HTTP request.
    case request

    /// The value of the label `reason`; it never changes.
    package var name: StaticString {
      switch self {
      case .tooLong: "too_long"
      case .gap: "gap"
      case .malformed: "malformed"
      case .sessionRefused: "session_refused"
      case .request: "request"
      }
    }
  }

  private enum State { case fresh, opening, session, closed }

  private var reader: FrameReader
  private var state = State.fresh
  private var consumed = 0
  private var closeReason = Reason.malformed
  private var owesAcknowledgement = false
  /// The bytes to send to the client; remove from its front what was sent.
  package var output = ByteBuffer(capacity: 64)
  /// Frames that came again after they were applied.
  package private(set) var duplicateFrames: UInt64 = 0

  /// With `isPlain` it reads lines only: no frames, no session.
  package init(
    frameByteLimit: Int = 1 << 20, lineByteLimit: Int = 8192, isPlain: Bool = false
  ) {
    reader = FrameReader(
      frameByteLimit: frameByteLimit, lineByteLimit: lineByteLimit, isPlain: isPlain)
  }

  /// Whether it speaks lines and not frames.
  package var isPlain: Bool { reader.isPlain }

  /// What comes next in `bytes`: everything received since `takeConsumed`. `lastApplied` is the
  /// session's position, as the last `.apply` of any connection left it; 0 without a session.
  @inline(__always)
  package mutating func next(_ bytes: RawSpan, lastApplied: UInt64) -> Step {
    guard state != .closed else { return .close(closeReason) }
    precondition(state != .opening, "answer .open first")
    while true {
      switch reader.next(bytes, from: consumed) {
      case .needMore: return .needMore
      case .tooLong: return close(.tooLong)
      case .request: return close(.request)
      case .skip(let end): consumed = end
      case .lines(let start, let end):
        consumed = end
        return .apply(start: start, end: end, position: 0)
      case .frame(let start, let end):
        consumed = end
        if let step = frame(bytes, start, end, lastApplied) { return step }
      }
    }
  }

  /// How many bytes to remove from the front of the received ones.
  package mutating func takeConsumed() -> Int {
    defer { consumed = 0 }
    return consumed
  }

  /// How many frames came again since the last call.
  package mutating func takeDuplicates() -> UInt64 {
    defer { duplicateFrames = 0 }
    return duplicateFrames
  }

  /// Answers `.open`: the session is known up to `lastApplied`, 0 for a new one. That is committed,
  /// so it is acknowledged at once: a client whose frames leave a gap learns why.
  package mutating func opened(lastApplied: UInt64) {
    precondition(state == .opening)
    state = .session
    SessionLine.appendAcknowledgement(lastApplied, to: &output)
  }

  /// Answers `.open`: there is no room. The next step closes.
  package mutating func refused() {
    precondition(state == .opening)
    _ = close(.sessionRefused)
  }

  /// Everything up to `lastApplied` is committed: acknowledges it, once for many frames.
  package mutating func committed(lastApplied: UInt64) {
    guard state == .session || state == .closed, owesAcknowledgement else { return }
    // A client that does not read its acknowledgements gets only the newest.
    guard output.count < 64 else { return }
    owesAcknowledgement = false
    SessionLine.appendAcknowledgement(lastApplied, to: &output)
  }

  private mutating func frame(
    _ bytes: RawSpan, _ start: Int, _ end: Int, _ lastApplied: UInt64
  ) -> Step? {
    guard state == .session else { return firstFrame(bytes, start, end) }
    let lineEnd = ByteScan.find(0x0a, in: bytes, from: start, to: end)
    let first = SessionLine.parse(bytes.extracting(start..<lineEnd))
    guard case .sequence(let number) = first, number > 0 else { return close(.malformed) }
    if number <= lastApplied {
      duplicateFrames += 1
      owesAcknowledgement = true
      return nil
    }
    guard number == lastApplied + 1 else { return close(.gap) }
    owesAcknowledgement = true
    return .apply(start: min(lineEnd + 1, end), end: end, position: number)
  }

  /// A session begins with the first frame or never: without one, later frames are applied as by
  /// any DogStatsD agent.
  private mutating func firstFrame(_ bytes: RawSpan, _ start: Int, _ end: Int) -> Step {
    guard start < end, ByteScan.byte(bytes, start) == UInt8(ascii: "_") else {
      return .apply(start: start, end: end, position: 0)
    }
    let lineEnd = ByteScan.find(0x0a, in: bytes, from: start, to: end)
    switch SessionLine.parse(bytes.extracting(start..<lineEnd)) {
    case .session(let id):
      // Events after it have no number: neither applied nor acknowledged, they would be lost.
      guard lineEnd + 1 >= end else { return close(.malformed) }
      state = .opening
      return .open(id)
    case .sequence: return close(.malformed)
    default: return .apply(start: start, end: end, position: 0)
    }
  }

  private mutating func close(_ reason: Reason) -> Step {
    state = .closed
    closeReason = reason
    return .close(reason)
  }
}
