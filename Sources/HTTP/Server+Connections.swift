import SidecarPlatform

/// Connections that a server has closed because of its limits, since startup.
public struct ClosedConnections: Sendable {
  /// New ones, at `HTTPLimits.connections` when none could make room.
  public var refused: UInt64 = 0
  /// Idle, with an unfinished request or with an answer that nobody reads, to make room for new
  /// ones.
  public var evicted: UInt64 = 0
  /// Those that held the most memory, at the limit of all clients' memory.
  public var memory: UInt64 = 0
  /// Requests that took too long to arrive (408), and answers that were not read in time.
  public var slow: UInt64 = 0

  /// None yet.
  public init() {}
}

/// The server's connections: accepted, read, timed, closed.
extension Server {
  /// A connection with its socket, and the output that the kernel has not accepted yet.
  final class Client {
    let socket: Descriptor
    var connection: Connection
    var output = ByteBuffer(capacity: 16)
    /// A body that follows `output`.
    var body: SendingBody?
    let generation: UInt32
    var interest = Poller.Interest.readable
    /// Whether the kernel has all of the answers.
    var isSent: Bool { output.isEmpty && body == nil }
    /// When the peer must have read some of them, or is closed.
    var writeDeadline = UInt64.max
    /// The answers are out and our side is shut; the peer's last bytes are discarded.
    var isLingering = false
    var isPending = false
    /// An answer of this turn is not sent yet, so it is no candidate for closing.
    var isAnswered = false
    /// Since when it has made no progress with what it holds.
    var heldSince: UInt64
    /// Whether anything was read from it.
    var hasSent = false
    /// The receipt of an answer that the client's kernel has not acknowledged yet.
    var receipt: Receipt?
    /// Bytes read and sent since then.
    private var movedByteCount = 0

    init(
      _ socket: consuming Descriptor, _ connection: consuming Connection, _ generation: UInt32,
      _ now: UInt64
    ) {
      self.socket = socket
      self.connection = connection
      self.generation = generation
      heldSince = now
    }

    /// Whether it has connected within the last second, and has sent nothing.
    func isNew(_ now: UInt64) -> Bool { !hasSent && now < heldSince + 1_000_000_000 }

    /// Records bytes received or sent.
    func moved(_ byteCount: Int, _ now: UInt64) {
      movedByteCount += byteCount
      guard movedByteCount >= ClientMemory.progressByteCount else { return }
      movedByteCount = 0
      heldSince = now
    }
  }

  /// Accepts up to 64 pending connections, for as long as a turn may take.
  func accept(_ now: UInt64) {
    var hasMadeRoom = false
    let end = Clock.monotonicNanoseconds + limits.turnNanoseconds
    for attempt in 0..<64 {
      let isFull = connectionCount - guestCount >= limits.connections
      if isFull {
        guard Socket.hasWaiting(listener.raw) else { return }
        if isWorthWaiting(now) { return }
      }
      let isGuest = connectionCount - guestCount >= limits.connections
      let hasPlace = !isGuest || hasGuestPlace(now)
      // Guests refused in this turn make room once they have their answer.
      if !hasPlace, !sends.isEmpty { return }
      let socket: Descriptor
      do throws(Errno) {
        socket = try Socket.accept(listener.raw)
      } catch {
        // Serve those just accepted before any of them may have to go: the listener reports again.
        let isFirst = attempt == (hasMadeRoom ? 1 : 0)
        guard error.isShortage, isFirst, Socket.hasWaiting(listener.raw) else { return }
        if hasMadeRoom || !makeRoom(now) {
          responder.clientsWait(error, now: now)
          return pause(listener.raw, data: Self.listenerData, until: now + 250_000_000)
        }
        hasMadeRoom = true
        continue
      }
      guard hasPlace else {
        closed.refused += 1
        continue
      }
      add(socket, now, isGuest: isGuest)
      if Clock.monotonicNanoseconds >= end { return }
    }
  }

  /// Makes room, or says that new ones should wait in the kernel: some of the current ones are
  /// about to be answered, or have just connected, and can make room then. Not for long, since a
  /// probe may be among the new ones.
  private func isWorthWaiting(_ now: UInt64) -> Bool {
    if closeIdlest(now) {
      fullSince = .max
      return false
    }
    if fullSince == .max { fullSince = now }
    guard now < fullSince + 100_000_000 else { return false }
    if !readable.isEmpty || !pending.isEmpty || !sends.isEmpty { return true }
    guard clients.contains(where: { $0?.isNew(now) == true }) else { return false }
    pause(listener.raw, data: Self.listenerData, until: now + 10_000_000)
    return true
  }

  /// Whether one of the places for probes is free; the oldest guest makes room if it has sent no
  /// request.
  private func hasGuestPlace(_ now: UInt64) -> Bool {
    if guestCount < limits.probeConnections { return true }
    return closeOldest(now, amongGuests: true) { self.isUnfinished($0) || $0.isLingering }
  }

  func add(
    _ socket: consuming Descriptor, _ now: UInt64, isGuest: Bool = false, port: UInt8 = 0
  ) {
    generation = (generation + 1) & 0xff_ffff
    let slot = free.popLast() ?? clients.count
    let raw = socket.raw
    let client = Client(socket, Connection(now: now, limits: limits), generation, now)
    if slot == clients.count {
      clients.append(client)
      holdings.append(Holding())
    } else {
      clients[slot] = client
    }
    connectionCount += 1
    client.connection.port = port
    takenCount += port == 0 ? 0 : 1
    client.connection.isStopping = stopAt != .max
    if isGuest {
      client.connection.beGuest(until: now + 2_000_000_000)
      guestCount += 1
    }
    do throws(Errno) {
      try poller.add(raw, .readable, data: data(slot, generation))
    } catch {
      close(slot)
      return
    }
    schedule(client.connection.deadline)
    // A probe has sent its request already: answer it before others can take the place.
    if isGuest { receive(slot, client, now) }
  }

  func data(_ slot: Int, _ generation: UInt32) -> UInt64 {
    Kind.client.rawValue << 56 | UInt64(generation) << 32 | UInt64(slot)
  }

  @_optimize(speed)
  func handle(
    _ slot: Int, _ generation: UInt32, _ interest: Poller.Interest, _ now: UInt64
  ) {
    guard slot < clients.count, let client = clients[slot], client.generation == generation else {
      return
    }
    if client.isLingering { return drain(slot, client) }
    // First read what it has sent already: it may have closed its side and still wait for the
    // answers.
    if client.isPending || client.isAnswered { return }
    if client.connection.phase == .waiting {
      // Only events that are always reported: the client has gone, or the previous answer can
      // continue.
      if !interest.isDisjoint(with: [.error, .hangup]) { return close(slot) }
      if client.isSent { return }
    }
    if interest.contains(.writable) || !client.isSent {
      sendRest(slot, client, now)
      settle(slot, client, now)
    } else {
      line(up: slot, client)
    }
  }

  @_optimize(speed)
  func receive(_ slot: Int, _ client: Client, _ now: UInt64) {
    slab.removeAll()
    // Bytes that are not used up at once are kept, so read less at a time when memory is short.
    let capacity = memory.byteCount > memory.limit / 2 ? 8192 : 65_536
    switch client.socket.receive(into: &slab, capacity: capacity) {
    case .bytes(let count):
      readCount &+= 1
      if client.receipt != nil { collectReceipt(client) }
      if client.connection.isAtRest { client.heldSince = now }
      client.hasSent = true
      client.moved(count, now)
      let start = response.buffer.count
      response.ticket = Ticket(slot: slot, generation: client.generation)
      serving = slot
      client.connection.receive(
        slab.bytes, now: now, limits: limits, responder: responder, into: &response)
      serving = -1
      if client.connection.isTurnedAway { closed.refused += 1 }
      finish(slot, client, start)
      settle(slot, client, now)
    case .wouldBlock: break
    case .closed: close(slot)
    case .failed: abandon(slot, client)
    }
  }

  /// Continues with requests that are here already, or reads what has arrived.
  func resume(_ slot: Int, _ now: UInt64) {
    guard let client = clients[slot], client.isPending else { return }
    client.isPending = false
    // The answers of this turn go out first.
    if client.isAnswered { return postpone(slot, client) }
    guard client.isSent, !client.isLingering, client.connection.phase != .waiting else { return }
    guard client.connection.hasMore else {
      let wasIdle = isIdle(client)
      receive(slot, client, now)
      // Requests that it has sent meanwhile are still answered.
      if wasIdle, client.connection.isStopping, clients[slot] === client, isIdle(client) {
        close(slot)
      }
      return
    }
    let start = response.buffer.count
    response.ticket = Ticket(slot: slot, generation: client.generation)
    serving = slot
    client.connection.resume(now: now, limits: limits, responder: responder, into: &response)
    serving = -1
    client.heldSince = now
    finish(slot, client, start)
    settle(slot, client, now)
  }

  @_optimize(speed)
  func finish(
    _ slot: Int, _ client: Client, _ start: Int, _ body: ResponseBody? = nil
  ) {
    if let receipt = response.receipt {
      client.receipt = receipt
      response.receipt = nil
    }
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
    // Stop reading from a client whose answer is postponed.
    if client.connection.phase == .waiting, client.isSent { setInterest(slot, client, []) }
  }
}
