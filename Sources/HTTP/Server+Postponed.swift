import SidecarPlatform

/// Answers that come later than the turn that read their requests.
extension Server {
  /// Answers a postponed request. Do not call it from within `respond`; a ticket answers once, and
  /// nothing happens if the client has gone.
  public func answer(
    _ ticket: Ticket, _ head: PostponedHead, _ body: ResponseBody, receipt: Receipt? = nil,
    now: UInt64
  ) {
    guard ticket.slot >= 0, ticket.slot < clients.count, let client = clients[ticket.slot],
      client.generation == ticket.generation, client.connection.phase == .waiting
    else { return }
    if body.number == 0 {
      newestBody += 1
      body.number = newestBody
      memory.leastByteCount = 2 * body.byteCount
    }
    let start = response.buffer.count
    let hasBody = client.connection.answer(
      head, bodyByteCount: body.byteCount, now: now, limits: limits, responder: responder,
      into: &response)
    if client.isSent { setInterest(ticket.slot, client, .readable) }
    guard clients[ticket.slot] != nil else { return }
    response.receipt = receipt
    finish(ticket.slot, client, start, hasBody && body.byteCount > 0 ? body : nil)
    settle(ticket.slot, client, now)
  }

  /// Calls `write` to answer a postponed request, as `respond` does; it may postpone it again. Do
  /// not call it from within `respond`; nothing happens if the client has gone.
  public func answer(_ ticket: Ticket, now: UInt64, _ write: (inout ResponseWriter) -> Void) {
    guard ticket.slot >= 0, ticket.slot < clients.count, let client = clients[ticket.slot],
      client.generation == ticket.generation, client.connection.phase == .waiting
    else { return }
    let start = response.buffer.count
    response.ticket = ticket
    serving = ticket.slot
    client.connection.answer(
      now: now, limits: limits, responder: responder, into: &response, write)
    serving = -1
    if client.connection.phase == .waiting { return }
    if client.isSent { setInterest(ticket.slot, client, .readable) }
    guard clients[ticket.slot] != nil else { return }
    finish(ticket.slot, client, start)
    settle(ticket.slot, client, now)
  }

  /// A number for the address of a client, for IPv6 for its first 64 bits; 0 if it has gone.
  public func peer(_ ticket: Ticket) -> UInt64 {
    guard ticket.slot >= 0, ticket.slot < clients.count, let client = clients[ticket.slot],
      client.generation == ticket.generation
    else { return 0 }
    return Socket.peer(client.socket.raw)
  }
}
