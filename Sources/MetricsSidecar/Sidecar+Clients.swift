import SidecarEvents
import SidecarHTTP
import SidecarPlatform

/// Clients of events.sock and `--statsd-tcp`: accepted, charged for what they hold, and closed.
///
/// What must stay true: each socket has places of its own. A client that makes room has been
/// silent, was read to its end, and loses nothing that a session would not send again; owners of a
/// gauge and clients with half a frame go last.
extension Sidecar: ClientMemoryHolder {
  /// A client heard within this time makes no room: otherwise two senders would close each other in
  /// turn.
  private static let silentNanoseconds: UInt64 = 10_000_000_000
  /// The same for a client that goes last: otherwise it would be the only candidate, after being
  /// silent for a moment longer than the others.
  private static let lastSilentNanoseconds: UInt64 = 60_000_000_000

  /// Accepts up to 64 pending connections; returns whether more may be pending.
  @discardableResult
  func accept(_ listener: Int32, _ source: IntakeCounts.Source) -> Bool {
    guard listener >= 0 else { return false }
    let now = Clock.monotonicNanoseconds
    for _ in 0..<64 {
      guard let socket = next(listener, source) else { return false }
      guard hasRoom(source) || makePlace(source, now) else {
        processor.counts.connectionsRefused += 1
        if source == .events { hasRefused = true }
        continue
      }
      add(socket, source, now)
    }
    return true
  }

  /// The next client of a listener; the listener pauses where no descriptor is left for it.
  func next(_ listener: Int32, _ source: IntakeCounts.Source) -> Descriptor? {
    do throws(Errno) { return try Socket.accept(listener) } catch {
      guard error.isShortage, Socket.hasWaiting(listener) else { return nil }
      acceptFailure = error
      server?.pause(listener, token: Self.token(of: source))
      return nil
    }
  }

  private func add(_ socket: consuming Descriptor, _ source: IntakeCounts.Source, _ now: UInt64) {
    let slot = freeConnections.popLast() ?? connections.count
    let token = Self.firstConnection + UInt32(slot)
    let descriptor = socket.raw
    let connection = EventConnection(
      socket, token: token, source: source, limits: processor.limits,
      owner: processor.registry.owners.connect(), now: now)
    if slot == connections.count {
      connections.append(connection)
    } else {
      connections[slot] = connection
    }
    count(source, 1)
    do throws(Errno) {
      try server?.watch(descriptor, .readable, token: token)
    } catch { return close(connection) }
    tell(connection, "a client has come")
  }

  /// Logs that a client connects or disconnects.
  @inline(never)
  private func tell(_ connection: EventConnection, _ what: StaticString) {
    tell(
      .debug,
      joined(
        connection.socketName, ": ", what.description, ", ", selfMetrics.connections.description,
        " are here"))
  }

  /// Logs what clients can cause as often as they like: twenty lines a second.
  @inline(never)
  func tell(_ level: Log.Level, _ message: @autoclosure () -> String) {
    guard level >= settings.log.minimum else { return }
    let now = Clock.monotonicNanoseconds
    let left = level == .debug ? connectionLines.takes(now: now) : clientLines.takes(now: now)
    guard let left else { return }
    let others = left > 0 ? joined(" (", left.description, " such lines were left out)") : ""
    settings.log.write(level, message() + others)
  }

  private func count(_ source: IntakeCounts.Source, _ change: Int) {
    if source == .tcp { clientCounts.tcp += change } else { clientCounts.events += change }
    selfMetrics.connections = clientCounts.events + clientCounts.tcp
    if clientCounts.events < settings.limits.connections { hasRefused = false }
  }

  private func hasRoom(_ source: IntakeCounts.Source) -> Bool {
    source == .tcp
      ? clientCounts.tcp < settings.limits.tcpConnections
      : clientCounts.events < settings.limits.connections
  }

  /// Closes the client of that socket that has been silent longest, if any has been silent.
  private func makePlace(_ source: IntakeCounts.Source, _ now: UInt64) -> Bool {
    var chosen: EventConnection?
    var isChosenLast = true
    for case let connection? in connections
    where connection.source == source && !connection.isHalfApplied {
      let silence = now &- min(now, connection.heardAt)
      guard silence >= Self.silentNanoseconds else { continue }
      let isLast = goesLast(connection)
      if isLast, silence < Self.lastSilentNanoseconds { continue }
      guard let best = chosen else {
        (chosen, isChosenLast) = (connection, isLast)
        continue
      }
      if isLast == isChosenLast ? connection.heardAt < best.heardAt : isChosenLast {
        (chosen, isChosenLast) = (connection, isLast)
      }
    }
    guard let chosen else { return false }
    // With something that is not read yet, it is not silent.
    if Socket.readableByteCount(chosen.socket.raw) ?? 0 > 0 { return false }
    // It may have gone.
    _ = read(chosen, now, until: turn.endsAt)
    guard isOpen(chosen), turn.half == .nothing else { return !isOpen(chosen) }
    processor.counts.closed.evicted += 1
    finish(chosen)
    return true
  }

  private func goesLast(_ connection: EventConnection) -> Bool {
    connection.isUnfinished || processor.registry.owners.hasParts(connection.owner)
  }

  private func isOpen(_ connection: EventConnection) -> Bool {
    self.connection(connection.token) === connection
  }

  /// Takes what a listener's queue can hold (`net.core.somaxconn`), not what keeps coming.
  func acceptQueue(_ listener: Int32, _ source: IntakeCounts.Source) {
    for _ in 0..<64 {
      guard accept(listener, source) else { return }
    }
  }

  func connection(_ token: UInt32) -> EventConnection? {
    guard token >= Self.firstConnection else { return nil }
    let slot = Int(token - Self.firstConnection)
    return slot < connections.count ? connections[slot] : nil
  }

  /// Commits what it has sent, tells it so, and closes. While a frame of somebody else is half
  /// applied nobody commits: then what it has sent takes effect with that.
  func finish(_ connection: EventConnection) {
    if turn.half == .nothing {
      processor.registry.commit()
      connection.acknowledge(processor)
    }
    close(connection)
  }

  func close(_ connection: EventConnection) {
    let slot = Int(connection.token - Self.firstConnection)
    guard slot < connections.count, connections[slot] === connection else { return }
    if let id = connection.sessionID { processor.registry.close(id) }
    processor.registry.connectionEnded(connection.owner)
    clientMemory.change(by: -connection.chargedByteCount)
    server?.unwatch(connection.socket.raw)
    connections[slot] = nil
    freeConnections.append(slot)
    count(connection.source, -1)
    tell(connection, "a client has gone")
    server?.descriptorIsFree()
  }

  // MARK: Memory

  /// Charges what the client holds now. This may close a client, possibly this one.
  func settle(_ connection: EventConnection, _ now: UInt64) {
    let change = connection.heldByteCount - connection.chargedByteCount
    if change == 0 { return }
    clientMemory.change(by: change)
    connection.chargedByteCount += change
    if clientMemory.isExceeded { clientMemory.makeRoom(now: now) }
  }

  private func heaviest(_ now: UInt64) -> (connection: EventConnection, weight: UInt64)? {
    var found: (connection: EventConnection, weight: UInt64)?
    for case let connection? in connections
    where connection.isHeavy && !connection.isHalfApplied {
      var weight = connection.weight(now: now)
      // The end of its connection would change a number.
      if processor.registry.owners.hasParts(connection.owner) { weight = 1 }
      if weight > found?.weight ?? 0 { found = (connection, weight) }
    }
    return found
  }

  func heaviestWeight(now: UInt64) -> UInt64 { heaviest(now)?.weight ?? 0 }

  func closeHeaviest(now: UInt64) {
    guard let connection = heaviest(now)?.connection else { return }
    processor.counts.closed.memory += 1
    tell(
      .warning,
      "\(connection.socketName): closed a client: of all that clients hold, beyond "
        + "--max-client-memory, half a frame of it has been here longest")
    finish(connection)
  }
}
