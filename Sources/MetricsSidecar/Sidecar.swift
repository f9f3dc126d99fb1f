import SidecarEvents
import SidecarHTTP
import SidecarPlatform

/// The sidecar: applies, commits and acknowledges the input of its sockets once per turn. Its HTTP
/// answers are in Web/.
///
/// What must stay true: an acknowledgement follows its commit; a scrape drains what the kernel
/// holds before it is answered; with nothing to do, nothing wakes up.
final class Sidecar: Responder {
  let processor: LineProcessor
  let settings: Settings
  let dashboard: Dashboard
  var server: Server<Sidecar>?
  let sockets: IntakeSockets
  private let signals: Signals
  let inbox: Inbox
  /// The memory that clients of HTTP and of events hold.
  let clientMemory: ClientMemory
  var connections: [EventConnection?] = []
  var freeConnections: [Int] = []
  /// Clients of events.sock and of TCP.
  var clientCounts = (events: 0, tcp: 0)
  /// Whether a client of events.sock was refused since there was last room.
  var hasRefused = false
  /// Connections that a timer checks, instead of the kernel waking us at each write.
  var polled: [UInt32] = []
  var nextLook = UInt64.max
  var selfMetrics: SelfMetrics
  /// Expositions that are being written between the turns of the loop.
  var scrapes = ScrapeQueue()
  var push: PushAPI?
  /// Where `--otlp` is given.
  var otlp: OTLPIntake?
  var kept: LastGoodFiles?
  /// With `--linger` only.
  var linger: Linger?
  /// When to check whether the last events were seen, and the pause between two checks of a scrape.
  var lingerDue = UInt64.max
  var receiptPause: UInt64 = 0
  var isLingerTold = false
  var hasLingered = false
  /// Sockets whose files were removed; their clients can still send.
  var formers: [OrphanedSocket] = []
  /// When to continue with passwords of pushes.
  var passwordsDue = UInt64.max
  /// Why the kernel gave us no connection since the last `drain` began.
  var acceptFailure: Errno?
  /// What impairs intake, according to the last check; empty: nothing.
  var trouble = ""
  var connectionLines = LogRate()
  var clientLines = LogRate()
  let history: History
  /// The rest of the input that a scrape must include.
  var draining = Drain()
  /// The input of this turn, and what it leaves to the next.
  var turn = IntakeTurn()
  /// Connections that were read since the last commit.
  var touched: [UInt32] = []

  /// The time between two checks of a busy client: long enough that its writes wake nobody.
  static let lookNanoseconds: UInt64 = 2_000_000

  static let eventsToken: UInt32 = 0
  private static let statsdToken: UInt32 = 1
  private static let signalsToken: UInt32 = 2
  private static let udpToken: UInt32 = 3
  static let tcpToken: UInt32 = 4
  private static let spectatorToken: UInt32 = 5
  private static let otlpToken: UInt32 = 6
  static let firstFormer: UInt32 = 7
  static let formerLimit = 10
  static let firstConnection: UInt32 = 17

  init(
    registry: Registry, settings: Settings, sockets: IntakeSockets,
    datagrams: consuming Datagrams, signals: consuming Signals, stateResets: UInt64
  ) {
    processor = LineProcessor(registry: registry, limits: settings.limits)
    clientMemory = ClientMemory(
      limit: settings.limits.clientMemoryByteCount - settings.limits.reservedByteCount)
    processor.log = settings.log
    processor.refusals.log = settings.log
    processor.gaugeMinus = settings.gaugeMinus
    processor.dialects = settings.dialects
    self.settings = settings
    dashboard = Dashboard(flags: settings.push.isAdmin ? "push-admin" : "")
    history = History(byteLimit: settings.limits.historyByteCount)
    self.sockets = sockets
    self.signals = signals
    inbox = Inbox(datagrams, isSupervised: settings.supervises)
    selfMetrics = SelfMetrics()
    selfMetrics.memory = MemoryBound(settings, limit: Process.memoryLimit)
    selfMetrics.stateResets = stateResets
    selfMetrics.openFileLimit = Process.openFileLimit
    for (source, raw) in [
      (IntakeCounts.Source.events, sockets.events), (.statsd, sockets.statsd),
      (.udp, sockets.udp), (.tcp, sockets.tcp), (.spectator, sockets.spectator),
    ] { selfMetrics.isOpen[source.rawValue] = raw >= 0 }
    guard !sockets.otlp.isEmpty else { return }
    selfMetrics.isOpen[IntakeCounts.Source.otlp.rawValue] = true
    otlp = OTLPIntake(processor, settings.otlp)
  }

  /// Serves until a signal ends it.
  func run(_ listener: consuming Descriptor) throws(Errno) {
    inbox.recover(processor, log: settings.log)
    var limits = HTTPLimits()
    limits.connections = settings.limits.httpConnections
    limits.unsentBodyByteCount = settings.limits.unreadPageByteCount
    if push != nil { limits.bodyByteCount = settings.push.limits.bodyByteCount }
    if otlp != nil {
      limits.bodyByteCount = max(limits.bodyByteCount, settings.otlp.byteCount)
    }
    let server = try Server(
      listener: listener, limits: limits, responder: self, memory: clientMemory)
    self.server = server
    clientMemory.join(self)
    otlp?.memory = clientMemory
    if let push {
      push.memory = clientMemory
      clientMemory.join(push)
    }
    try server.watch(signals.raw, .readable, token: Self.signalsToken)
    for (source, raw) in [
      (IntakeCounts.Source.events, sockets.events), (.statsd, sockets.statsd),
      (.udp, sockets.udp), (.tcp, sockets.tcp), (.spectator, sockets.spectator),
    ] where raw >= 0 { try watch(raw, source) }
    for index in sockets.otlp.indices { try watch(sockets.otlp[index].raw, .otlp) }
    if settings.supervises { try takeParked() }
    tellStart()
    server.run()
    Phase.end.enter()
    drain(Clock.monotonicNanoseconds)
    _ = keepFiles()
    processor.registry.state.endInOrder()
    push?.store.file.endInOrder()
    self.server = nil
    settings.log.info("Stopped: everything received is counted and kept")
  }

  func watch(_ raw: Int32, _ source: IntakeCounts.Source) throws(Errno) {
    let token = Self.token(of: source)
    switch source {
    case .events, .tcp, .otlp: try server?.watch(raw, .readable, token: token)
    case .statsd, .udp, .spectator: try server?.watchBusy(raw, token: token)
    }
  }

  static func token(of source: IntakeCounts.Source) -> UInt32 {
    switch source {
    case .events: eventsToken
    case .statsd: statsdToken
    case .udp: udpToken
    case .tcp: tcpToken
    case .spectator: spectatorToken
    case .otlp: otlpToken
    }
  }

  // MARK: The loop

  func ready(_ token: UInt32, _ interest: Poller.Interest, now: UInt64) {
    takeOrWait(token, now)
  }

  func take(_ token: UInt32, _ now: UInt64) {
    phase(of: token).enter()
    switch token {
    case Self.eventsToken: accept(sockets.events, .events)
    case Self.tcpToken: accept(sockets.tcp, .tcp)
    case Self.statsdToken: receiveDatagrams(sockets.statsd, .statsd)
    case Self.spectatorToken: receiveDatagrams(sockets.spectator, .spectator)
    case Self.udpToken: receiveDatagrams(sockets.udp, .udp)
    case Self.signalsToken: handleSignals(now)
    case Self.otlpToken: acceptOTLP(now)
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
    // A half-applied frame takes effect when it is complete.
    guard turn.half == .nothing else { return }
    Phase.commit.enter()
    processor.registry.commit()
    acknowledge()
    processor.registry.turnEnded(now: now, isRead: scrapes.current != nil)
    if linger?.isStopping == true { noteLinger(now) }
  }

  func nextDeadline() -> UInt64 {
    guard scrapes.isIdle, push?.isBusy != true, otlp?.isBusy != true, !hasIntakeWaiting,
      !draining.isAwaited
    else {
      return 0
    }
    return min(
      min(nextLook, lingerDue), min(passwordsDue, processor.registry.expiry.due))
  }

  func deadlineReached(now: UInt64) {
    Phase.events.enter()
    guard continueIntake(now) else { return }
    // Nothing is half applied now: this, which says what is, comes first.
    if otlp?.isBusy == true {
      Phase.request.enter()
      continueOTLP(now, until: Clock.monotonicNanoseconds + IntakeTurn.nanoseconds / 2)
    }
    if turn.half == .nothing, draining.isAwaited { continueAwaited(now) }
    if turn.half != .nothing { return }
    if !scrapes.isIdle {
      Phase.page.enter()
      continueScrapes(now)
    }
    if now >= passwordsDue {
      Phase.request.enter()
      continuePasswords(now)
    }
    if push?.isBusy == true {
      Phase.request.enter()
      continuePushes(now)
    }
    Phase.events.enter()
    if now >= nextLook { look(now) }
    if now >= lingerDue { lookAtLinger(now) }
    guard now >= processor.registry.expiry.due, turn.half == .nothing, otlp?.current == nil
    else { return }
    Phase.expiry.enter()
    processor.registry.expire(now: now)
  }

  private func look(_ now: UInt64) {
    let looking = polled
    polled.removeAll(keepingCapacity: true)
    nextLook = .max
    for (index, token) in looking.enumerated() {
      guard turn.half == .nothing, turn.hasTime(now) else {
        // The others come first the next time.
        polled.insert(contentsOf: looking[index...], at: 0)
        nextLook = now
        return
      }
      guard let connection = connection(token) else { continue }
      if read(connection, now, until: turn.endsAt) > 0, !connection.isFlooding {
        polled.append(token)
        nextLook = now + Self.lookNanoseconds
      } else if self.connection(token) != nil {
        // Nothing arrived, or more than a check can read: let the kernel wake us again.
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
      case .terminate: stop(isTerminate: true, now)
      case .interrupt: stop(isTerminate: false, now)
      }
    }
    // Pending reloads count as one.
    if isReload { _ = reload() }
  }
}
