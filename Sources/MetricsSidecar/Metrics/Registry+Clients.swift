import SidecarPlatform
import SidecarRules

/// Gauges of several clients: the owners of parts, and what ends with a connection.
extension Registry {
  /// Sets or moves the current client's part.
  func setPart(
    _ record: Record, _ family: Family, _ value: Double, _ isDelta: Bool, tag: UInt32
  ) {
    let options = family.options
    let client = owners.client(tag: tag)
    if client.owner != 0, !owners.contains(client.owner) { owners.insert(client.owner) }
    let former = ClientGaugeCells.set(
      value, isDelta: isDelta, client: client, in: state, record.headCell,
      now: options.merge == .mostRecent && owners.time != 0 ? owners.time : now, options,
      owners: owners)
    guard let former else {
      refusedClients += 1
      return
    }
    owners.note(record, of: client.owner)
    if former != client.owner { partEnded(of: former, record, options) }
  }

  /// Ends the client's part of one series.
  func endPart(of client: GaugeClient, _ record: Record, _ options: KindOptions) {
    guard let owner = ClientGaugeCells.end(client.key, in: state, record.headCell, options) else {
      return
    }
    partEnded(of: owner, record, options)
  }

  /// A part no longer belongs to this owner, which may have others in the same series.
  private func partEnded(of owner: UInt64, _ record: Record, _ options: KindOptions) {
    if owner != 0, !ClientGaugeCells.owners(in: state, record.headCell, options).contains(owner) {
      owners.forget(record, of: owner)
    }
  }

  /// A connection has ended: if it was its owner's last, its parts of live gauges end too. The work
  /// is proportional to what it owned.
  func connectionEnded(_ owner: UInt64) {
    if owners.remove(owner) { endParts(of: owner) }
  }

  /// At startup: connections do not outlive the sidecar, sessions may come back.
  func forgetConnections() {
    owners.graceEnds = now + ClientOwners.graceMilliseconds
    indexOwners()
  }

  /// Once, before a scrape, when the time in which sessions may come back is over.
  func forgetAbsentSessions() {
    guard owners.graceEnds != 0, now >= owners.graceEnds else { return }
    owners.graceEnds = 0
    endAbsent()
  }

  /// Finds all parts and their owners, and ends those of owners that have gone.
  private func indexOwners() {
    for family in families where family.kind == .clientGauge {
      for record in family.series {
        for owner in ClientGaugeCells.owners(in: state, record.headCell, family.options) {
          owners.note(record, of: owner)
        }
      }
    }
    endAbsent()
  }

  private func endAbsent() {
    for owner in owners.absent(withSessions: owners.graceEnds == 0) { endParts(of: owner) }
  }

  /// A series of a gauge of several clients is removed.
  func forgetOwners(of record: Record, _ options: KindOptions) {
    for owner in ClientGaugeCells.owners(in: state, record.headCell, options) {
      owners.forget(record, of: owner)
    }
  }

  private func endParts(of owner: UInt64) {
    for record in owners.takeRecords(of: owner) {
      guard let family = familyIndex[name(of: record)].map({ families[$0] }) else { continue }
      ClientGaugeCells.end(allOf: owner, in: state, record.headCell, family.options)
      #if DEBUG
        recordsLookedAt += 1
      #endif
    }
  }

  func name(of record: Record) -> [UInt8] {
    let state = self.state
    return SeriesKey.array(state.key(record).extracting(0..<state.nameByteCount(record)))
  }
}

extension KindOptions {
  /// The digest of the tag that identifies clients, never 0; 0 if the event has none.
  func client(_ event: EventDescription) -> UInt32 {
    if clientTag.isEmpty { return 0 }
    let value = Array(event.value(of: clientTag))
    return value.isEmpty ? 0 : max(1, unsafe Digest.checksum(value.span.bytes))
  }
}
