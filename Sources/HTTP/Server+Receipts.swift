import SidecarPlatform

/// What a responder wants to hear again once the client's kernel has acknowledged a whole answer.
/// Set as `ResponseWriter.receipt`, or given with a later answer; both numbers are the responder's.
public struct Receipt: Equatable, Sendable {
  /// Who takes the answer.
  public let reader: UInt64
  /// What it has taken then.
  public let mark: UInt64

  /// Any two numbers.
  public init(reader: UInt64, mark: UInt64) {
    self.reader = reader
    self.mark = mark
  }
}

/// Receipts. What the kernel has taken of an answer is not yet with the client: a cut connection loses
/// it. `SIOCOUTQ` says what the other side has not acknowledged.
///
/// What must stay true: a receipt is given once, and not where the connection broke before it was
/// looked at.
extension Server {
  /// Looks at all answers with a receipt, and gives those to `body` that are not acknowledged yet; whether
  /// there are some.
  public func collectReceipts(_ body: (Receipt) -> Void = { _ in }) -> Bool {
    var isMissing = false
    for client in clients {
      guard let client, client.receipt != nil else { continue }
      collectReceipt(client)
      guard let receipt = client.receipt else { continue }
      body(receipt)
      isMissing = true
    }
    return isMissing
  }

  @inline(never)
  func collectReceipt(_ client: Client) {
    guard let receipt = client.receipt, client.isSent, !client.isAnswered,
      let unsent = Socket.unacknowledgedByteCount(client.socket.raw)
    else { return }
    // The end of our side counts as a byte.
    guard unsent <= (client.isLingering ? 1 : 0) else { return }
    client.receipt = nil
    responder.received(receipt)
  }

  /// Closes a connection that broke: what it was being sent has not arrived.
  func abandon(_ slot: Int, _ client: Client) {
    client.receipt = nil
    close(slot)
  }

  /// The address of a client, 16 bytes of IPv6 (`::ffff:0:0/96` for IPv4); zeros where it has gone.
  public func peerAddress(_ ticket: Ticket) -> (UInt64, UInt64) {
    guard ticket.slot >= 0, ticket.slot < clients.count, let client = clients[ticket.slot],
      client.generation == ticket.generation
    else { return (0, 0) }
    return Socket.peerAddress(client.socket.raw)
  }
}
