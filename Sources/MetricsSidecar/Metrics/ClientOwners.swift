import SidecarPlatform

/// Who reports a gauge: its part's key, and the connection or session it ends with, or 0.
struct GaugeClient {
  var key: UInt64
  var owner: UInt64
}

/// The connections and sessions that clients speak through now, by a number each: odd for a session,
/// which is the same after a restart; even for a connection, which is not.
struct ClientOwners {
  /// Who has sent what is being applied; 0 for datagrams.
  var current: UInt64 = 0
  /// The digest of its container id, where the line has one; else 0.
  var container: UInt64 = 0
  /// The client's time in Unix milliseconds, where the line has one; else 0.
  var time: UInt64 = 0
  private struct Owned {
    /// Connections that it speaks through now; 0 for one that a restart has found.
    var connectionCount = 0
    /// Records in which a part ends with it, by their units.
    var records: Set<UInt32> = []
  }

  private var owned: [UInt64: Owned] = [:]
  private var connections: UInt64 = 0
  /// Sessions that have not come back by then, in Unix milliseconds, have gone; 0 once that is done.
  var graceEnds: UInt64 = 0
  private var salt = Clock.unixNanoseconds

  /// After a restart, the time in which a session may come back.
  static let graceMilliseconds: UInt64 = 60_000

  /// A new connection's number, unlike those before and those of another life.
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

  // MARK: What ends with an owner

  /// Whether a gauge has a part that ends with it.
  func hasParts(_ owner: UInt64) -> Bool { owned[owner].map { !$0.records.isEmpty } ?? false }

  /// The owner has a part in this record.
  mutating func note(_ record: Record, of owner: UInt64) {
    if owner != 0 { owned[owner, default: Owned()].records.insert(record.unit) }
  }

  /// It has none there any more.
  mutating func forget(_ record: Record, of owner: UInt64) {
    owned[owner]?.records.remove(record.unit)
  }

  /// An owner without a connection has gone: where it has parts.
  mutating func takeRecords(of owner: UInt64) -> [Record] {
    guard let gone = owned.removeValue(forKey: owner) else { return [] }
    return gone.records.map { Record(unit: $0) }
  }

  /// Those that parts name and that have no connection.
  func absent(withSessions: Bool) -> [UInt64] {
    owned.keys.filter { !contains($0) && (withSessions || !Self.isSession($0)) }
  }

  /// The part that an event belongs to: by the tag that the rule names, else by who has sent it.
  func client(tag: UInt32) -> GaugeClient {
    var key = current != 0 ? current : container
    if tag != 0 { key = Digest.mix(UInt64(tag), container) }
    return GaugeClient(key: key == 0 ? 1 : key, owner: current)
  }
}
