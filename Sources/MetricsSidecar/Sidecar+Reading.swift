import SidecarEvents
import SidecarHTTP
import SidecarPlatform

/// What clients send, as it is read.
extension Sidecar {
  func readConnection(_ token: UInt32, _ now: UInt64) {
    guard let connection = connection(token) else { return }
    // It may have room again for acknowledgements.
    if connection.isBlocked { touched.append(token) }
    guard read(connection, now, until: turn.endsAt) > 0, !connection.isPolled,
      !connection.isFlooding
    else { return }
    connection.isPolled = true
    setInterest(connection)
    polled.append(token)
    nextLook = min(nextLook, now + Self.lookNanoseconds)
  }

  /// Reads once; returns how many bytes arrived. Applies a long frame as far as there is time until
  /// `end`.
  func read(_ connection: EventConnection, _ now: UInt64, until end: UInt64) -> Int {
    let outcome = connection.receive(processor, now, until: end)
    if connection.isHalfApplied { turn.half = .frame(token: connection.token) }
    guard case .read(let byteCount) = outcome else {
      ended(outcome, of: connection, now)
      return 0
    }
    turn.byteCount += byteCount
    connection.note(byteCount, now, windowNanoseconds: Self.lookNanoseconds)
    touched.append(connection.token)
    if turn.half == .nothing { settle(connection, now) }
    return byteCount
  }

  /// A client's complete frames are applied, or it has gone.
  func ended(_ outcome: EventConnection.Outcome, of connection: EventConnection, _ now: UInt64) {
    switch outcome {
    case .read: return
    case .nothing: settle(connection, now)
    case .closed: close(connection)
    case .broken(let reason):
      tell(.warning, joined(connection.socketName, ": closed a client: ", reason.description))
      finish(connection)
    }
  }

  func setInterest(_ connection: EventConnection) {
    var interest: Poller.Interest = connection.isPolled ? [] : .readable
    if connection.isBlocked { interest.insert(.writable) }
    do throws(Errno) {
      try server?.change(connection.socket.raw, interest, token: connection.token)
    } catch { close(connection) }
  }

  /// Writes the acknowledgements that the last commit allows, once per connection that was read.
  func acknowledge() {
    guard !touched.isEmpty else { return }
    for token in touched {
      guard let connection = connection(token) else { continue }
      let wasBlocked = connection.isBlocked
      connection.acknowledge(processor)
      if connection.isBlocked != wasBlocked { setInterest(connection) }
    }
    touched.removeAll(keepingCapacity: true)
  }

  // MARK: Datagrams

  func receiveDatagrams(_ raw: Int32, _ source: IntakeCounts.Source) {
    guard raw >= 0 else { return }
    if inbox.receive(from: raw, source, processor, until: turn.endsAt) {
      turn.byteCount += IntakeTurn.smallByteCount + 1
    }
    if inbox.isHalfApplied { turn.half = .datagrams }
  }
}
