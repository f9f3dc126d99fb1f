import SidecarEvents
import SidecarHTTP

/// The events that closed connections become: `http.connection.closed`, by the reason.
struct ClosedEvents {
  private static let reasons: [StaticString] = ["refused", "evicted", "memory", "slow"]

  /// What was counted so far, by reason.
  private var told: [UInt64] = [0, 0, 0, 0]
  private var handles: [EventClient.Handle?] = [nil, nil, nil, nil]

  /// Adds what the server has closed since the last time; whether there was something.
  mutating func count(_ closed: ClosedConnections, _ client: EventClient) -> Bool {
    var isChanged = add(0, closed.refused, client)
    if add(1, closed.evicted, client) { isChanged = true }
    if add(2, closed.memory, client) { isChanged = true }
    if add(3, closed.slow, client) { isChanged = true }
    return isChanged
  }

  @inline(__always)
  private mutating func add(_ reason: Int, _ count: UInt64, _ client: EventClient) -> Bool {
    count != told[reason] && tell(reason, count, client)
  }

  @inline(never)
  private mutating func tell(_ reason: Int, _ count: UInt64, _ client: EventClient) -> Bool {
    let handle =
      handles[reason]
      ?? client.counter("http.connection.closed", tags: "reason:\(Self.reasons[reason])")
    handles[reason] = handle
    client.add(handle, count - told[reason])
    told[reason] = count
    return true
  }
}
