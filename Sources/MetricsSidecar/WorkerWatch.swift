/// Whether a worker hangs, as far as its parent can see: looks in, a verdict out.
///
/// A worker at rest is not looked at. Its first turn after that wakes the parent, which then looks each
/// five seconds until it finds the worker at rest again. One that is in the same turn at three looks in
/// a row, or is stopped, hangs. Its start is one turn and has a minute, for a large state on a slow disk.
/// Looks are counted, and not the time between them: a container that was paused as a whole has had
/// only one.
struct WorkerWatch {
  static let lookNanoseconds: UInt64 = 5_000_000_000
  private static let lookLimit = 2
  private static let startLookLimit = 12
  private static let startTurn: UInt32 = 1

  enum Verdict: Equatable {
    /// Nothing to look at before the worker's next turn.
    case rests
    /// Look again at that time.
    case look(at: UInt64)
    case hangs
  }

  /// By a signal that stops processes; its loop's state means nothing.
  var isStopped = false
  private var turn: UInt32 = 0
  private var nextLook = UInt64.max
  /// Looks in a row that have found it in `turn`.
  private var count = 0

  /// What follows from the worker's turn (odd in one, even at rest).
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
