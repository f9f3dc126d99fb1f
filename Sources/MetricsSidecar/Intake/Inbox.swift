import SidecarEvents
import SidecarPlatform

/// Datagrams on their way from the kernel to the series.
///
/// Under a supervisor the batch that is being applied lies in memory that the parent keeps, with its
/// number; the state file takes the number in the commit that takes the batch's effect. So a worker
/// that was killed anywhere leaves a batch that its successor applies once, whole: nothing that the
/// kernel had accepted is lost.
///
/// What must stay true: nothing is received before the last batch is committed, if supervised.
final class Inbox {
  private var datagrams: Datagrams
  private let isSupervised: Bool
  /// The state file's cell with the number of the last batch applied; -1 if there is none.
  private var positionCell = -1

  /// Indexes of `Datagrams.shared`, behind the supervisor's own.
  private static let recovered = 1
  private static let lost = 2
  private static let attempts = 3
  /// A batch that has killed so many workers is given up.
  private static let attemptLimit = 10

  init(_ datagrams: consuming Datagrams, isSupervised: Bool) {
    self.datagrams = datagrams
    self.isSupervised = isSupervised
  }

  /// Workers that were killed, datagrams that were taken over from one, and those given up.
  var restartCount: UInt64 { datagrams.shared(Supervisor.restarts) }
  var recoveredCount: UInt64 { datagrams.shared(Self.recovered) }
  var lostCount: UInt64 { datagrams.shared(Self.lost) }

  /// Receives what is waiting, as far as one turn may: a flood does not hold up the rest.
  @_optimize(speed)
  func receive(from raw: Int32, _ source: IntakeCounts.Source, _ applier: Applier) {
    for _ in 0..<16 {
      guard case .bytes(let count) = datagrams.receive(from: raw, source: source.rawValue) else {
        return
      }
      apply(source, applier)
      if count < Datagrams.capacity { return }
    }
  }

  @_optimize(speed)
  private func apply(_ source: IntakeCounts.Source, _ applier: Applier) {
    applier.begin(isStatsD: source == .udp)
    for index in 0..<datagrams.count {
      if datagrams.isTruncated(index) {
        applier.counts.datagramsTruncated += 1
      } else {
        applier.datagram(datagrams.bytes(index), source)
      }
    }
    commit(applier)
  }

  @_optimize(speed)
  private func commit(_ applier: Applier) {
    guard positionCell >= 0 else { return }
    applier.registry.state.store(positionCell, datagrams.number)
    applier.registry.commit()
  }

  // MARK: Taking over

  /// Applies what a worker that was killed has left. Before anything is received.
  func recover(_ applier: Applier, log: Log) {
    guard isSupervised else { return }
    let registry = applier.registry
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
      commit(applier)
    } else {
      apply(source, applier)
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
