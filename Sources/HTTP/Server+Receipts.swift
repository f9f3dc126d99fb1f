import SidecarPlatform

/// What a responder gets back once the client's kernel has acknowledged a whole answer. Set as
/// `ResponseWriter.receipt`, or passed with a later answer; both numbers are the responder's.
public struct Receipt: Equatable, Sendable {
  /// The reader of the answer.
  public let reader: UInt64
  /// What it has received then.
  public let mark: UInt64

  /// Any two numbers.
  public init(reader: UInt64, mark: UInt64) {
    self.reader = reader
    self.mark = mark
  }
}

/// Receipts. An answer in the kernel has not reached the client yet: a broken connection loses it.
/// `SIOCOUTQ` says how much the other side has not acknowledged.
///
/// What must stay true: a receipt is given once, and not if the connection broke before the check.
extension Server {
  /// Checks all answers with a receipt, and passes the unacknowledged ones to `body`; returns
  /// whether there are any.
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

  /// Closes a broken connection: its answer has not arrived.
  func abandon(_ slot: Int, _ client: Client) {
    client.receipt = nil
    close(slot)
  }

  /// The address of a client, 16 bytes of IPv6 (`::ffff:0:0/96` for IPv4); zeros if it has gone.
  public func peerAddress(_ ticket: Ticket) -> (UInt64, UInt64) {
    guard ticket.slot >= 0, ticket.slot < clients.count, let client = clients[ticket.slot],
      client.generation == ticket.generation
    else { return (0, 0) }
    return Socket.peerAddress(client.socket.raw)
  }
}
