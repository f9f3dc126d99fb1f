import SidecarPlatform

/// Sending: the answers of a turn, long bodies in one part per turn, and the end of a connection.
extension Server {
  struct Send {
    let slot: Int
    /// Distinguishes the answered connection from a later one in the same slot.
    let generation: UInt32
    let range: Range<Int>
    /// Follows those bytes.
    var body: ResponseBody?
  }

  /// The bytes of one body in one turn, some tenths of a millisecond: a kernel with a large buffer
  /// would accept more at once.
  static var bodyByteCountPerTurn: Int { 256 << 10 }

  @_optimize(speed)
  func send(_ slot: Int, _ client: Client, _ bytes: RawSpan, _ now: UInt64) {
    var rest = bytes
    if client.output.isEmpty {
      switch client.socket.send(bytes) {
      case .bytes(let count): rest = bytes.extracting(count..<bytes.byteCount)
      case .wouldBlock: break
      case .closed, .failed: return abandon(slot, client)
      }
      if rest.byteCount == 0 {
        // A body continues when its client is writable: not all of it in the turn that made it.
        if client.body == nil {
          if client.connection.phase == .closing { end(slot, client, now) }
          return
        }
        return sendRest(slot, client, now, isFirst: true)
      }
      // The peer reads slowly: read nothing more from it until it has received this.
      client.heldSince = now
      wait(slot, client, now)
    }
    client.output.append(rest)
  }

  func wait(_ slot: Int, _ client: Client, _ now: UInt64) {
    client.writeDeadline = now + limits.writeMilliseconds * 1_000_000
    schedule(client.writeDeadline)
    setInterest(slot, client, .writable)
  }

  func sendRest(_ slot: Int, _ client: Client, _ now: UInt64, isFirst: Bool = false) {
    var hasProgress = isFirst
    if !client.output.isEmpty {
      switch client.socket.send(client.output.bytes) {
      case .bytes(let count):
        client.output.removeFirst(count)
        client.moved(count, now)
        hasProgress = true
      case .wouldBlock: return
      case .closed, .failed: return abandon(slot, client)
      }
    }
    if client.output.isEmpty, client.body != nil {
      guard let count = sendBody(slot, client) else { return }
      client.moved(count, now)
      if count > 0 { hasProgress = true }
    }
    guard client.isSent else {
      if hasProgress { wait(slot, client, now) }
      return
    }
    client.output.shrink(to: 16)
    client.heldSince = now
    client.writeDeadline = .max
    if client.connection.phase == .closing { return end(slot, client, now) }
    setInterest(slot, client, client.connection.phase == .waiting ? [] : .readable)
    // An answer that began before the stop did not say that it is the last.
    if client.connection.hasMore || client.connection.isStopping { postpone(slot, client) }
  }

  /// Sends as much of the body as the kernel accepts; returns how many bytes, or `nil` if that
  /// closed the client.
  private func sendBody(_ slot: Int, _ client: Client) -> Int? {
    guard var sending = client.body else { return 0 }
    // Nothing else may hold the memory that it releases.
    client.body = nil
    let count = sending.send(to: client.socket, limit: Self.bodyByteCountPerTurn)
    charge(sending.body)
    if let count, !sending.isSent {
      client.body = sending
      return count
    }
    detach(sending.body)
    if count == nil { abandon(slot, client) }
    return count
  }

  /// Ends a connection whose answers are all with the kernel.
  func end(_ slot: Int, _ client: Client, _ now: UInt64) {
    if client.connection.mustLinger || client.receipt != nil {
      linger(slot, client, now)
    } else {
      close(slot)
    }
  }

  /// Shuts our side and waits a moment for the peer's: a close with unread bytes would be a reset,
  /// which can destroy the answer.
  func linger(_ slot: Int, _ client: Client, _ now: UInt64) {
    client.isLingering = true
    Socket.shutdownWrite(client.socket.raw)
    client.writeDeadline = now + 2_000_000_000
    schedule(client.writeDeadline)
    setInterest(slot, client, .readable)
  }

  func drain(_ slot: Int, _ client: Client) {
    slab.removeAll()
    switch client.socket.receive(into: &slab, capacity: 65_536) {
    case .bytes, .wouldBlock: break
    case .closed: close(slot)
    case .failed: abandon(slot, client)
    }
  }

  func setInterest(_ slot: Int, _ client: Client, _ interest: Poller.Interest) {
    guard client.interest != interest else { return }
    client.interest = interest
    do throws(Errno) {
      try poller.modify(client.socket.raw, interest, data: data(slot, client.generation))
    } catch { close(slot) }
  }
}
