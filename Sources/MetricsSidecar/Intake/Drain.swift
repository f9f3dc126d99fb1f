import SidecarHTTP
import SidecarPlatform

/// What the kernel held for the sidecar at one moment, as far as it is not read yet: a scrape waits for
/// it, and it is read in slices between the turns of the loop. A thousand clients with full buffers are
/// 200 MB.
///
/// What must stay true: whatever a client had handed to the kernel when `beginDrain` was called has
/// been applied and committed when `continueDrain` says so; what a flood adds meanwhile is not waited for.
struct Drain {
  /// The connections there were, each with the count of bytes up to which it is read.
  var targets: [(token: UInt32, byteCount: UInt64)] = []
  /// The sockets of datagrams, each with the batches that it may still have.
  var datagrams: [(raw: Int32, source: IntakeCounts.Source, batches: Int)] = []
  /// The server's count of reads when the last one began.
  var readCount: UInt64?

  /// Of one turn, in nanoseconds.
  static let sliceNanoseconds: UInt64 = 2_000_000
}

extension Sidecar {
  /// Reads everything that the kernel holds now, however long it takes: before a reload and at the end.
  func drain(_ now: UInt64) {
    finishHalf()
    beginDrain(now)
    _ = continueDrain(now, until: .max)
  }

  /// The same for scrapes, in slices: has `continueDrain` say when it is done. One is enough for all
  /// requests that came with one read, since what was accepted before them was there already.
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
    for (raw, source) in [
      (sockets.statsd, IntakeCounts.Source.statsd), (sockets.udp, .udp),
      (sockets.spectator, .spectator),
    ] where raw >= 0 { draining.datagrams.append((raw, source, Inbox.batchLimit)) }
    for former in formers {
      draining.datagrams.append((former.socket.raw, former.source, Inbox.batchLimit))
    }
  }

  /// Accepts clients that wait with the kernel; `acceptFailure` says why not.
  func takeWaitingClients() {
    acceptFailure = nil
    acceptQueue(sockets.events, .events)
    acceptQueue(sockets.tcp, .tcp)
  }

  /// Goes on reading until that moment's bytes are applied, or the time is `end`. Whether they are.
  func continueDrain(_ now: UInt64, until end: UInt64) -> Bool {
    if turn.half != .nothing { return false }
    while let socket = draining.datagrams.last {
      let mayHaveMore = inbox.receive(
        from: socket.raw, socket.source, processor, until: end, atMost: 1)
      if mayHaveMore, socket.batches > 1 {
        draining.datagrams[draining.datagrams.count - 1].batches -= 1
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
      // Also where nothing is left to read: it may have closed.
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
