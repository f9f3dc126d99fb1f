/// When series had their last event, without an extra store per event: the cell that every event
/// stores into has the number of its transaction, and this maps transactions to times.
///
/// What must stay true: nothing seems older than it is. An entry says that the transactions up to
/// its number had taken effect at its time; entries are closer together than a sixteenth of their
/// age, or of the shortest time to live, so nothing is kept longer than an eighth beyond its time.
struct Expiry {
  private struct Moment {
    var time: UInt64
    var transaction: UInt32
  }

  /// The shortest and longest time to live in use, in nanoseconds; 0 if there is none.
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
    // A turn may have noted a later time than the one that it began at.
    let now = max(now, moments.last?.time ?? 0)
    if let last = moments.last {
      if transaction == last.transaction { return }
      // The numbers have started again: everything counts as of now.
      if transaction < last.transaction { moments.removeAll() }
    }
    if moments.count > 1, now - moments[moments.count - 2].time < shortest / 16 {
      moments.removeLast()
    } else if moments.count > 2 {
      thin(now)
    }
    moments.append(Moment(time: now, transaction: transaction))
  }

  /// Drops entries closer together than a sixteenth of their age, or older than anything asks for.
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

  /// The last transaction that is at least `ttl` old; `nil` if nothing is known to be that old.
  func cutoff(_ ttl: UInt64, now: UInt64, _ committed: UInt32) -> UInt32? {
    guard ttl > 0, now >= ttl,
      let transaction = moments.last(where: { $0.time <= now - ttl })?.transaction
    else { return nil }
    // If the numbers have just started again, earlier ones mean nothing.
    return transaction <= committed ? transaction : nil
  }

  /// The latest time at which `transaction` may have been.
  func time(of transaction: UInt32, now: UInt64) -> UInt64 {
    moments.first { $0.transaction >= transaction }?.time ?? now
  }
}
