import SidecarHTTP
import SidecarPlatform

/// The unread rest of what the kernel held for the sidecar at one moment: a scrape, new rules and a
/// signal to stop wait for it, and it is read in slices between the turns of the loop. A thousand
/// clients with full buffers hold 200 MB.
///
/// What must stay true: whatever a client had handed to the kernel when `beginDrain` was called has
/// been applied and committed when `continueDrain` says so; it does not wait for what a flood adds
/// meanwhile. A drain that begins before another one is over includes that one.
struct Drain {
  /// The rules that come into force then, and the requests that are answered.
  var rules: Rules?
  var tickets: [Ticket] = []
  /// A signal to stop: when the first one came, and whether one has not taken effect yet.
  var stoppedAt: UInt64 = 0
  var isStopping = false
  /// The wait of `--linger` seems to be over.
  var isLastLook = false

  /// Whether something other than a scrape waits.
  var isAwaited: Bool { rules != nil || isStopping || isLastLook }
  /// Whether one of these came since the last one began.
  var isDue = false

  /// The connections at that moment, each with the count of bytes up to which to read it.
  var targets: [(token: UInt32, byteCount: UInt64)] = []
  /// The datagram sockets, each with what it can still have held, in the kernel's bytes.
  var datagrams: [(raw: Int32, source: IntakeCounts.Source, byteCount: Int)] = []
  /// The server's count of reads when the last one began.
  var readCount: UInt64?

  /// The time per turn, in nanoseconds.
  static let sliceNanoseconds: UInt64 = 2_000_000
}

extension Sidecar {
  /// Reads everything that the kernel holds now, however long it takes: at the end, when nobody is
  /// served any more.
  func drain(_ now: UInt64) {
    finishHalf()
    beginDrain(now)
    _ = continueDrain(now, until: .max)
  }

  /// Does what waits for a drain once that is over; until then reads another slice.
  func continueAwaited(_ now: UInt64) {
    if draining.isDue {
      draining.isDue = false
      beginDrain(now)
    }
    let end = Clock.monotonicNanoseconds + Drain.sliceNanoseconds
    guard continueDrain(now, until: end) else { return }
    if let rules = draining.rules.take() { use(rules, now) }
    if draining.isStopping {
      draining.isStopping = false
      stopDrained(now)
    }
    if draining.isLastLook {
      draining.isLastLook = false
      endLinger(now)
    }
  }

  /// The same for scrapes, in slices: `continueDrain` reports when it is done. One drain is enough
  /// for all requests that came with one read, since what was accepted before them was there
  /// already.
  func beginDrainForRequest(_ now: UInt64) {
    if let server, draining.readCount == server.readCount { return }
    beginDrain(now)
  }

  private func beginDrain(_ now: UInt64) {
    draining.readCount = server?.readCount
    takeWaitingClients()
    draining.targets.removeAll(keepingCapacity: true)
    for connection in connections {
      guard let connection else { continue }
      let left = Socket.readableByteCount(connection.socket.raw) ?? 4 << 20
      draining.targets.append((connection.token, connection.readByteCount + UInt64(left)))
    }
    draining.datagrams.removeAll(keepingCapacity: true)
    // The kernel doubles what it is asked for. A Unix socket holds 512 datagrams.
    let most = max(64 << 20, 2 * min(settings.receiveBufferByteCount, 500 << 20))
    for (raw, source) in [
      (sockets.statsd, IntakeCounts.Source.statsd), (sockets.udp, .udp),
      (sockets.spectator, .spectator),
    ] where raw >= 0 { draining.datagrams.append((raw, source, most)) }
    for former in formers { draining.datagrams.append((former.socket.raw, former.source, most)) }
  }

  /// Accepts clients that wait in the kernel; `acceptFailure` says why not.
  func takeWaitingClients() {
    acceptFailure = nil
    acceptQueue(sockets.events, .events)
    acceptQueue(sockets.tcp, .tcp)
  }

  /// Continues reading until that moment's bytes are applied, or until `end`. Returns whether they
  /// are.
  func continueDrain(_ now: UInt64, until end: UInt64) -> Bool {
    if turn.half != .nothing { return false }
    while let socket = draining.datagrams.last {
      let mayHaveMore = inbox.receive(
        from: socket.raw, socket.source, processor, until: end, atMost: 1)
      let left = socket.byteCount - inbox.batchByteCount
      if mayHaveMore, left > 0 {
        draining.datagrams[draining.datagrams.count - 1].byteCount = left
      } else {
        draining.datagrams.removeLast()
      }
      if inbox.isHalfApplied {
        turn.half = .datagrams
        return false
      }
      if mayHaveMore, Clock.monotonicNanoseconds >= end { return false }
    }
    while let target = draining.targets.last {
      // Also if nothing is left to read: it may have closed.
      if let connection = connection(target.token), connection.readByteCount <= target.byteCount,
        read(connection, now, until: end) > 0
      {
        if turn.half != .nothing { return false }
        if Clock.monotonicNanoseconds >= end { return false }
      } else {
        draining.targets.removeLast()
      }
    }
    processor.registry.forgetAbsentSessions()
    processor.registry.commit()
    acknowledge()
    if sockets.udp >= 0 { selfMetrics.udpDropCount = Socket.dropCount(sockets.udp) }
    if let server { selfMetrics.http = (server.connectionCount, server.closed) }
    if let otlp { selfMetrics.otlp = otlp.counts }
    selfMetrics.clientMemoryByteCount = clientMemory.byteCount
    if settings.supervises {
      selfMetrics.supervision = (inbox.restartCount, inbox.recoveredCount, inbox.lostCount)
    }
    return true
  }
}
