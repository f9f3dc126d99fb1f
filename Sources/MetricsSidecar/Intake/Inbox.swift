import SidecarEvents
import SidecarPlatform

/// Datagrams on their way from the kernel to the series.
///
/// Under a supervisor the batch being applied is in memory that the parent keeps, with its number;
/// the number is part of the same commit as the batch's effect. So a worker killed anywhere leaves
/// a batch that its successor applies once, completely: nothing that the kernel had accepted is
/// lost.
///
/// What must stay true: nothing is received before the last batch is committed, if supervised.
final class Inbox {
  private var datagrams: Datagrams
  private let isSupervised: Bool
  /// The state file's cell with the number of the last batch applied; -1 if there is none.
  private var positionCell = -1
  /// The datagram to apply next, and from where on, where the time of a turn was over before the
  /// batch's end; else -1.
  private var next = -1
  private var nextStart = 0
  /// Whether a batch is applied in part: `goOn` before anything else.
  var isHalfApplied: Bool { next >= 0 }

  /// Indexes of `Datagrams.shared`, after the supervisor's own.
  private static let recovered = 1
  private static let lost = 2
  private static let attempts = 3
  /// A batch that has killed this many workers is given up.
  private static let attemptLimit = 10

  init(_ datagrams: consuming Datagrams, isSupervised: Bool) {
    self.datagrams = datagrams
    self.isSupervised = isSupervised
  }

  /// Killed workers, datagrams recovered from one, and those given up.
  var restartCount: UInt64 { datagrams.shared(Supervisor.restarts) }
  var recoveredCount: UInt64 { datagrams.shared(Self.recovered) }
  var lostCount: UInt64 { datagrams.shared(Self.lost) }

  /// The most batches of one socket per turn.
  static let batchLimit = 16

  /// What the last batch had taken of the kernel's room, at least, in bytes.
  var batchByteCount: Int {
    var count = 0
    for index in 0..<datagrams.count { count += 512 + datagrams.bytes(index).byteCount }
    return count
  }

  /// Receives what is waiting, up to one turn's share, so that a flood does not hold up the rest.
  /// Returns whether more may be waiting.
  @_optimize(speed)
  func receive(
    from raw: Int32, _ source: IntakeCounts.Source, _ processor: LineProcessor, until end: UInt64,
    atMost batches: Int = batchLimit
  ) -> Bool {
    for _ in 0..<batches {
      guard case .bytes(let count) = datagrams.receive(from: raw, source: source.rawValue) else {
        return false
      }
      apply(from: 0, source, processor, until: end)
      if isHalfApplied { return true }
      if count < Datagrams.capacity { return false }
      if Clock.monotonicNanoseconds >= end { return true }
    }
    return true
  }

  /// Continues with the half-applied batch.
  func goOn(_ processor: LineProcessor, until end: UInt64) {
    guard isHalfApplied, let source = IntakeCounts.Source(rawValue: datagrams.source) else {
      return
    }
    apply(from: next, source, processor, until: end)
  }

  @_optimize(speed)
  private func apply(
    from first: Int, _ source: IntakeCounts.Source, _ processor: LineProcessor, until end: UInt64
  ) {
    processor.begin(isStatsD: source == .udp)
    var byteCount = 0
    var start = nextStart
    nextStart = 0
    for index in first..<datagrams.count {
      if datagrams.isTruncated(index) {
        processor.counts.datagramsTruncated += 1
        processor.refusals.note("datagram_too_long", source.name, datagrams.bytes(index))
      } else {
        let stop = Self.apply(index, of: datagrams, from: start, source, processor, until: end)
        start = 0
        byteCount += stop
        if processor.hasEnded {
          (next, nextStart) = (index, stop)
          return
        }
      }
      guard byteCount > IntakeTurn.smallByteCount else { continue }
      byteCount = 0
      if end != .max, index + 1 < datagrams.count, Clock.monotonicNanoseconds >= end {
        next = index + 1
        return
      }
    }
    next = -1
    commit(processor)
  }

  /// One of them; where it stopped.
  @inline(__always)
  private static func apply(
    _ index: Int, of datagrams: borrowing Datagrams, from start: Int,
    _ source: IntakeCounts.Source, _ processor: LineProcessor, until end: UInt64
  ) -> Int {
    processor.datagram(datagrams.bytes(index), from: start, source, until: end)
  }

  @_optimize(speed)
  private func commit(_ processor: LineProcessor) {
    guard positionCell >= 0 else { return }
    processor.registry.state.store(positionCell, datagrams.number)
    processor.registry.commit()
  }

  // MARK: Taking over

  /// Applies the batch of a killed worker. Call it before receiving anything.
  func recover(_ processor: LineProcessor, log: Log) {
    guard isSupervised else { return }
    let registry = processor.registry
    // The parent's life is a session, its batches are the frames.
    let now = Clock.unixNanoseconds
    guard let slot = registry.sessions.open(session, now: now, in: registry.state) else {
      return log.warning(
        "no room for a session: what a killed worker has received and not applied would be lost")
    }
    positionCell = slot.positionCell
    guard restartCount > 0, registry.state.value(positionCell) != datagrams.number else { return }
    datagrams.restore()
    let count = datagrams.count
    guard count > 0, let source = IntakeCounts.Source(rawValue: datagrams.source) else { return }
    if datagrams.addShared(Self.attempts, 1) > UInt64(Self.attemptLimit) {
      datagrams.addShared(Self.lost, UInt64(count))
      log.error(
        joined(
          count.description, " datagrams are given up: ", Self.attemptLimit.description,
          " workers died of them"))
      commit(processor)
    } else {
      apply(from: 0, source, processor, until: .max)
      datagrams.addShared(Self.recovered, UInt64(count))
      log.info(
        joined(count.description, " datagrams that the killed worker had received are applied"))
    }
    datagrams.addShared(Self.attempts, 0 &- datagrams.shared(Self.attempts))
  }

  private var session: SessionID {
    SessionID(high: datagrams.identity.0, low: datagrams.identity.1)
  }
}
