import SidecarEvents
import SidecarHTTP
import SidecarPlatform

/// The sidecar: what its sockets bring is applied, committed and acknowledged once a turn. What it
/// answers over HTTP is in Web/.
///
/// What must stay true: an acknowledgement follows its commit; a scrape drains what the kernel holds
/// before it is answered; with nothing to do, nothing wakes up.
final class Sidecar: Responder {
  let applier: Applier
  let settings: Settings
  let page: Page
  var server: Server<Sidecar>?
  let sockets: IntakeSockets
  private let signals: Signals
  let inbox: Inbox
  /// What clients hold, by HTTP and by events.
  let clientMemory: ClientMemory
  private var connections: [EventConnection?] = []
  private var free: [Int] = []
  /// Connections that a timer looks at, instead of the kernel waking us at each write.
  private var polled: [UInt32] = []
  private var nextLook = UInt64.max
  /// When to look again at listeners whose clients cannot be taken.
  private var resumeAt = UInt64.max
  var selfMetrics: SelfMetrics
  /// Pages that are being written between the turns of the loop.
  var scrapes = ScrapeQueue()
  var push: PushAPI?
  var kept: KeptFiles?
  /// Sockets whose files were removed; clients that hold them still come in.
  var formers: [FormerSocket] = []
  /// When to go on with passwords of pushes.
  var passwordsDue = UInt64.max
  /// Why the kernel gave us no connection since the last `drain` began.
  private(set) var acceptFailure: Errno?
  /// What keeps intake from being whole, as far as the last look at it; empty: nothing.
  var trouble = ""
  /// Those that have read something since the last commit.
  private var touched: [UInt32] = []

  /// Between two looks at a busy client: long enough that its writes wake nobody.
  private static let lookNanoseconds: UInt64 = 2_000_000
  private static let pauseNanoseconds: UInt64 = 250_000_000

  private static let eventsToken: UInt32 = 0
  private static let statsdToken: UInt32 = 1
  private static let signalsToken: UInt32 = 2
  private static let udpToken: UInt32 = 3
  private static let tcpToken: UInt32 = 4
  private static let spectatorToken: UInt32 = 5
  static let firstFormer: UInt32 = 6
  static let formerLimit = 10
  private static let firstConnection: UInt32 = 16

  init(
    registry: Registry, settings: Settings, sockets: IntakeSockets,
    datagrams: consuming Datagrams, signals: consuming Signals, stateResets: UInt64
  ) {
    applier = Applier(registry: registry, limits: settings.limits)
    clientMemory = ClientMemory(limit: settings.limits.clientMemoryByteCount)
    applier.log = settings.log
    self.settings = settings
    page = Page(flags: settings.push.isAdmin ? "push-admin" : "")
    self.sockets = sockets
    self.signals = signals
    inbox = Inbox(datagrams, isSupervised: settings.supervises)
    selfMetrics = SelfMetrics()
    selfMetrics.stateResets = stateResets
    selfMetrics.openFileLimit = Process.openFileLimit
    for (source, raw) in [
      (IntakeCounts.Source.events, sockets.events), (.statsd, sockets.statsd),
      (.udp, sockets.udp), (.tcp, sockets.tcp), (.spectator, sockets.spectator),
    ] { selfMetrics.isOpen[source.rawValue] = raw >= 0 }
  }

  /// Serves until a signal ends it.
  func run(_ listener: consuming Descriptor) throws(Errno) {
    inbox.recover(applier, log: settings.log)
    var limits = HTTPLimits()
    limits.connections = settings.limits.httpConnections
    limits.unsentBodyByteCount = settings.limits.unreadPageByteCount
    if push != nil { limits.bodyByteCount = settings.push.limits.bodyByteCount }
    let server = try Server(
      listener: listener, limits: limits, responder: self, memory: clientMemory)
    self.server = server
    try server.watch(signals.raw, .readable, token: Self.signalsToken)
    for (source, raw) in [
      (IntakeCounts.Source.events, sockets.events), (.statsd, sockets.statsd),
      (.udp, sockets.udp), (.tcp, sockets.tcp), (.spectator, sockets.spectator),
    ] where raw >= 0 { try watch(raw, source) }
    if settings.supervises { try takeParked() }
    settings.log.info(
      "Serving metrics on http://\(settings.listen.description)/metrics (CTRL + C to quit)")
    server.run()
    Phase.end.enter()
    drain(Clock.monotonicNanoseconds)
    _ = keepFiles()
    applier.registry.state.endInOrder()
    push?.store.file.endInOrder()
    self.server = nil
    settings.log.info("Stopped: everything received is counted and kept")
  }

  func watch(_ raw: Int32, _ source: IntakeCounts.Source) throws(Errno) {
    let token = Self.token(of: source)
    switch source {
    case .events, .tcp: try server?.watch(raw, .readable, token: token)
    case .statsd, .udp, .spectator: try server?.watchBusy(raw, token: token)
    }
  }

  private static func token(of source: IntakeCounts.Source) -> UInt32 {
    switch source {
    case .events: eventsToken
    case .statsd: statsdToken
    case .udp: udpToken
    case .tcp: tcpToken
    case .spectator: spectatorToken
    }
  }

  // MARK: The loop

  func ready(_ token: UInt32, _ interest: Poller.Interest, now: UInt64) {
    phase(of: token).enter()
    switch token {
    case Self.eventsToken: accept(sockets.events, .events)
    case Self.tcpToken: accept(sockets.tcp, .tcp)
    case Self.statsdToken: receiveDatagrams(sockets.statsd, .statsd)
    case Self.spectatorToken: receiveDatagrams(sockets.spectator, .spectator)
    case Self.udpToken: receiveDatagrams(sockets.udp, .udp)
    case Self.signalsToken: handleSignals(now)
    case ..<Self.firstConnection:
      let former = formers[Int(token - Self.firstFormer)]
      receiveDatagrams(former.socket.raw, former.source)
    default: readConnection(token, now)
    }
  }

  private func phase(of token: UInt32) -> Phase {
    switch token {
    case Self.statsdToken, Self.spectatorToken, Self.udpToken: .datagrams
    case Self.signalsToken: .signal
    case Self.firstFormer..<Self.firstConnection: .datagrams
    default: .events
    }
  }

  func turnEnds(now: UInt64) {
    Phase.commit.enter()
    applier.registry.commit()
    acknowledge()
    applier.registry.turnEnded(now: now, isRead: scrapes.current != nil)
  }

  func nextDeadline() -> UInt64 {
    scrapes.isIdle
      ? min(min(nextLook, resumeAt), min(passwordsDue, applier.registry.expiry.due)) : 0
  }

  func deadlineReached(now: UInt64) {
    if !scrapes.isIdle {
      Phase.page.enter()
      continueScrapes(now)
    }
    if now >= passwordsDue {
      Phase.request.enter()
      continuePasswords(now)
    }
    Phase.events.enter()
    if now >= nextLook { look(now) }
    if now >= resumeAt { resumeListeners() }
    guard now >= applier.registry.expiry.due else { return }
    Phase.expiry.enter()
    applier.registry.expire(now: now)
  }

  private func look(_ now: UInt64) {
    let looking = polled
    polled.removeAll(keepingCapacity: true)
    nextLook = .max
    for token in looking {
      guard let connection = connection(token) else { continue }
      if read(connection, now) > 0, !connection.isFlooding {
        polled.append(token)
        nextLook = now + Self.lookNanoseconds
      } else if self.connection(token) != nil {
        // Nothing came, or more than a look can take: the kernel shall wake us again.
        connection.isPolled = false
        setInterest(connection)
      }
    }
  }

  private func handleSignals(_ now: UInt64) {
    var isReload = false
    while let signal = signals.next() {
      switch signal {
      case .hangup: isReload = true
      case .terminate, .interrupt: server?.stop(now: now)
      }
    }
    // Those that wait are one.
    if isReload { _ = reload() }
  }

  // MARK: Connections

  /// Takes connections that wait, 64 at most; whether more may wait.
  @discardableResult
  private func accept(_ listener: Int32, _ source: IntakeCounts.Source) -> Bool {
    guard listener >= 0 else { return false }
    for _ in 0..<64 {
      let socket: Descriptor
      do throws(Errno) {
        socket = try Socket.accept(listener)
      } catch {
        if error.isShortage, Socket.hasWaiting(listener) {
          acceptFailure = error
          pause(listener, source)
        }
        return false
      }
      guard selfMetrics.connections < settings.limits.connections else {
        applier.counts.connectionsRefused += 1
        continue
      }
      let slot = free.popLast() ?? connections.count
      let token = Self.firstConnection + UInt32(slot)
      let descriptor = socket.raw
      let connection = EventConnection(
        socket, token: token, source: source, limits: applier.limits,
        owner: applier.registry.owners.connect())
      if slot == connections.count {
        connections.append(connection)
      } else {
        connections[slot] = connection
      }
      selfMetrics.connections += 1
      do throws(Errno) {
        try server?.watch(descriptor, .readable, token: token)
      } catch { close(connection) }
    }
    return true
  }

  /// Those who wait stay with the kernel until a client goes, or for a moment. Told of them all the
  /// time, the loop would spin.
  private func pause(_ listener: Int32, _ source: IntakeCounts.Source) {
    if resumeAt == .max { resumeAt = Clock.monotonicNanoseconds + Self.pauseNanoseconds }
    do throws(Errno) {
      try server?.change(listener, [], token: Self.token(of: source))
    } catch {}
  }

  private func resumeListeners() {
    resumeAt = .max
    for (listener, token) in [(sockets.events, Self.eventsToken), (sockets.tcp, Self.tcpToken)]
    where listener >= 0 {
      do throws(Errno) { try server?.change(listener, .readable, token: token) } catch {}
    }
  }

  /// Takes what a listener's queue can hold (`net.core.somaxconn`), not what keeps coming.
  func acceptQueue(_ listener: Int32, _ source: IntakeCounts.Source) {
    for _ in 0..<64 {
      guard accept(listener, source) else { return }
    }
  }

  private func connection(_ token: UInt32) -> EventConnection? {
    guard token >= Self.firstConnection else { return nil }
    let slot = Int(token - Self.firstConnection)
    return slot < connections.count ? connections[slot] : nil
  }

  private func readConnection(_ token: UInt32, _ now: UInt64) {
    guard let connection = connection(token) else { return }
    // It may have room again for acknowledgements.
    if connection.isBlocked { touched.append(token) }
    guard read(connection, now) > 0, !connection.isPolled, !connection.isFlooding else { return }
    connection.isPolled = true
    setInterest(connection)
    polled.append(token)
    nextLook = min(nextLook, now + Self.lookNanoseconds)
  }

  /// Reads once; how many bytes came.
  private func read(_ connection: EventConnection, _ now: UInt64) -> Int {
    switch connection.receive(applier, now) {
    case .read(let byteCount):
      connection.note(byteCount, now, windowNanoseconds: Self.lookNanoseconds)
      touched.append(connection.token)
      return byteCount
    case .nothing: return 0
    case .closed:
      close(connection)
      return 0
    case .broken(let reason):
      let socket = connection.source == .tcp ? "tcp" : "events.sock"
      settings.log.warning("\(socket): closed a client: \(reason)")
      applier.registry.commit()
      connection.acknowledge(applier)
      close(connection)
      return 0
    }
  }

  private func setInterest(_ connection: EventConnection) {
    var interest: Poller.Interest = connection.isPolled ? [] : .readable
    if connection.isBlocked { interest.insert(.writable) }
    do throws(Errno) {
      try server?.change(connection.socket.raw, interest, token: connection.token)
    } catch { close(connection) }
  }

  /// Writes what the last commit allows to say, once for each connection that was read.
  private func acknowledge() {
    guard !touched.isEmpty else { return }
    for token in touched {
      guard let connection = connection(token) else { continue }
      let wasBlocked = connection.isBlocked
      connection.acknowledge(applier)
      if connection.isBlocked != wasBlocked { setInterest(connection) }
    }
    touched.removeAll(keepingCapacity: true)
  }

  private func close(_ connection: EventConnection) {
    let slot = Int(connection.token - Self.firstConnection)
    guard slot < connections.count, connections[slot] === connection else { return }
    if let id = connection.sessionID { applier.registry.close(id) }
    applier.registry.connectionEnded(connection.owner)
    applier.heldByteCount -= connection.heldByteCount
    server?.unwatch(connection.socket.raw)
    connections[slot] = nil
    free.append(slot)
    selfMetrics.connections -= 1
    if resumeAt != .max { resumeAt = 0 }
  }

  // MARK: Datagrams

  private func receiveDatagrams(_ raw: Int32, _ source: IntakeCounts.Source) {
    guard raw >= 0 else { return }
    inbox.receive(from: raw, source, applier)
  }

  /// Takes everything that the kernel holds for us, so that a scrape sees what was accepted before
  /// it came; not what a flood adds meanwhile.
  func drain(_ now: UInt64) {
    acceptFailure = nil
    acceptQueue(sockets.events, .events)
    acceptQueue(sockets.tcp, .tcp)
    for connection in connections {
      guard let connection else { continue }
      var left = Socket.readableByteCount(connection.socket.raw) ?? 4 << 20
      while left >= 0, self.connection(connection.token) === connection {
        let byteCount = read(connection, now)
        if byteCount == 0 { break }
        left -= byteCount
      }
    }
    receiveDatagrams(sockets.statsd, .statsd)
    receiveDatagrams(sockets.udp, .udp)
    receiveDatagrams(sockets.spectator, .spectator)
    for former in formers { receiveDatagrams(former.socket.raw, former.source) }
    applier.registry.forgetAbsentSessions()
    applier.registry.commit()
    acknowledge()
    if sockets.udp >= 0 { selfMetrics.udpDropCount = Socket.dropCount(sockets.udp) }
    if let server { selfMetrics.http = (server.connectionCount, server.closed) }
    selfMetrics.clientMemoryByteCount = clientMemory.byteCount
    if settings.supervises {
      selfMetrics.supervision = (inbox.restartCount, inbox.recoveredCount, inbox.lostCount)
    }
  }
}
