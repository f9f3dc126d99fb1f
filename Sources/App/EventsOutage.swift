import SidecarEvents
import SidecarPlatform
import Synchronization

/// Logs that the sidecar is missing: once when events begin to wait, again when the reason changes,
/// and when it is back. All workers share one object, so each of these is one line.
final class EventsOutage: Sendable {
  private let path: String
  /// The error of any worker's last try to connect; 0 if it succeeded.
  private let reason = Atomic<Int>(0)
  /// The number of waiting events, over all workers, as of their last tries.
  private let waiting = Atomic<Int>(0)

  init(path: String) { self.path = path }

  /// Records that more, or fewer, events wait.
  func change(by difference: Int) { waiting.wrappingAdd(difference, ordering: .relaxed) }

  /// Records how a worker's last try ended: `nil` for a connection.
  func note(_ error: Errno?) {
    let new = error.map { Int($0.rawValue) } ?? 0
    guard reason.exchange(new, ordering: .relaxed) != new else { return }
    let count = waiting.load(ordering: .relaxed)
    guard let error else {
      return Log().info("The sidecar is back on \(path): \(count) events that waited go out now")
    }
    let why = Self.why(error, path)
    Log().warning(
      "Events wait, \(count) by now (requests are answered all the same), because \(why)")
  }

  private static func why(_ error: Errno, _ path: String) -> String {
    switch error {
    case .noSuchFile:
      "nobody listens on \(path): there is no such socket. Is the sidecar running, and is its "
        + "--events-socket in the same volume?"
    case .connectionRefused: "nobody listens on \(path): is the sidecar running?"
    case .permissionDenied:
      "this user may not write to \(path): give both containers one group (fsGroup, --socket-mode)"
    case .wouldBlock: "too many clients wait on \(path) already"
    default: "\(path) cannot be connected to: \(error.description)"
    }
  }
}

/// One worker's part of it.
struct OutageWatch {
  private let outage: EventsOutage
  private var connection = 0
  private var failure: Errno?
  private var waiting = 0

  init(_ outage: EventsOutage) { self.outage = outage }

  /// Checks the client after it has tried to send; two comparisons while nothing changes.
  @inline(__always)
  mutating func look(_ events: EventClient) {
    if events.connectionNumber != connection || events.attemptFailure != failure {
      tell(events)
    }
  }

  @inline(never)
  private mutating func tell(_ events: EventClient) {
    connection = events.connectionNumber
    failure = events.attemptFailure
    let count = Int(truncatingIfNeeded: events.waitedCount)
    outage.change(by: count &- waiting)
    waiting = count
    outage.note(failure)
    if failure == nil {
      outage.change(by: 0 &- waiting)
      waiting = 0
    }
  }
}
