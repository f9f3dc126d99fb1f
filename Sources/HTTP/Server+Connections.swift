import SidecarPlatform

/// Connections that a server has closed because of its limits, since its start.
public struct ClosedConnections: Sendable {
  /// New ones, at `HTTPLimits.connections` with none at rest.
  public var refused: UInt64 = 0
  /// At rest or in the middle of a head, to make room for new ones.
  public var evicted: UInt64 = 0
  /// Requests that took too long to come (408), and answers that were not taken in time.
  public var slow: UInt64 = 0

  /// None yet.
  public init() {}
}

/// The server's connections: accepted, read, timed, closed.
extension Server {
  /// A connection with its socket, and what the kernel has not taken yet.
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

  /// Takes who waits, 64 at most.
  func accept(_ now: UInt64) {
    var hasMadeRoom = false
    for attempt in 0..<64 {
      let socket: Descriptor
      do throws(Errno) {
        socket = try Socket.accept(listener.raw)
      } catch {
        // Those just taken are served before any of them may have to go: the listener tells again.
        let isFirst = attempt == (hasMadeRoom ? 1 : 0)
        guard error.isShortage, isFirst, Socket.hasWaiting(listener.raw) else { return }
        if hasMadeRoom || !makeRoom(now) {
          responder.clientsWait(error, now: now)
          return pauseListener(now)
        }
        hasMadeRoom = true
        continue
      }
      // At the limit the one at rest for longest makes room; if none is, the new one is closed.
      if connectionCount >= limits.connections, !closeIdlest(now) {
        closed.refused += 1
        continue
      }
      add(socket, now)
    }
  }

  // MARK: No descriptors left

  /// Room for one more: of the oldest at rest, or else of the spare descriptor.
  private func makeRoom(_ now: UInt64) -> Bool { closeIdlest(now) || spare.lend() }

  /// Those who wait stay with the kernel until something of ours is closed, or for a moment: others'
  /// descriptors may be what is missing. Told of them all the time, the loop would spin.
  private func pauseListener(_ now: UInt64) {
    resumeAt = now + 250_000_000
    do throws(Errno) {
      try poller.modify(listener.raw, [], data: Kind.listener.rawValue << 56)
    } catch {}
  }

  /// Tells of those who wait again.
  func resumeListener() {
    resumeAt = .max
    spare.takeBack()
    guard isListening else { return }
    do throws(Errno) {
      try poller.modify(listener.raw, .readable, data: Kind.listener.rawValue << 56)
    } catch {}
  }

  func add(_ socket: consuming Descriptor, _ now: UInt64) {
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

  func data(_ slot: Int, _ generation: UInt32) -> UInt64 {
    Kind.client.rawValue << 56 | UInt64(generation) << 32 | UInt64(slot)
  }

  func handle(
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

  func receive(_ slot: Int, _ client: Client, _ now: UInt64) {
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
  func resume(_ slot: Int, _ now: UInt64) {
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

  func finish(
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

  // MARK: Time

  /// Deadlines are looked at four times a second at most, and only while one is near.
  func schedule(_ deadline: UInt64) {
    guard deadline < nextSweep else { return }
    nextSweep = (deadline / 250_000_000 + 1) * 250_000_000
  }

  func sweep(_ now: UInt64) {
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
        if !client.isSent { closed.slow += 1 }
        close(slot)
      } else if !client.isAnswered {
        closed.slow += 1
        let start = response.buffer.count
        client.connection.expire(responder, into: &response)
        finish(slot, client, start)
      }
    }
  }

  /// Makes room: closes what has been idle longest, or else whose head has been unfinished longest.
  /// Who has sent a whole request is answered, also if nobody has read it yet.
  func closeIdlest(_ now: UInt64) -> Bool {
    while let slot = oldest(where: isIdle) ?? oldest(where: isInHead), let client = clients[slot] {
      receive(slot, client, now)
      guard clients[slot] === client, isIdle(client) || isInHead(client) else {
        // It has gone by itself, or it is answered now.
        if clients[slot] == nil { return true }
        continue
      }
      closed.evicted += 1
      close(slot)
      return true
    }
    return false
  }

  func isInHead(_ client: Client) -> Bool {
    client.connection.phase == .head && !client.connection.hasMore && client.isSent
      && !client.isAnswered && !client.isLingering
  }

  func oldest(where isCandidate: (Client) -> Bool) -> Int? {
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

  func close(_ slot: Int) {
    guard clients[slot] != nil else { return }
    clients[slot] = nil
    free.append(slot)
    connectionCount -= 1
    if connectionCount == 0 { nextSweep = .max }
    // Not now: whoever calls this still holds the descriptor.
    if spare.isLent || resumeAt != .max { resumeAt = 0 }
  }
}
