import Platform

/// The sockets of one thread: an epoll loop that drives `Connection`s and a `Responder`.
///
/// What must stay true: only this thread touches its connections; a turn reads everything that is
/// ready, then lets the responder finish, then sends once to each connection.
public final class Server<R: Responder> {
  /// A connection with its socket, and what the kernel has not taken yet.
  private final class Client {
    let socket: Descriptor
    var connection: Connection
    var output = ByteBuffer(capacity: 16)
    /// A body that follows `output`.
    var body: SendingBody?
    let generation: UInt32
    var interest = Poller.Interest.readable
    /// Whether the kernel has all of the answers.
    var isSent: Bool { output.isEmpty && body == nil }
    /// When the peer has to have taken something of them, or be gone.
    var writeDeadline = UInt64.max
    /// The answers are out and our side is shut; the peer's last bytes are thrown away.
    var isLingering = false
    var isPending = false
    /// An answer of this turn is not sent yet, so it is no candidate for closing.
    var isAnswered = false

    init(_ socket: consuming Descriptor, _ connection: consuming Connection, _ generation: UInt32) {
      self.socket = socket
      self.connection = connection
      self.generation = generation
    }
  }

  private struct Send {
    let slot: Int
    /// Tells the connection that was answered from a later one in the same slot.
    let generation: UInt32
    let range: Range<Int>
    /// Follows those bytes.
    var body: ResponseBody?
  }

  private enum Kind: UInt64 {
    case listener = 0
    case client = 1
    case external = 2
  }

  /// Of one body in one turn: a kernel with a large buffer takes more than that at once.
  private static var bodyByteCountPerTurn: Int { 512 << 10 }

  private let listener: Descriptor
  private let poller: Poller
  private let limits: HTTPLimits
  private let responder: R
  private var clients: [Client?] = []
  private var free: [Int] = []
  private var generation: UInt32 = 0
  private var slab = ByteBuffer(capacity: 65_536)
  private var response = ResponseWriter()
  private var sends: [Send] = []
  /// Connections with requests that wait for their earlier answers to go out.
  private var pending: [Int] = []
  private var nextSweep = UInt64.max
  private var stopAt = UInt64.max
  private var isListening = true
  /// Connections open now.
  public private(set) var connectionCount = 0

  public init(
    listener: consuming Descriptor, limits: HTTPLimits, responder: R
  ) throws(Errno) {
    let poller = try Poller()
    try poller.add(listener.raw, .readable, data: Kind.listener.rawValue << 56)
    self.listener = listener
    self.poller = poller
    self.limits = limits
    self.responder = responder
    sends.reserveCapacity(1024)
  }

  /// The port that it listens on.
  public var port: UInt16 {
    do throws(Errno) { return try Socket.localPort(listener.raw) } catch { return 0 }
  }

  // MARK: The program's own descriptors

  /// Has the loop tell the responder when `raw` is ready. Level-triggered; errors and hang-ups are
  /// told without asking.
  public func watch(_ raw: Int32, _ interest: Poller.Interest, token: UInt32) throws(Errno) {
    try poller.add(raw, interest, data: Kind.external.rawValue << 56 | UInt64(token))
  }

  public func change(_ raw: Int32, _ interest: Poller.Interest, token: UInt32) throws(Errno) {
    try poller.modify(raw, interest, data: Kind.external.rawValue << 56 | UInt64(token))
  }

  public func unwatch(_ raw: Int32) { poller.remove(raw) }

  // MARK: The loop

  /// Takes no more connections, answers what is in flight, then `run` returns: at the latest after
  /// `HTTPLimits.stopMilliseconds`.
  public func stop(now: UInt64) {
    guard stopAt == .max else { return }
    stopAt = now + limits.stopMilliseconds * 1_000_000
  }

  /// After the turn in which `stop` was called, so that its answers are out. What the kernel has
  /// already taken for us is still served: connections in the listener's queue and requests nobody
  /// has read yet; a close would reset them.
  private func beginStopping(_ now: UInt64) {
    isListening = false
    var seen = -1
    while connectionCount < limits.connections, connectionCount != seen {
      seen = connectionCount
      accept(now)
    }
    poller.remove(listener.raw)
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
  private func isIdle(_ client: Client) -> Bool {
    client.connection.isAtRest && client.isSent && !client.isAnswered
      && !client.isLingering
  }

  /// Runs the loop until `stop`.
  public func run() {
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
        // Nothing of the world's makes epoll_wait fail; should it, the loop must not spin.
        Process.sleep(milliseconds: 10)
      }
      now = Clock.monotonicNanoseconds
      response.date.update(now: now)
      turn(count, now)
    }
  }

  private func timeout(_ now: UInt64) -> Int32 {
    if !pending.isEmpty { return 0 }
    let due = min(min(nextSweep, responder.nextDeadline()), stopAt)
    if due == .max { return -1 }
    if due <= now { return 0 }
    return Int32(clamping: (due - now + 999_999) / 1_000_000)
  }

  private func turn(_ count: Int, _ now: UInt64) {
    let resumed = pending
    pending.removeAll(keepingCapacity: true)
    for slot in resumed { resume(slot, now) }
    for index in 0..<count {
      let ready = poller.ready(index)
      let low = UInt32(truncatingIfNeeded: ready.data)
      switch ready.data >> 56 {
      case Kind.listener.rawValue: accept(now)
      case Kind.external.rawValue: responder.ready(low, ready.interest, now: now)
      default:
        let generation = UInt32(truncatingIfNeeded: ready.data >> 32) & 0xff_ffff
        handle(Int(low), generation, ready.interest, now)
      }
      if response.buffer.count > 1 << 20 { flush(now) }
    }
    if now >= responder.nextDeadline() { responder.deadlineReached(now: now) }
    if now >= nextSweep { sweep(now) }
    flush(now)
  }

  /// The end of a turn: first the responder, then one send for each connection.
  private func flush(_ now: UInt64) {
    responder.turnEnds(now: now)
    for send in sends {
      guard let client = clients[send.slot], client.generation == send.generation else { continue }
      client.isAnswered = false
      client.body = send.body.map { SendingBody($0) }
      self.send(send.slot, client, response.buffer.bytes.extracting(send.range), now)
    }
    sends.removeAll(keepingCapacity: true)
    response.buffer.removeAll()
    response.buffer.shrink(to: 1 << 20)
  }

  // MARK: Connections

  private func accept(_ now: UInt64) {
    for attempt in 0..<64 {
      let socket: Descriptor
      do throws(Errno) {
        socket = try Socket.accept(listener.raw)
      } catch {
        // Out of descriptors: the oldest at rest makes room, or the loop would spin on the listener.
        // Only for the first: the kernel says so even when nobody waits, and those just accepted
        // are not to be closed for nobody.
        let isFull = error == .tooManyFiles || error == .tooManyFilesInSystem
        if isFull, attempt == 0, !closeIdlest() {
          Process.sleep(milliseconds: 1)
        }
        return
      }
      // At the limit the one at rest for longest makes room; if none is, the new one is closed.
      if connectionCount >= limits.connections, !closeIdlest() { continue }
      add(socket, now)
    }
  }

  private func add(_ socket: consuming Descriptor, _ now: UInt64) {
    generation = (generation + 1) & 0xff_ffff
    let slot = free.popLast() ?? clients.count
    let raw = socket.raw
    let client = Client(socket, Connection(now: now, limits: limits), generation)
    if slot == clients.count { clients.append(client) } else { clients[slot] = client }
    connectionCount += 1
    do throws(Errno) {
      try poller.add(raw, .readable, data: data(slot, generation))
    } catch {
      close(slot)
      return
    }
    schedule(client.connection.deadline)
  }

  private func data(_ slot: Int, _ generation: UInt32) -> UInt64 {
    Kind.client.rawValue << 56 | UInt64(generation) << 32 | UInt64(slot)
  }

  private func handle(
    _ slot: Int, _ generation: UInt32, _ interest: Poller.Interest, _ now: UInt64
  ) {
    guard slot < clients.count, let client = clients[slot], client.generation == generation else {
      return
    }
    if client.isLingering { return drain(slot, client) }
    // First what it has sent already: it may have closed its side and still wait for the answers.
    if client.isPending || client.isAnswered { return }
    if client.connection.phase == .waiting {
      // Told without asking only: the client has gone, or the answer before this one can go on.
      if !interest.isDisjoint(with: [.error, .hangup]) { return close(slot) }
      if client.isSent { return }
    }
    if interest.contains(.writable) {
      sendRest(slot, client, now)
    } else {
      receive(slot, client, now)
    }
  }

  private func receive(_ slot: Int, _ client: Client, _ now: UInt64) {
    slab.removeAll()
    switch client.socket.receive(into: &slab, capacity: 65_536) {
    case .bytes:
      let start = response.buffer.count
      response.ticket = Ticket(slot: slot, generation: client.generation)
      client.connection.receive(
        slab.bytes, now: now, limits: limits, responder: responder, into: &response)
      finish(slot, client, start)
    case .wouldBlock: break
    case .closed, .failed: close(slot)
    }
  }

  /// Goes on with requests that waited for room.
  private func resume(_ slot: Int, _ now: UInt64) {
    guard let client = clients[slot] else { return }
    client.isPending = false
    guard client.isSent, !client.isLingering, client.connection.phase != .waiting else { return }
    if client.connection.isStopping, isIdle(client) {
      // What it has sent meanwhile is still answered.
      receive(slot, client, now)
      if let same = clients[slot], same === client, isIdle(client) { close(slot) }
      return
    }
    let start = response.buffer.count
    response.ticket = Ticket(slot: slot, generation: client.generation)
    client.connection.resume(now: now, limits: limits, responder: responder, into: &response)
    finish(slot, client, start)
  }

  private func finish(
    _ slot: Int, _ client: Client, _ start: Int, _ body: ResponseBody? = nil
  ) {
    if response.buffer.count > start {
      client.isAnswered = true
      sends.append(
        Send(
          slot: slot, generation: client.generation, range: start..<response.buffer.count,
          body: body))
    } else if client.connection.phase == .closing {
      close(slot)
      return
    }
    schedule(client.connection.deadline)
    if client.connection.hasMore { postpone(slot, client) }
    // Nothing is read from who waits for an answer.
    if client.connection.phase == .waiting, client.isSent { setInterest(slot, client, []) }
  }

  // MARK: Answers that come later

  /// Answers a request that was postponed. Not from within `respond`; a ticket answers once, and
  /// nothing happens where the client has gone.
  public func answer(_ ticket: Ticket, _ head: PostponedHead, _ body: ResponseBody, now: UInt64) {
    guard ticket.slot >= 0, ticket.slot < clients.count, let client = clients[ticket.slot],
      client.generation == ticket.generation, client.connection.phase == .waiting
    else { return }
    let start = response.buffer.count
    let hasBody = client.connection.answer(
      head, bodyByteCount: body.byteCount, now: now, limits: limits, responder: responder,
      into: &response)
    if client.isSent { setInterest(ticket.slot, client, .readable) }
    guard clients[ticket.slot] != nil else { return }
    finish(ticket.slot, client, start, hasBody && body.byteCount > 0 ? body : nil)
  }

  private func postpone(_ slot: Int, _ client: Client) {
    guard !client.isPending else { return }
    client.isPending = true
    pending.append(slot)
  }

  // MARK: Sending

  private func send(_ slot: Int, _ client: Client, _ bytes: RawSpan, _ now: UInt64) {
    var rest = bytes
    if client.output.isEmpty {
      switch client.socket.send(bytes) {
      case .bytes(let count): rest = bytes.extracting(count..<bytes.byteCount)
      case .wouldBlock: break
      case .closed, .failed: return close(slot)
      }
      if rest.byteCount == 0 {
        // A body goes on when its client is writable: not all in the turn that made it.
        if client.body == nil {
          if client.connection.phase == .closing { end(slot, client, now) }
          return
        }
        return sendRest(slot, client, now, isFirst: true)
      }
      // The peer reads slowly: nothing more is read from it until it has taken this.
      wait(slot, client, now)
    }
    client.output.append(rest)
  }

  private func wait(_ slot: Int, _ client: Client, _ now: UInt64) {
    client.writeDeadline = now + limits.writeMilliseconds * 1_000_000
    schedule(client.writeDeadline)
    setInterest(slot, client, .writable)
  }

  private func sendRest(_ slot: Int, _ client: Client, _ now: UInt64, isFirst: Bool = false) {
    var hasProgress = isFirst
    if !client.output.isEmpty {
      switch client.socket.send(client.output.bytes) {
      case .bytes(let count):
        client.output.removeFirst(count)
        hasProgress = true
      case .wouldBlock: return
      case .closed, .failed: return close(slot)
      }
    }
    if client.output.isEmpty, var body = client.body {
      switch body.send(to: client.socket, limit: Self.bodyByteCountPerTurn) {
      case .progress: hasProgress = true
      case .blocked: break
      case .failed: return close(slot)
      }
      client.body = body.isSent ? nil : body
    }
    guard client.isSent else {
      if hasProgress { wait(slot, client, now) }
      return
    }
    client.output.shrink(to: 16)
    client.writeDeadline = .max
    if client.connection.phase == .closing { return end(slot, client, now) }
    setInterest(slot, client, client.connection.phase == .waiting ? [] : .readable)
    // An answer that had begun before the stop has not told the client that it is the last.
    if client.connection.hasMore || client.connection.isStopping { postpone(slot, client) }
  }

  /// Ends a connection whose answers are all with the kernel.
  private func end(_ slot: Int, _ client: Client, _ now: UInt64) {
    if client.connection.mustLinger { linger(slot, client, now) } else { close(slot) }
  }

  /// Shuts our side and waits a moment for the peer's: a close with unread bytes would be a reset that
  /// can take the answer with it.
  private func linger(_ slot: Int, _ client: Client, _ now: UInt64) {
    client.isLingering = true
    Socket.shutdownWrite(client.socket.raw)
    client.writeDeadline = now + 2_000_000_000
    schedule(client.writeDeadline)
    setInterest(slot, client, .readable)
  }

  private func drain(_ slot: Int, _ client: Client) {
    slab.removeAll()
    switch client.socket.receive(into: &slab, capacity: 65_536) {
    case .bytes, .wouldBlock: break
    case .closed, .failed: close(slot)
    }
  }

  private func setInterest(_ slot: Int, _ client: Client, _ interest: Poller.Interest) {
    guard client.interest != interest else { return }
    client.interest = interest
    do throws(Errno) {
      try poller.modify(client.socket.raw, interest, data: data(slot, client.generation))
    } catch { close(slot) }
  }

  // MARK: Time

  /// Deadlines are looked at four times a second at most, and only while one is near.
  private func schedule(_ deadline: UInt64) {
    guard deadline < nextSweep else { return }
    nextSweep = (deadline / 250_000_000 + 1) * 250_000_000
  }

  private func sweep(_ now: UInt64) {
    nextSweep = .max
    for slot in clients.indices {
      guard let client = clients[slot] else { continue }
      let deadline =
        client.isSent && !client.isLingering
        ? client.connection.deadline : client.writeDeadline
      if now < deadline {
        schedule(deadline)
        continue
      }
      if !client.isSent || client.isLingering || isIdle(client) {
        close(slot)
      } else if !client.isAnswered {
        let start = response.buffer.count
        client.connection.expire(responder, into: &response)
        finish(slot, client, start)
      }
    }
  }

  /// Makes room: closes what has been idle longest, or else whose head has been unfinished longest.
  /// Who has sent a whole request is answered.
  private func closeIdlest() -> Bool {
    guard let slot = oldest(where: isIdle) ?? oldest(where: isInHead) else { return false }
    close(slot)
    return true
  }

  private func isInHead(_ client: Client) -> Bool {
    client.connection.phase == .head && !client.connection.hasMore && client.isSent
      && !client.isAnswered && !client.isLingering
  }

  private func oldest(where isCandidate: (Client) -> Bool) -> Int? {
    var oldest: Int?
    var oldestDeadline = UInt64.max
    for slot in clients.indices {
      guard let client = clients[slot], client.connection.deadline < oldestDeadline,
        isCandidate(client)
      else { continue }
      oldest = slot
      oldestDeadline = client.connection.deadline
    }
    return oldest
  }

  private func close(_ slot: Int) {
    guard clients[slot] != nil else { return }
    clients[slot] = nil
    free.append(slot)
    connectionCount -= 1
    if connectionCount == 0 { nextSweep = .max }
  }
}
