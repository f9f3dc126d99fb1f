import SidecarHTTP
import SidecarPlatform

/// A signal to stop with `--linger`: the sockets stay open and expositions are served, until
/// `Linger` says that the last event was seen, or that its time is over.
///
/// What must stay true: before the sidecar ends, it applies what the kernel holds for it, and
/// checks again whether that was seen. Without `--linger` nothing is checked.
extension Sidecar {
  /// The number of the last event that was applied; pushes count as one each.
  var appliedCount: UInt64 {
    let pushed = push.map { $0.counts.applied + $0.counts.deleted } ?? 0
    return (linger?.base ?? 0) + processor.counts.acceptedCount + pushed
  }

  /// Connections that may bring more events.
  private var openClientCount: Int {
    clientCounts.events + clientCounts.tcp + (server?.takenCount ?? 0)
  }

  /// Switches `--linger` on, before the first turn.
  func prepareLinger(hasValues: Bool) {
    guard settings.lingerNanoseconds > 0 else { return }
    var linger = Linger(
      time: settings.lingerNanoseconds, readerLimit: settings.limits.readers,
      hasValues: hasValues)
    if let kept = kept?.linger.load() { linger.takeOver(kept.text) }
    self.linger = linger
  }

  /// SIGTERM begins the wait; a second one ends it, and so does SIGINT at any time. Under
  /// --supervise the parent turns its second SIGTERM into SIGINT: systemd sends SIGTERM to parent
  /// and worker.
  func stop(isTerminate: Bool, _ now: UInt64) {
    if linger?.isStopping == true || draining.isStopping || !isTerminate {
      if !isTerminate || !settings.supervises { linger?.hurry() }
    }
    // Apply what came before the signal before checking whether it was seen.
    if draining.stoppedAt == 0 { draining.stoppedAt = now }
    draining.isStopping = true
    draining.isDue = true
  }

  /// What came before the signal is applied.
  func stopDrained(_ now: UInt64) {
    guard linger != nil else {
      server?.stop(now: now)
      return
    }
    var underway: [UInt64] = []
    _ = server?.collectReceipts { underway.append($0.reader) }
    linger?.stop(now: draining.stoppedAt, underway: underway)
    keepLinger()
    lingerDue = 0
  }

  /// The reader that receives a whole exposition with this request; 0 for none.
  func reader(
    _ request: Request, _ head: RawSpan, _ kind: ScrapeKind, _ response: borrowing ResponseWriter
  ) -> UInt64 {
    guard let linger, request.method == .get, kind.filter.names.isEmpty else { return 0 }
    let (high, low) = server?.peerAddress(response.ticket) ?? (0, 0)
    let key = linger.hashKey
    let address = key.fold(key.hash(high), low)
    guard let agent = request.field("user-agent", in: head) else { return address | 1 }
    return key.fold(address, key.hash(agent)) | 1
  }

  /// The reader's kernel has acknowledged a whole exposition.
  func received(_ receipt: Receipt) {
    linger?.taken(receipt.mark, by: receipt.reader, now: Clock.monotonicNanoseconds)
    keepLinger()
  }

  private func keepLinger() {
    guard let linger, let kept else { return }
    Self.keep(linger.bytes, kept)
  }

  private static func keep(_ bytes: borrowing ByteBuffer, _ kept: LastGoodFiles) {
    kept.linger.store(bytes.bytes, note: 0)
  }

  /// An exposition is being sent while the sidecar lingers: check soon whether it was received.
  func expectReceipt(_ now: UInt64) {
    guard linger?.isStopping == true, lingerDue != 0 else { return }
    receiptPause = Self.firstReceiptPause
    lingerDue = min(lingerDue, now + receiptPause)
  }

  private static let firstReceiptPause: UInt64 = 5_000_000
  private static let lastReceiptPause: UInt64 = 250_000_000

  private func verdict(_ now: UInt64) -> Linger.Verdict? {
    guard let linger, linger.isStopping, !hasLingered else { return nil }
    return linger.verdict(applied: appliedCount, clientCount: openClientCount, now: now)
  }

  /// At the end of a turn: makes the loop check at once if the wait is over.
  func noteLinger(_ now: UInt64) {
    if !draining.isLastLook, case .ends = verdict(now) { lingerDue = 0 }
  }

  /// Checks again once what the kernel holds is applied: it ends if the verdict is the same then.
  func endLinger(_ now: UInt64) {
    guard case .ends(let reason) = verdict(now) else {
      lingerDue = 0
      return
    }
    hasLingered = true
    tell(reason, now)
    server?.stop(now: now)
  }

  /// Begins to end, or sets when to check again.
  func lookAtLinger(_ now: UInt64) {
    lingerDue = .max
    let isReceiptDue = server?.collectReceipts() ?? false
    switch verdict(now) {
    case nil: break
    case .ends:
      draining.isLastLook = true
      draining.isDue = true
    case .goesOn(let end):
      lingerDue = end
      if isReceiptDue {
        lingerDue = min(end, now + receiptPause)
        receiptPause = min(2 * receiptPause, Self.lastReceiptPause)
      }
      guard !isLingerTold else { return }
      isLingerTold = true
      settings.log.info(
        joined(
          "Told to stop: goes on until the last events are scraped, ",
          Quantity.text(Int64(settings.lingerNanoseconds / 1_000_000)), " at most"))
    }
  }

  private func tell(_ reason: Linger.Reason, _ now: UInt64) {
    guard let linger else { return }
    let why =
      switch reason {
      case .seen: "its readers have taken the last events"
      case .timeIsOver: "the time of --linger is over"
      case .signal: "a further signal came"
      }
    let unseen = linger.unseenCount(applied: appliedCount)
    let line = joined(
      "Ends ", ((now - min(now, linger.stoppedAt)) / 1_000_000).description,
      " ms after it was told to: ", why, "; ", unseen.description,
      " events that no scrape has seen")
    if unseen > 0 { settings.log.warning(line) } else { settings.log.info(line) }
  }
}
