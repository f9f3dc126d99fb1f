import SidecarPlatform

/// A client of a gauge: its part's key, and the connection or session it ends with, or 0.
struct GaugeClient {
  var key: UInt64
  var owner: UInt64
}

/// The current connections and sessions of clients, each with a number: odd for a session, which is
/// the same after a restart; even for a connection, which is not.
struct ClientOwners {
  /// The sender of the current event; 0 for datagrams.
  var current: UInt64 = 0
  /// The digest of its container ID, if the line has one; else 0.
  var container: UInt64 = 0
  /// The client's time in Unix milliseconds, if the line has one; else 0.
  var time: UInt64 = 0
  private struct Owned {
    /// Its current connections; 0 for a session restored by a restart.
    var connectionCount = 0
    /// Records with a part that ends with it, by their units.
    var records: Set<UInt32> = []
  }

  private var owned: [UInt64: Owned] = [:]
  private var connections: UInt64 = 0
  /// Sessions that have not come back by then, in Unix milliseconds, are gone; 0 once that is done.
  var graceEnds: UInt64 = 0
  private var salt = Clock.unixNanoseconds

  /// After a restart, the time in which a session may come back.
  static let graceMilliseconds: UInt64 = 60_000

  /// A new connection's number, different from earlier ones and those of another process.
  mutating func connect() -> UInt64 {
    connections += 1
    return Digest.mix(connections, salt) & ~1 | 2
  }

  static func number(session high: UInt64, _ low: UInt64) -> UInt64 { Digest.mix(high, low) | 1 }
  static func isSession(_ owner: UInt64) -> Bool { owner & 1 == 1 }

  func contains(_ owner: UInt64) -> Bool { owned[owner].map { $0.connectionCount > 0 } ?? false }
  mutating func insert(_ owner: UInt64) { owned[owner, default: Owned()].connectionCount += 1 }

  /// Whether that was the last connection of this owner.
  mutating func remove(_ owner: UInt64) -> Bool {
    guard contains(owner) else { return false }
    owned[owner]?.connectionCount -= 1
    return !contains(owner)
  }

  // MARK: Parts of an owner

  /// Whether a gauge has a part that ends with it.
  func hasParts(_ owner: UInt64) -> Bool { owned[owner].map { !$0.records.isEmpty } ?? false }

  /// The owner has a part in this record.
  mutating func note(_ record: Record, of owner: UInt64) {
    if owner != 0 { owned[owner, default: Owned()].records.insert(record.unit) }
  }

  /// The owner no longer has a part in this record.
  mutating func forget(_ record: Record, of owner: UInt64) {
    owned[owner]?.records.remove(record.unit)
  }

  /// An owner without a connection has gone: returns where it has parts.
  mutating func takeRecords(of owner: UInt64) -> [Record] {
    guard let gone = owned.removeValue(forKey: owner) else { return [] }
    return gone.records.map { Record(unit: $0) }
  }

  /// Owners of parts that have no connection.
  func absent(withSessions: Bool) -> [UInt64] {
    owned.keys.filter { !contains($0) && (withSessions || !Self.isSession($0)) }
  }

  /// The part that an event belongs to: by the tag that the rule names, else by its sender.
  func client(tag: UInt32) -> GaugeClient {
    var key = current != 0 ? current : container
    if tag != 0 { key = Digest.mix(UInt64(tag), container) }
    return GaugeClient(key: key == 0 ? 1 : key, owner: current)
  }
}
