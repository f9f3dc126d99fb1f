import SidecarPlatform

/// Time, and room for new connections.
extension Server {
  /// Deadlines are checked at most four times a second, and only while one is near.
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
        settle(slot, client, now)
      }
    }
  }

  // MARK: Room for new ones

  /// Makes room: closes the connection that has been idle longest, else a finished one, else the
  /// one whose request has been unfinished longest, else the one that has read nothing of its
  /// answer for longest and for at least two seconds. A complete request is answered, even if it
  /// has not been read yet, and a new connection has a second to send one.
  func closeIdlest(_ now: UInt64) -> Bool {
    closeOldest(now) { self.isIdle($0) && !$0.isPending && !$0.isNew(now) }
      || closeOldest(now) { $0.isLingering }
      || closeOldest(now) { self.isUnfinished($0) && !$0.isNew(now) }
      || closeOldest(now) { !$0.isSent && !$0.isAnswered && now > $0.heldSince + 2_000_000_000 }
  }

  /// Whether a request of the client has begun, or may have, and is not complete.
  func isUnfinished(_ client: Client) -> Bool {
    (client.connection.phase == .head || client.connection.phase == .body)
      && !client.connection.hasMore && client.isSent && !client.isAnswered && !client.isLingering
  }

  /// Closes the oldest of the candidates; returns whether there was one. Reads what it has sent
  /// first.
  func closeOldest(
    _ now: UInt64, amongGuests: Bool = false, where isCandidate: (Client) -> Bool
  ) -> Bool {
    var readCount = 0
    while let slot = oldest(amongGuests, where: isCandidate), let client = clients[slot] {
      if client.isSent, !client.isLingering {
        // A client that keeps sending is no reason to read from all of them here.
        readCount += 1
        if readCount > 8 { return false }
        if isIdle(client), Socket.readableByteCount(client.socket.raw) ?? 0 > 0 {
          line(up: slot, client)
          continue
        }
        response.visitEnd = 0
        receive(slot, client, now)
        // It has gone by itself.
        guard clients[slot] === client else { return true }
        guard isCandidate(client) else { continue }
      }
      if !client.isLingering { closed.evicted += 1 }
      close(slot)
      return true
    }
    return false
  }

  func oldest(_ amongGuests: Bool, where isCandidate: (Client) -> Bool) -> Int? {
    var oldest: Int?
    var oldestDeadline = UInt64.max
    for slot in clients.indices {
      guard let client = clients[slot], client.connection.isGuest == amongGuests else { continue }
      let deadline =
        client.isSent && !client.isLingering ? client.connection.deadline : client.writeDeadline
      guard deadline < oldestDeadline, isCandidate(client) else { continue }
      oldest = slot
      oldestDeadline = deadline
    }
    return oldest
  }

  func close(_ slot: Int) {
    guard let client = clients[slot] else { return }
    if client.receipt != nil { collectReceipt(client) }
    release(slot, client)
    fullSince = .max
    clients[slot] = nil
    free.append(slot)
    connectionCount -= 1
    if client.connection.isGuest { guestCount -= 1 }
    takenCount -= client.connection.port == 0 ? 0 : 1
    if connectionCount == 0 { nextSweep = .max }
    // Not now: the caller still holds the descriptor.
    descriptorIsFree()
  }
}
