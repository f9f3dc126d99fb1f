import SidecarEvents
import SidecarPlatform

/// Series that had no event for their time to live: they leave the exposition, and their records,
/// lines and families are reused.
///
/// What must stay true: no known line leads to a record that is out of use. A sweep takes several
/// turns but uses one moment for all of them: a series with an event meanwhile is younger, and
/// stays.
extension Registry {
  /// The number of series checked per turn, so that intake does not wait.
  private static let sliceCount = 8192

  /// The progress of a sweep.
  struct ExpirySweep {
    var startedAt: UInt64 = 0
    var family = 0
    var series = 0
    /// When the next series can expire.
    var next = UInt64.max
    var hasForgottenLines = false
  }

  /// Call it after each commit. `isRead` while an exposition is being written from the records.
  @inline(__always)
  func turnEnded(now: UInt64, isRead: Bool) {
    if expiry.isOn { expiry.note(state.committed, now: now) }
    if !isRead, !retired.isEmpty { recycleRetired() }
    if lines.isFull { forgetFullLines(now: now) }
  }

  /// A connection of the session has gone.
  func close(_ id: SessionID) {
    sessions.close(id, now: Clock.unixNanoseconds, in: state)
    expiry.arm(limits.sessionTimeToLive, now: monotonicNow)
  }

  /// The time to live of a family, in nanoseconds; 0 is forever.
  func timeToLive(_ family: Family) -> UInt64 {
    family.timeToLive ?? limits.seriesTimeToLive
  }

  /// Checks a part of the series. `now` is monotonic, in nanoseconds.
  @inline(never)
  func expire(now: UInt64) {
    if sweep.startedAt == 0 {
      state.commit()
      sweep = ExpirySweep()
      sweep.startedAt = now
      sweep.next = sessions.expire(limits.sessionTimeToLive, expiry, now: now, in: state)
    }
    var left = Self.sliceCount
    while sweep.family < families.count {
      if left <= 0 { return expiry.due = now }
      left -= expireSeries(of: sweep.family, atMost: left)
    }
    // The time of a series' last event is known with a delay; sweeps are not closer together than
    // that.
    expiry.due = sweep.next == .max ? .max : max(sweep.next, now + max(1, expiry.shortest / 16))
    sweep.startedAt = 0
  }

  /// Checks some series of one family, and moves on to the next one at its end. Returns how many.
  private func expireSeries(of index: Int, atMost limit: Int) -> Int {
    let family = families[index]
    let ttl = timeToLive(family)
    // An event between two turns may have made the family start again.
    let start = min(sweep.series, family.series.count)
    let end = min(family.series.count, start + limit)
    guard ttl > 0, end > 0 else {
      nextFamily()
      return 1
    }
    let cutoff = expiry.cutoff(ttl, now: sweep.startedAt, state.committed)
    var kept = start
    var oldest = UInt32.max
    for read in start..<end {
      let record = family.series[read]
      let last = state.transaction(record.headCell + 1)
      let stays = family.constants.contains(record.headCell)
      if let cutoff, last <= cutoff, !stays {
        forget(record, family)
      } else {
        if !stays { oldest = min(oldest, last) }
        if kept != read { family.series[kept] = record }
        kept += 1
      }
    }
    if kept < end {
      family.series.removeSubrange(kept..<end)
      state.commit()
    }
    if oldest != .max {
      sweep.next = min(sweep.next, expiry.time(of: oldest, now: sweep.startedAt) + ttl)
    }
    sweep.series = kept
    if kept >= family.series.count {
      if family.series.isEmpty, !family.isDeclared { forgetFamily(index) }
      nextFamily()
    }
    return end - start
  }

  private func nextFamily() {
    sweep.family += 1
    sweep.series = 0
  }

  private func forget(_ record: Record, _ family: Family) {
    if !sweep.hasForgottenLines {
      // Lines resolved while the sweep continues lead to series that have just had an event.
      forgetLines()
      sweep.hasForgottenLines = true
    }
    removeSeries(record, family)
    expiredSeries += 1
  }
}
