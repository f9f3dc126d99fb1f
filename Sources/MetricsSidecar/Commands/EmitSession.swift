import SidecarEvents
import SidecarPlatform

/// The frames of one `emit --wait` or `--once` and their session. If the connection breaks before
/// the last acknowledgement, it connects again: the sidecar recognises applied frames by their
/// numbers.
struct EmitSession: ~Copyable {
  enum Outcome {
    case acknowledged
    /// Nothing listens.
    case refused(Errno)
    /// The last acknowledgement is missing: the sidecar has gone, or does not read.
    case unknown
  }

  private static let limitNanoseconds: UInt64 = 10_000_000_000

  private var bytes = ByteBuffer(capacity: 1024)
  private var last: UInt64 = 0

  init(_ id: SessionID) { SessionLine.appendSession(id, to: &bytes) }

  /// Adds the lines as the next frame.
  mutating func add(_ lines: RawSpan) {
    last += 1
    let start = Frame.begin(&bytes)
    bytes.append("_seq|")
    Decimal.append(last, to: &bytes)
    bytes.append("\n")
    bytes.append(lines)
    Frame.end(start, &bytes)
  }

  /// Sends all frames and waits for the acknowledgement, at most ten seconds.
  func send(to path: String) -> Outcome {
    let end = Clock.monotonicNanoseconds + Self.limitNanoseconds
    var pause = 10
    var isFirst = true
    while true {
      do throws(Errno) {
        let socket = try Socket.connectUnix(path: path, kind: .stream)
        isFirst = false
        if try exchange(socket, end) { return .acknowledged }
      } catch {
        // A sidecar that was there before will probably come back.
        if isFirst { return .refused(error) }
      }
      guard Clock.monotonicNanoseconds < end else { return .unknown }
      Process.sleep(milliseconds: pause)
      pause = min(2 * pause, 500)
    }
  }

  /// Waits for the last frame's acknowledgement; returns whether it came before the connection or
  /// the time ended.
  private func exchange(_ socket: borrowing Descriptor, _ end: UInt64) throws(Errno) -> Bool {
    var poller = try Poller()
    try poller.add(socket.raw, [.readable, .writable], data: 0)
    var sent = 0
    var answer = ByteBuffer(capacity: 256)
    while true {
      let now = Clock.monotonicNanoseconds
      guard now < end else { return false }
      _ = try poller.wait(timeoutMilliseconds: Int32((end - now) / 1_000_000) + 1)
      if sent < bytes.count {
        switch socket.send(bytes.bytes.extracting(sent..<bytes.count)) {
        case .bytes(let count): sent += count
        case .wouldBlock: break
        case .closed, .failed: return false
        }
        if sent == bytes.count { try poller.modify(socket.raw, .readable, data: 0) }
      }
      switch socket.receive(into: &answer, capacity: 4096) {
      case .bytes, .wouldBlock: break
      case .closed, .failed: return false
      }
      while case .frame(let range) = Frame.next(in: answer.bytes, from: 0, limit: 4096) {
        var position: UInt64 = 0
        if case .acknowledgement(let number) = SessionLine.parse(answer.bytes.extracting(range)) {
          position = number
        }
        if position >= last { return true }
        answer.removeFirst(range.upperBound)
      }
    }
  }
}
