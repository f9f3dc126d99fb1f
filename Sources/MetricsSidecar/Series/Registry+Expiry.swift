import SidecarEvents
import SidecarPlatform

/// Series that had no event for their time to live: they leave the page, and their records, lines
/// and families are used again.
///
/// What must stay true: no known line leads to a record that is out of use. A sweep takes several
/// turns and one moment for all of them: whatever has an event meanwhile is younger, and stays.
extension Registry {
  /// Series are looked at so many a turn, so that intake does not wait.
  private static let sliceCount = 8192

  /// Where a sweep is.
  struct ExpirySweep {
    var startedAt: UInt64 = 0
    var family = 0
    var series = 0
    /// When the next series can expire.
    var next = UInt64.max
    var hasForgottenLines = false
  }

  /// After each commit. `isRead` while a page is being written from records as they are.
  @inline(__always)
  func turnEnded(now: UInt64, isRead: Bool) {
    if expiry.isOn { expiry.note(state.committed, now: now) }
    if !isRead, !retired.isEmpty { recycleRetired() }
    if lines.isFull { forgetFullLines(now: now) }
  }

  /// A connection that used the session has gone.
  func close(_ id: SessionID) {
    sessions.close(id, now: Clock.unixNanoseconds, in: state)
    expiry.arm(limits.sessionTimeToLive, now: monotonicNow)
  }

  /// The time to live of a family, in nanoseconds; 0 is for ever.
  func timeToLive(_ family: Family) -> UInt64 {
    family.timeToLive ?? limits.seriesTimeToLive
  }

  /// Looks for a part of the series. `now` is monotonic, in nanoseconds.
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
    // An expired series' last moment may be known late; sweeps are not closer than that.
    expiry.due = sweep.next == .max ? .max : max(sweep.next, now + max(1, expiry.shortest / 16))
    sweep.startedAt = 0
  }

  /// Looks at some series of one family, and goes on to the next one at its end. How many it was.
  private func expireSeries(of index: Int, atMost limit: Int) -> Int {
    let family = families[index]
    let ttl = timeToLive(family)
    // An event between two turns may have had the family start again.
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
      // Those that come back while the sweep goes on lead to series that have just had an event.
      forgetLines()
      sweep.hasForgottenLines = true
    }
    removeSeries(record, family)
    expiredSeries += 1
  }
}
