/// Decides whether a worker hangs, from its parent's checks.
///
/// An idle worker is not checked. Its next turn wakes the parent, which then checks every five
/// seconds until it finds the worker idle again. A worker that is in the same turn at three checks
/// in a row, or is stopped, hangs. Its start is one turn and may take a minute, for a large state
/// on a slow disk. This counts checks instead of the time between them: a container that was paused
/// as a whole has had only one.
struct WorkerWatch {
  static let lookNanoseconds: UInt64 = 5_000_000_000
  private static let lookLimit = 2
  private static let startLookLimit = 12
  private static let startTurn: UInt32 = 1

  enum Verdict: Equatable {
    /// Nothing to check before the worker's next turn.
    case rests
    /// Check again at that time.
    case look(at: UInt64)
    case hangs
  }

  /// Stopped by a signal; its loop's state is meaningless.
  var isStopped = false
  private var turn: UInt32 = 0
  private var nextLook = UInt64.max
  /// Consecutive checks that have found it in `turn`.
  private var count = 0

  /// The verdict from the worker's turn number (odd during a turn, even at rest).
  mutating func look(_ turn: UInt32, now: UInt64) -> Verdict {
    if turn & 1 == 0, !isStopped {
      nextLook = .max
      return .rests
    }
    if nextLook == .max || turn != self.turn {
      self.turn = turn
      count = 0
      if nextLook == .max || now >= nextLook { nextLook = now + Self.lookNanoseconds }
    } else if now >= nextLook {
      count += 1
      nextLook = now + Self.lookNanoseconds
    }
    let isStarting = turn == Self.startTurn && !isStopped
    let limit = isStarting ? Self.startLookLimit : Self.lookLimit
    return count >= limit ? .hangs : .look(at: nextLook)
  }
}
