import SidecarPlatform

/// The sockets of one thread: an epoll loop that drives `Connection`s and a `Responder`.
///
/// What must stay true: only this thread touches its connections. A turn takes a slice of the
/// requests that are ready, one connection after the other, then lets the responder finish, then
/// sends once to each connection; connections that were not reached come first in the next turn.
public final class Server<R: Responder> {
  enum Kind: UInt64 {
    case listener = 0
    case client = 1
    case external = 2
  }

  let listener: Descriptor
  var poller: Poller
  let limits: HTTPLimits
  let responder: R
  var clients: [Client?] = []
  var free: [Int] = []
  var generation: UInt32 = 0
  var slab = ByteBuffer(capacity: 65_536)
  var response = ResponseWriter()
  var sends: [Send] = []
  /// Connections with something to read, in the order of their turns.
  var readable: [Int] = []
  /// Connections that continue with requests that are here already: they come after the others, so
  /// that a pile of them does not delay a client with a single request.
  var pending: [Int] = []
  /// What each client holds, by slot: scanned as one piece when memory has to be freed.
  var holdings: [Holding] = []
  /// The memory that clients hold, of this server and of others that share it.
  public let memory: ClientMemory
  /// Bodies of later answers that are not sent yet, in bytes; part of `memory`.
  var unsentBodyByteCount = 0
  /// Numbers the bodies of later answers; readers of the newest are not closed.
  var newestBody = 0
  /// The client whose connection is being processed; -1 if none is.
  var serving = -1
  /// Since when new ones find no room.
  var fullSince = UInt64.max
  /// Clients in the places reserved for probes.
  var guestCount = 0
  /// How often something was read from a client. If the count has not changed, the bytes were here
  /// already.
  public internal(set) var readCount: UInt64 = 0
  var nextSweep = UInt64.max
  var stopAt = UInt64.max
  var isListening = true
  var spare = SpareDescriptor()
  /// When to look again at a listener whose clients cannot be accepted.
  var resumeAt = UInt64.max
  /// Such listeners, with what the poller knows them by.
  var paused: [(raw: Int32, data: UInt64)] = []
  /// Connections open now.
  public internal(set) var connectionCount = 0
  /// Of these, the ones that `take` was given.
  public internal(set) var takenCount = 0
  /// The connections that the server has closed against their clients' will.
  public internal(set) var closed = ClosedConnections()

  /// Serves connections of `listener`, which listens already or will.
  /// - Throws: epoll's error, such as no descriptors left.
  public init(
    listener: consuming Descriptor, limits: HTTPLimits, responder: R,
    memory: ClientMemory = ClientMemory(limit: 24 << 20)
  ) throws(Errno) {
    let poller = try Poller()
    try poller.add(listener.raw, .readable, data: Self.listenerData)
    self.listener = listener
    self.poller = poller
    self.limits = limits
    self.responder = responder
    self.memory = memory
    sends.reserveCapacity(1024)
  }

  static var listenerData: UInt64 { Kind.listener.rawValue << 56 }

  /// Whether new connections find no place, except for probes.
  public var isFull: Bool { fullSince != .max }

  /// The port that it listens on.
  public var port: UInt16 {
    do throws(Errno) { return try Socket.localPort(listener.raw) } catch { return 0 }
  }

  // MARK: The program's own descriptors

  /// Lets the loop tell the responder when `raw` is ready. Level-triggered; errors and hang-ups are
  /// always reported.
  public func watch(_ raw: Int32, _ interest: Poller.Interest, token: UInt32) throws(Errno) {
    try poller.add(raw, interest, data: Kind.external.rawValue << 56 | UInt64(token))
  }

  /// The same for reading, for descriptors with many writers: see `Poller.addBusy`.
  public func watchBusy(_ raw: Int32, token: UInt32) throws(Errno) {
    try poller.addBusy(raw, data: Kind.external.rawValue << 56 | UInt64(token))
  }

  /// Changes the events of a watched descriptor.
  public func change(_ raw: Int32, _ interest: Poller.Interest, token: UInt32) throws(Errno) {
    try poller.modify(raw, interest, data: Kind.external.rawValue << 56 | UInt64(token))
  }

  /// Keeps the clients of a watched listener waiting in the kernel for a quarter of a second, or
  /// until something is closed: see `descriptorIsFree`.
  public func pause(_ listener: Int32, token: UInt32) {
    pause(
      listener, data: Kind.external.rawValue << 56 | UInt64(token),
      until: Clock.monotonicNanoseconds + 250_000_000)
  }

  /// Forgets a descriptor that was given to `watch`; before it is closed.
  public func unwatch(_ raw: Int32) {
    poller.remove(raw)
    // Another descriptor may have this number soon.
    paused.removeAll { $0.raw == raw }
  }

  /// Serves a connection that has come to a listener of the program's own; closes it where there
  /// is no place. Its requests have this `Request.port`.
  public func take(_ socket: consuming Descriptor, port: UInt8, now: UInt64) {
    guard connectionCount - guestCount < limits.connections || closeIdlest(now) else {
      closed.refused += 1
      return
    }
    add(socket, now, port: port)
  }

  // MARK: The loop

  /// Accepts no more connections and answers the requests in flight; then `run` returns, at the
  /// latest after `HTTPLimits.stopMilliseconds`.
  public func stop(now: UInt64) {
    guard stopAt == .max else { return }
    stopAt = now + limits.stopMilliseconds * 1_000_000
  }

  /// Runs after the turn in which `stop` was called, so that its answers are out. Still serves what
  /// the kernel has already accepted for us: connections in the listener's queue and unread
  /// requests; a close would reset them.
  func beginStopping(_ now: UInt64) {
    isListening = false
    var seen = -1
    while connectionCount < limits.connections, connectionCount != seen {
      seen = connectionCount
      accept(now)
    }
    unwatch(listener.raw)
    for slot in clients.indices {
      guard let client = clients[slot] else { continue }
      client.connection.isStopping = true
      if isIdle(client) { receive(slot, client, now) }
    }
    flush(now)
    for slot in clients.indices {
      if let client = clients[slot], isIdle(client) { close(slot) }
    }
  }

  /// Whether nothing of the client is in flight: no request, no answer.
  func isIdle(_ client: Client) -> Bool {
    client.connection.isAtRest && client.isSent && !client.isAnswered
      && !client.isLingering
  }

  /// Runs the loop until `stop`.
  public func run() {
    memory.join(self)
    defer { memory.leave() }
    var now = Clock.monotonicNanoseconds
    while true {
      if stopAt != .max {
        if isListening { beginStopping(now) }
        if connectionCount == 0 || now >= stopAt { return }
      }
      let timeout = timeout(now)
      var count = 0
      do throws(Errno) {
        count = try poller.wait(timeoutMilliseconds: timeout)
      } catch {
        // Nothing outside makes epoll_wait fail; if it ever did, the loop must not spin.
        Process.sleep(milliseconds: 10)
      }
      now = Clock.monotonicNanoseconds
      response.date.update(now: now)
      turn(count, now)
    }
  }

  func timeout(_ now: UInt64) -> Int32 {
    if !pending.isEmpty || !readable.isEmpty { return 0 }
    let due = min(min(nextSweep, responder.nextDeadline()), min(stopAt, resumeAt))
    if due == .max { return -1 }
    if due <= now { return 0 }
    return Int32(clamping: (due - now + 999_999) / 1_000_000)
  }

  @_optimize(speed)
  func turn(_ count: Int, _ now: UInt64) {
    var hasNew = false
    for index in 0..<count {
      let ready = poller.ready(index)
      let low = UInt32(truncatingIfNeeded: ready.data)
      switch ready.data >> 56 {
      case Kind.listener.rawValue: hasNew = true
      case Kind.external.rawValue: responder.ready(low, ready.interest, now: now)
      default:
        let generation = UInt32(truncatingIfNeeded: ready.data >> 32) & 0xff_ffff
        handle(Int(low), generation, ready.interest, now)
      }
      if response.buffer.count > 1 << 20 { flush(now) }
    }
    // Those that get an answer here continue in the next turn.
    let goingOnCount = pending.count
    readable.removeFirst(serve(isGoingOn: false, readable.count, now, limits.turnNanoseconds))
    pending.removeFirst(serve(isGoingOn: true, goingOnCount, now, limits.turnNanoseconds / 2))
    // After the others: a client that has sent its request by now does not have to make room.
    if hasNew, isListening { accept(now) }
    if now >= responder.nextDeadline() { responder.deadlineReached(now: now) }
    if now >= nextSweep { sweep(now) }
    if now >= resumeAt { resumeListeners() }
    flush(now)
  }

  /// Serves connections from a queue for about this long, and at least one; returns how many. Each
  /// has its share of the time; one with more to do then goes to the end of its queue. So does one
  /// with a body, which may take milliseconds to decompress: a probe does not wait for a pile of
  /// those.
  @_optimize(speed)
  private func serve(
    isGoingOn: Bool, _ lineCount: Int, _ now: UInt64, _ nanoseconds: UInt64
  ) -> Int {
    guard lineCount > 0 else { return 0 }
    var count = 0
    var time = Clock.monotonicNanoseconds
    let end = time + nanoseconds
    response.postponesBodies = !isGoingOn
    defer { response.postponesBodies = false }
    repeat {
      response.visitEnd = time + limits.visitNanoseconds
      resume(isGoingOn ? pending[count] : readable[count], now)
      count += 1
      if response.buffer.count > 1 << 20 { flush(now) }
      time = Clock.monotonicNanoseconds
    } while count < lineCount && time < end
    return count
  }

  /// The end of a turn: first the responder, then one send for each connection.
  @_optimize(speed)
  func flush(_ now: UInt64) {
    responder.turnEnds(now: now)
    for send in sends {
      guard let client = clients[send.slot], client.generation == send.generation else { continue }
      client.isAnswered = false
      if let body = send.body { attach(body, send.slot, client) }
      self.send(send.slot, client, response.buffer.bytes.extracting(send.range), now)
      settle(send.slot, client, now)
      if let body = send.body { makeRoom(for: body, now) }
    }
    sends.removeAll(keepingCapacity: true)
    response.buffer.removeAll()
    response.buffer.shrink(to: 1 << 20)
  }

  /// Schedules the client to continue in its turn.
  func postpone(_ slot: Int, _ client: Client) {
    guard !client.isPending else { return }
    client.isPending = true
    pending.append(slot)
  }

  /// Schedules the client to be read in its turn.
  func line(up slot: Int, _ client: Client) {
    guard !client.isPending else { return }
    client.isPending = true
    readable.append(slot)
  }
}
