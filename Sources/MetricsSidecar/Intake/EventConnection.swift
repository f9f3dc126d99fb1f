import Events
import Platform

/// One client of events.sock: frames with a session, frames without, or plain lines, as its first
/// bytes say.
///
/// What must stay true: bytes are applied in order and once; a frame is applied whole or not at all;
/// an acknowledgement is written only after the commit that it speaks of.
final class EventConnection {
  enum Mode { case unknown, frames, lines }

  let socket: Descriptor
  let token: UInt32
  private(set) var mode = Mode.unknown
  // Taken out while its bytes are borrowed, so never `nil` between two calls.
  private var input: ByteBuffer? = ByteBuffer(capacity: 64)
  private var output = ByteBuffer(capacity: 64)
  private(set) var sessionID: SessionID?
  private var slot: SessionTable.Slot?
  /// What is to be acknowledged after the next commit.
  private var acknowledgement: UInt64?
  /// Looked at by a timer, so that a busy client pays for no wake-up.
  var isPolled = false
  /// Waiting for the client to read its acknowledgements.
  private(set) var isBlocked = false

  init(_ socket: consuming Descriptor, token: UInt32) {
    self.socket = socket
    self.token = token
  }

  enum Outcome {
    case read(Int)
    case nothing
    case closed
    /// The client has broken the protocol, in these words.
    case broken(StaticString)
  }

  /// Reads once and applies what is whole. Does not commit.
  func receive(_ applier: Applier, _ now: UInt64) -> Outcome {
    guard var input = input.take() else { return .nothing }
    let outcome: Outcome
    switch socket.receive(into: &input, capacity: 65_536) {
    case .bytes(let count):
      outcome = apply(&input, applier, now).map { .broken($0) } ?? .read(count)
    case .wouldBlock: outcome = .nothing
    case .closed, .failed:
      // A last line may have come without its newline.
      if mode == .lines, !input.isEmpty { applier.line(input.bytes, .events) }
      outcome = .closed
    }
    self.input = consume input
    return outcome
  }

  private func apply(
    _ input: inout ByteBuffer, _ applier: Applier, _ now: UInt64
  ) -> StaticString? {
    if mode == .unknown {
      guard input.count >= Frame.headByteCount else { return nil }
      mode = Frame.isPlainText(input.bytes) ? .lines : .frames
    }
    let failure =
      mode == .lines ? applyLines(&input, applier) : applyFrames(&input, applier, now)
    if input.isEmpty { input.shrink(to: 1 << 17) }
    return failure
  }

  private func applyLines(_ input: inout ByteBuffer, _ applier: Applier) -> StaticString? {
    var start = 0
    while let end = applier.newline(input.bytes, from: start) {
      applier.line(input.bytes.extracting(start..<end), .events)
      start = end + 1
    }
    input.removeFirst(start)
    return input.count > applier.limits.lineByteCount
      ? "a line is longer than --max-line-length" : nil
  }

  private func applyFrames(
    _ input: inout ByteBuffer, _ applier: Applier, _ now: UInt64
  ) -> StaticString? {
    var start = 0
    var failure: StaticString?
    while failure == nil {
      switch Frame.next(in: input.bytes, from: start, limit: applier.limits.frameByteCount) {
      case .incomplete:
        input.removeFirst(start)
        return nil
      case .tooLong:
        applier.counts.framesRejected += 1
        failure = "a frame is longer than --max-frame-size"
      case .frame(let range):
        start = range.upperBound
        failure = frame(input.bytes.extracting(range), applier, now)
      }
    }
    return failure
  }

  private func frame(_ bytes: RawSpan, _ applier: Applier, _ now: UInt64) -> StaticString? {
    let end = applier.newline(bytes, from: 0) ?? bytes.byteCount
    switch SessionLine.parse(bytes.extracting(0..<end)) {
    case .session(let id): return open(id, applier, now)
    case .sequence(let number):
      guard let slot else {
        applier.counts.framesRejected += 1
        return "_seq without _session"
      }
      let last = applier.registry.state.value(slot.positionCell)
      if number <= last {
        applier.counts.framesDuplicate += 1
        acknowledgement = last
        return nil
      }
      if number != last + 1 {
        applier.counts.framesRejected += 1
        acknowledgement = last
        return "frames are missing between two _seq"
      }
      applier.lines(bytes, from: min(end + 1, bytes.byteCount), .events)
      applier.registry.state.store(slot.positionCell, number)
      acknowledgement = number
    default: applier.lines(bytes, from: 0, .events)
    }
    applier.counts.framesApplied += 1
    return nil
  }

  private func open(_ id: SessionID, _ applier: Applier, _ now: UInt64) -> StaticString? {
    if let sessionID { applier.registry.sessions.close(sessionID) }
    let state = applier.registry.state
    guard let slot = applier.registry.sessions.open(id, now: Clock.unixNanoseconds, in: state)
    else {
      applier.counts.framesRejected += 1
      return "no room for another session"
    }
    sessionID = id
    self.slot = slot
    acknowledgement = state.value(slot.positionCell)
    return nil
  }

  /// Writes what is to be acknowledged. Only after a commit. `false` when the client has gone.
  func acknowledge() -> Bool {
    if let number = acknowledgement {
      acknowledgement = nil
      // Acknowledgements add up: one that the client has not taken yet is replaced, not repeated.
      if !isBlocked || output.count < 4096 {
        SessionLine.appendAcknowledgement(number, to: &output)
      }
    }
    guard !output.isEmpty else { return true }
    switch socket.send(output.bytes) {
    case .bytes(let count):
      output.removeFirst(count)
      isBlocked = !output.isEmpty
    case .wouldBlock: isBlocked = true
    case .closed, .failed: return false
    }
    return true
  }
}
