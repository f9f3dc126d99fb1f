import SidecarPlatform
import SidecarRules

/// A gauge of several clients: see `ClientGaugeCells`.
final class ClientGauge: Metric {
  static let members = [
    MetricMember("merge", of: [.clientGauge, .gauge], "gauges") {
      json, options throws(JSON.Mistake) in
      let words = ["last", "sum", "min", "max", "livesum", "livemin", "livemax"]
      guard let index = words.firstIndex(of: try json.text()) else {
        throw json.mistake("\"merge\" is last, sum, min, max, livesum, livemin or livemax")
      }
      options.isLive = index > 3
      options.merge =
        KindOptions.Merge(rawValue: UInt8(options.isLive ? index - 3 : index)) ?? .last
    },
    MetricMember(
      "client", of: [.clientGauge], "gauges with a \"merge\" of several clients"
    ) { json, options throws(JSON.Mistake) in
      options.clientTag = Array(try json.text().utf8)
    },
  ]

  override func cellCount(_ options: KindOptions, bounds: Int) -> Int {
    ClientGaugeCells.count(options)
  }

  override func shape(_ options: KindOptions) -> [Double] {
    [Double(options.merge.rawValue), Double(options.maxClients)]
  }

  override func expose(
    _ values: Span<Double>, _ record: Int, _ family: Family, _ request: ExposedRequest,
    to points: PointSeries
  ) -> Exposed {
    ClientGaugeCells.value(values, now: request.now, family.options).map { .number($0) } ?? .nothing
  }

  override func takes(_ event: MetricType) -> Bool { event == .clientGauge || event == .gauge }

  override func observe(
    _ value: Double, weight: Double, _ move: GaugeMove, _ target: LineTable.Target,
    _ family: Family, in registry: Registry
  ) {
    guard value.magnitude <= Registry.greatestTerm else {
      registry.refusedValues += 1
      return
    }
    registry.setPart(
      Record(unit: target.cell), family, value, move.isStep(target.minus), tag: target.client)
  }
}

/// A gauge that several clients report individually: the series is their sum, minimum or maximum.
///
///     1 what clients that have gone left behind   2 1 if any has
///     then for each client: key, 0 where it is free   who owns it   its value   when, in Unix ms
///
/// The owner is the client's connection or session, 0 for datagrams. A part of a live gauge ends
/// with its owner. In the others it stays, for the rule's window if it has one; when there is no
/// room for another, the oldest part without an owner is merged into cell 1.
enum ClientGaugeCells {
  private static let rest = 1
  private static let hasRest = 2
  private static let firstPart = 3
  private static let partCells = 4
  private static let owner = 1
  private static let number = 2
  private static let time = 3
  /// How long a client without a connection counts as alive.
  static let defaultLiveMilliseconds: UInt64 = 300_000

  static func count(_ options: KindOptions) -> Int { firstPart + options.maxClients * partCells }

  /// Sets or moves a client's part. Returns its previous owner, 0 for none; `nil` if there was no
  /// room.
  static func set(
    _ value: Double, isDelta: Bool, client: GaugeClient, in state: StateFile, _ record: Int,
    now: UInt64, _ options: KindOptions, owners: ClientOwners
  ) -> UInt64? {
    // Stored at each event: the first cell says when the series had its last one.
    state.store(record + rest, state.value(record + rest))
    guard let part = part(client.key, in: state, record, now, options, owners) else { return nil }
    let former = state.value(part) == 0 ? 0 : state.value(part + owner)
    if state.value(part) != client.key {
      state.store(part, client.key)
      state.store(part + number, 0.0)
    }
    if state.value(part + owner) != client.owner { state.store(part + owner, client.owner) }
    state.store(part + number, isDelta ? state.number(part + number) + value : value)
    state.store(part + time, now)
    return former
  }

  /// The client's cells, or free ones.
  private static func part(
    _ key: UInt64, in state: StateFile, _ record: Int, _ now: UInt64, _ options: KindOptions,
    _ owners: ClientOwners
  ) -> Int? {
    var free: Int?
    for part in parts(record, options) {
      let found = state.value(part)
      if found == key { return part }
      if free == nil,
        found == 0
          || state.value(part + owner) == 0 && hasExpired(state.value(part + time), now, options)
      {
        free = part
      }
    }
    if let free { return free }
    guard let oldest = oldest(in: state, record, options, owners) else { return nil }
    let value = state.number(oldest + number)
    let isFirst = state.value(record + hasRest) == 0
    state.store(
      record + rest, isFirst ? value : merged(state.number(record + rest), value, options))
    state.store(record + hasRest, UInt64(1))
    return oldest
  }

  /// The part reported longest ago, among those without an owner. None for a live gauge.
  private static func oldest(
    in state: StateFile, _ record: Int, _ options: KindOptions, _ owners: ClientOwners
  ) -> Int? {
    var oldest: Int?
    if options.isLive { return nil }
    for part in parts(record, options) {
      let partOwner = state.value(part + owner)
      if partOwner != 0, !owners.contains(partOwner),
        oldest.map({ state.value($0 + time) > state.value(part + time) }) ?? true
      {
        oldest = part
      }
    }
    return oldest
  }

  /// The owners of parts, one or more times each; without 0.
  static func owners(in state: StateFile, _ record: Int, _ options: KindOptions) -> [UInt64] {
    var found: [UInt64] = []
    for part in parts(record, options) where state.value(part) != 0 {
      let owner = state.value(part + owner)
      if owner != 0 { found.append(owner) }
    }
    return found
  }

  /// Ends the part of one client; returns its owner, `nil` if it has none.
  static func end(
    _ key: UInt64, in state: StateFile, _ record: Int, _ options: KindOptions
  ) -> UInt64? {
    for part in parts(record, options) where state.value(part) == key {
      state.store(part, UInt64(0))
      return state.value(part + owner)
    }
    return nil
  }

  /// The owner has gone: its parts of a live gauge end. In others, its last values count for
  /// another window, without an owner.
  static func end(allOf gone: UInt64, in state: StateFile, _ record: Int, _ options: KindOptions) {
    guard options.isLive || options.windowMilliseconds != 0 else { return }
    for part in parts(record, options)
    where state.value(part) != 0 && state.value(part + owner) == gone {
      state.store(options.isLive ? part : part + owner, UInt64(0))
    }
  }

  /// The first cell of each part: its key.
  static func parts(_ record: Int, _ options: KindOptions) -> StrideTo<Int> {
    stride(from: record + firstPart, to: record + count(options), by: partCells)
  }

  /// The value of the series, from a record's cells without the first: without clients a sum is 0,
  /// a minimum or maximum does not exist.
  static func value(_ values: Span<Double>, now: UInt64, _ options: KindOptions) -> Double? {
    var result: Double? = values[hasRest - 1].bitPattern == 0 ? nil : values[rest - 1]
    var newest: UInt64 = 0
    for part in parts(-1, options) where values[part].bitPattern != 0 {
      if values[part + owner].bitPattern == 0,
        hasExpired(values[part + time].bitPattern, now, options)
      {
        continue
      }
      let value = values[part + number]
      if options.merge == .mostRecent {
        let time = values[part + Self.time].bitPattern
        if time >= newest { (result, newest) = (value, time) }
        continue
      }
      result = result.map { merged($0, value, options) } ?? value
    }
    return result ?? (options.merge == .sum ? 0 : nil)
  }

  private static func merged(_ one: Double, _ other: Double, _ options: KindOptions) -> Double {
    switch options.merge {
    case .sum, .last: one + other
    case .mostRecent: other
    case .min: min(one, other)
    case .max: max(one, other)
    }
  }

  /// The time to live of a client without a connection.
  private static func hasExpired(_ time: UInt64, _ now: UInt64, _ options: KindOptions) -> Bool {
    var window = options.windowMilliseconds
    if window == 0 {
      if !options.isLive { return false }
      window = defaultLiveMilliseconds
    }
    return now > time && now - time > window
  }
}
