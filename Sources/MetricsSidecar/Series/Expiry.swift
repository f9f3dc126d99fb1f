/// When series had their last event, without a store for each event: the cell that every event
/// stores into has the number of its transaction, and this knows when the transactions were.
///
/// What must stay true: nothing is taken for older than it is. An entry says that the transactions
/// up to its number had taken effect at its time; entries lie closer than a sixteenth of their age,
/// or of the shortest time to live, so nothing is kept longer than an eighth beyond its time.
struct Expiry {
  private struct Moment {
    var time: UInt64
    var transaction: UInt32
  }

  /// The shortest and longest time to live that there is, in nanoseconds; 0 if there is none.
  private(set) var shortest: UInt64 = 0
  private var longest: UInt64 = 0
  private var moments: [Moment] = []
  /// When to look for expired series, in monotonic nanoseconds; `.max` while none can expire.
  var due = UInt64.max

  var isOn: Bool { shortest > 0 }

  mutating func use(_ ttl: UInt64) {
    guard ttl > 0 else { return }
    shortest = shortest == 0 ? ttl : min(shortest, ttl)
    longest = max(longest, ttl)
  }

  /// Something new may expire after `ttl`.
  mutating func arm(_ ttl: UInt64, now: UInt64) { if ttl > 0 { due = min(due, now + ttl) } }

  /// A turn has ended, and `transaction` was the last to take effect.
  mutating func note(_ transaction: UInt32, now: UInt64) {
    // What a turn does may be noted by a later time than the one that the turn began at.
    let now = max(now, moments.last?.time ?? 0)
    if let last = moments.last {
      if transaction == last.transaction { return }
      // The numbers have started again: all is as of now.
      if transaction < last.transaction { moments.removeAll() }
    }
    if moments.count > 1, now - moments[moments.count - 2].time < shortest / 16 {
      moments.removeLast()
    } else if moments.count > 2 {
      thin(now)
    }
    moments.append(Moment(time: now, transaction: transaction))
  }

  /// Leaves out what lies closer than a sixteenth of its age, or is older than anything asks for.
  private mutating func thin(_ now: UInt64) {
    var kept = 0
    for index in moments.indices {
      let isBehind = index + 1 < moments.count && now - moments[index + 1].time >= longest
      let isClose =
        kept > 0 && index + 1 < moments.count
        && moments[index + 1].time - moments[kept - 1].time < (now - moments[index].time) / 16
      if isBehind || isClose { continue }
      moments[kept] = moments[index]
      kept += 1
    }
    moments.removeLast(moments.count - kept)
  }

  /// What was stored by transactions up to this one was stored at least `ttl` ago; `nil` if nothing
  /// is known to be so old.
  func cutoff(_ ttl: UInt64, now: UInt64, _ committed: UInt32) -> UInt32? {
    guard ttl > 0, now >= ttl,
      let transaction = moments.last(where: { $0.time <= now - ttl })?.transaction
    else { return nil }
    // Where the numbers have just started again, none of before means anything.
    return transaction <= committed ? transaction : nil
  }

  /// The latest time at which `transaction` may have been.
  func time(of transaction: UInt32, now: UInt64) -> UInt64 {
    moments.first { $0.transaction >= transaction }?.time ?? now
  }
}
