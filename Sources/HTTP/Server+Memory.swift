import SidecarPlatform

/// The memory that clients hold: charges it to `ClientMemory` as it changes, and chooses which
/// client to close.
///
/// What must stay true: `holdings[slot].own` is the charge for the client in that slot; a body is
/// charged once, however many clients read it; `settle` follows every change of what a client
/// holds.
extension Server: ClientMemoryHolder {
  /// One client's part, next to the others', so that a scan over all of them reads memory in order.
  struct Holding {
    /// Its input, what is decoded, and its output, in bytes.
    var own = 0
    /// The bytes of its body at the last settling.
    var body = 0
    var bodyNumber = 0
    /// When it last made progress.
    var since: UInt64 = 0
  }

  /// Charges what the client holds now. This may close a client, possibly this one.
  @inline(__always)
  func settle(_ slot: Int, _ client: Client, _ now: UInt64) {
    guard clients[slot] === client else { return }
    let own = client.connection.heldByteCount + client.output.capacity - 16
    let body = client.body?.body
    if own != holdings[slot].own || body != nil || holdings[slot].body != 0 {
      memory.change(by: own - holdings[slot].own)
      holdings[slot] = Holding(
        own: own, body: body?.chargedByteCount ?? 0, bodyNumber: body?.number ?? 0,
        since: client.heldSince)
    } else {
      holdings[slot].since = client.heldSince
    }
    if memory.isExceeded { memory.makeRoom(now: now) }
  }

  /// Releases the charge of the client in this slot.
  func release(_ slot: Int, _ client: Client) {
    memory.change(by: -holdings[slot].own)
    holdings[slot] = Holding()
    if let body = client.body?.body {
      client.body = nil
      detach(body)
    }
  }

  func attach(_ body: ResponseBody, _ slot: Int, _ client: Client) {
    client.body = SendingBody(body)
    body.readerCount += 1
    charge(body)
  }

  /// Removes one reader; the last one removes the charge.
  func detach(_ body: ResponseBody) {
    body.readerCount -= 1
    if body.readerCount == 0 { charge(body) }
    if unsentBodyByteCount == 0 { memory.leastByteCount = 0 }
  }

  /// Charges the rest of a body, once for all its readers.
  func charge(_ body: ResponseBody) {
    let held = body.readerCount > 0 ? body.heldByteCount : 0
    memory.change(by: held - body.chargedByteCount)
    unsentBodyByteCount += held - body.chargedByteCount
    body.chargedByteCount = held
  }

  // MARK: Which client to close

  private func heaviest(_ now: UInt64) -> (slot: Int, weight: UInt64)? {
    var heaviest = -1
    var most: UInt64 = 0
    for slot in holdings.indices {
      let holding = holdings[slot]
      let byteCount =
        holding.own + (holding.bodyNumber == newestBody ? 0 : holding.body)
      guard byteCount > 0, slot != serving else { continue }
      let weight = ClientMemory.weight(byteCount: byteCount, since: holding.since, now: now)
      if weight > most, clients[slot]?.isAnswered == false {
        heaviest = slot
        most = weight
      }
    }
    return heaviest < 0 ? nil : (heaviest, most)
  }

  public func heaviestWeight(now: UInt64) -> UInt64 { heaviest(now)?.weight ?? 0 }

  public func closeHeaviest(now: UInt64) {
    guard let slot = heaviest(now)?.slot else { return }
    let number = holdings[slot].bodyNumber
    closed.memory += 1
    close(slot)
    // A body is released only when all its readers are gone.
    guard number > 0, number != newestBody else { return }
    for slot in holdings.indices
    where holdings[slot].bodyNumber == number && clients[slot]?.isAnswered == false {
      closed.memory += 1
      close(slot)
    }
  }

  /// Closes clients of unread bodies beyond the bodies' own limit. Readers of the newest body stay,
  /// so that each answer has a chance.
  func makeRoom(for newest: ResponseBody, _ now: UInt64) {
    let limit = max(limits.unsentBodyByteCount, 2 * newest.byteCount)
    while unsentBodyByteCount > limit {
      var slowest: Int?
      var deadline = UInt64.max
      for slot in holdings.indices where holdings[slot].bodyNumber > 0 {
        guard holdings[slot].bodyNumber != newest.number, let client = clients[slot],
          client.writeDeadline < deadline
        else { continue }
        slowest = slot
        deadline = client.writeDeadline
      }
      guard let slowest else { return }
      closed.slow += 1
      close(slowest)
    }
  }
}
