import Events
import Platform

/// All families and series: what an event does to them, and what the exposition reads.
///
/// What must stay true: everything between two `commit`s takes effect together. A known event
/// allocates nothing and looks at no rule.
final class Registry {
  let state: StateFile
  let limits: Limits
  var rules: Rules
  var matcher: RuleMatcher
  /// For each entry of `rules.families` its place in `families`; -1 where events make the family.
  var ruleFamilies: [Int] = []
  var families: [Family] = []
  private(set) var familyIndex: [[UInt8]: Int] = [:]
  var table = SeriesTable()
  var lines: LineTable
  var sessions: SessionTable
  /// Spellings of tags in names that are read.
  var dialects = TagDialects.all
  /// Names as clients wrote them.
  var spellings = Spellings()
  /// `nil` where no rule asks for them.
  var exemplars: Exemplars?
  /// What values are multiplied with, by number.
  var scales = Scales()
  /// Series kept, without the overflow series.
  var seriesCount = 0
  /// Who speaks to gauges of several clients.
  var owners = ClientOwners()
  /// Clients of gauges that were refused, each time one would have had a part.
  var refusedClients: UInt64 = 0
  var conflicts = TypeConflicts()
  /// Unix time in milliseconds, read once between two commits and only by those who need it.
  private var turnTime: UInt64 = 0
  #if DEBUG
    /// The time that tests have.
    var testTime: UInt64?
  #endif
  /// Times to live, and how far the look for expired series is.
  var expiry = Expiry()
  var look = ExpiryLook()
  /// Series that had no event for their time to live.
  var expiredSeries: UInt64 = 0
  /// Records out of use, to be used again once no page reads them.
  private(set) var retired: [Record] = []
  /// Places of families that are no more.
  private var freeFamilies: [Int] = []
  /// Series that were refused, each time an event would have made one.
  private(set) var refusedSeries: UInt64 = 0

  init(state: StateFile, rules: Rules, limits: Limits) {
    self.state = state
    self.limits = limits
    self.rules = rules
    matcher = RuleMatcher(rules.rules)
    lines = LineTable(limit: limits.series * 2)
    sessions = SessionTable(limit: limits.sessions)
    exemplars = Exemplars(rules, limit: limits.exemplars)
    for entry in rules.families { declare(entry) }
    readState()
    makeConstantSeries()
    forgetConnections()
    state.commit()
    recycleRetired()
    startExpiry()
  }

  /// Begins with the times to live that the settings and the rules have.
  func startExpiry() {
    let now = Clock.monotonicNanoseconds
    expiry.use(limits.seriesTimeToLive)
    expiry.use(limits.sessionTimeToLive)
    for family in families { expiry.use(timeToLive(family)) }
    expiry.note(state.committed, now: now)
    // What the file holds counts as seen now.
    expiry.arm(expiry.shortest, now: now)
  }

  @inline(__always)
  func commit() {
    turnTime = 0
    state.commit()
  }

  /// Unix time in milliseconds: the same from one commit to the next.
  var now: UInt64 {
    #if DEBUG
      if let testTime { return testTime }
    #endif
    if turnTime == 0 { turnTime = Clock.unixNanoseconds / 1_000_000 }
    return turnTime
  }

  // MARK: Events

  /// Why an event was not counted.
  enum Rejection: Error, CaseIterable {
    case typeConflict, unsupportedType, seriesLimit, familyLimit, tooManyLabels, nameTooLong
    case valueTooLong, stateFull, dropped, mixedTags

    /// The label of `metrics_sidecar_events_rejected_total`.
    var reason: StaticString {
      switch self {
      case .typeConflict: "type_conflict"
      case .unsupportedType: "unsupported_type"
      case .seriesLimit: "series_limit"
      case .familyLimit: "family_limit"
      case .tooManyLabels: "too_many_labels"
      case .nameTooLong: "name_too_long"
      case .valueTooLong: "label_value_too_long"
      case .stateFull: "state_full"
      case .dropped: "dropped_by_rules"
      case .mixedTags: "mixed_tags"
      }
    }
  }

  /// Adds `value`, which stands for `weight` samples, to everything that the event feeds.
  /// `type` is the first letter of the event's type.
  @inline(__always)
  @_optimize(speed)
  func apply(
    name: RawSpan, type: UInt8, tags: RawSpan, value: Double, weight: Double, isDelta: Bool
  ) -> Rejection? {
    if let exemplars {
      return applyTraced(exemplars, name, type, tags, value, weight, isDelta)
    }
    return applyPlain(
      name: name, type: type, tags: tags, value: value, weight: weight, isDelta: isDelta)
  }

  /// The targets of a line that is known.
  func targets(_ name: RawSpan, _ type: UInt8, _ tags: RawSpan) -> LineTable.Targets? {
    LineKey.withKey(name: name, type: type, tags: tags) { key in lines.find(key) }
  }

  @inline(__always)
  @_optimize(speed)
  func applyPlain(
    name: RawSpan, type: UInt8, tags: RawSpan, value: Double, weight: Double, isDelta: Bool
  ) -> Rejection? {
    LineKey.withKey(name: name, type: type, tags: tags) { key in
      if let targets = lines.find(key) {
        for index in 0..<targets.count { add(targets[index], value, weight, isDelta) }
        return nil
      }
      return applyNew(key, name, type, tags, value, weight, isDelta)
    }
  }

  /// Adds what a line says, if it is known; `false` leaves it to be taken apart the long way.
  @inline(never)
  @_optimize(speed)
  func apply(_ line: inout PlainLine) -> Bool {
    guard let targets = lines.find(line.key) else { return false }
    for index in 0..<targets.count {
      let target = targets[index]
      if target.kind == .counter, target.scale == 0 {
        state.add(Int(target.cell) + 1, line.value)
      } else {
        addPlain(target, line.value)
      }
    }
    return true
  }

  @inline(never)
  @_optimize(speed)
  private func addPlain(_ target: LineTable.Target, _ value: Double) {
    add(target, value, 1, false)
  }

  @inline(never)
  private func applyNew(
    _ key: LineKey, _ name: RawSpan, _ type: UInt8, _ tags: RawSpan, _ value: Double,
    _ weight: Double, _ isDelta: Bool
  ) -> Rejection? {
    let resolver = Resolver(name: name, type: type, tags: tags, dialects: dialects)
    var outcome = Resolution()
    do throws(Rejection) {
      try resolve(resolver, into: &outcome)
    } catch { return error }
    for target in outcome.targets { add(target, value, weight, isDelta) }
    guard let refusal = outcome.refusal else {
      lines.insert(key, targets: outcome.targets)
      return nil
    }
    return outcome.targets.isEmpty ? refusal : nil
  }

  @inline(__always)
  @_optimize(speed)
  private func add(
    _ target: LineTable.Target, _ value: Double, _ weight: Double, _ isDelta: Bool
  ) {
    let cell = Int(target.cell)
    let value = target.scale == 0 ? value : value * scales[target.scale]
    switch target.kind {
    case .counter: state.add(cell + 1, value * weight)
    case .gauge: if isDelta { state.add(cell + 1, value) } else { state.store(cell + 1, value) }
    case .histogram:
      let family = families[Int(target.family)]
      observe(cell, family, target.isMilliseconds ? value / 1000 : value, weight)
    default: addSketched(target, families[Int(target.family)], value, weight, isDelta)
    }
  }

  @inline(__always)
  @_optimize(speed)
  private func observe(_ cell: Int, _ family: Family, _ value: Double, _ weight: Double) {
    let whole =
      weight == 1
      ? 1 : SampleWeight.whole(weight, carry: cell + HistogramCells.carry, in: state)
    state.add(cell + HistogramCells.sum, value * weight)
    if whole == 0 { return }
    var bucket = 0
    while bucket < family.bounds.count, value > family.bounds[bucket] { bucket += 1 }
    state.add(cell + HistogramCells.firstBucket + bucket, whole)
  }

  // MARK: Resolving a new event

  struct Resolution {
    var targets: [LineTable.Target] = []
    /// Why a series was refused. Only without one may the line be remembered.
    var refusal: Rejection?
  }

  func feed(
    _ index: Int, _ labels: [Label], _ event: Resolver, into outcome: inout Resolution,
    scale: Double
  ) {
    let family = families[index]
    var key = ByteBuffer(capacity: 128)
    SeriesKey.append(family.name, labels, to: &key)
    guard let record = table.find(key.bytes, in: state) ?? fresh(key.bytes, family, &outcome)
    else {
      if family.series.isEmpty, !family.isDeclared { forgetFamily(index) }
      return
    }
    outcome.targets.append(
      LineTable.Target(
        cell: UInt32(record.firstCell), family: UInt16(index),
        isMilliseconds: event.isMilliseconds, kind: family.kind,
        client: family.options.client(event), scale: scales.number(of: scale)))
  }

  /// A new series, or the one that takes what refused ones would have added. One family's refusal
  /// does not keep the event from the others that it feeds.
  private func fresh(
    _ key: RawSpan, _ family: Family, _ outcome: inout Resolution
  ) -> Record? {
    do throws(Rejection) {
      let kept = family.series.count - (family.overflow == nil ? 0 : 1)
      if seriesCount >= limits.series || kept >= limits.familySeries { throw .seriesLimit }
      let record = try make(key, family)
      seriesCount += 1
      family.series.append(record)
      expiry.arm(timeToLive(family), now: Clock.monotonicNanoseconds)
      return record
    } catch {
      refusedSeries += 1
      outcome.refusal = error
      // The last value of many gauges would mean nothing.
      return family.kind == .gauge || family.kind == .clientGauge ? nil : overflow(of: family)
    }
  }

  /// `name{overflow="true"}`: where series beyond the limit add up, so that totals stay right.
  private func overflow(of family: Family) -> Record? {
    if let record = family.overflow { return record }
    var key = ByteBuffer(capacity: 64)
    SeriesKey.append(
      family.name, [(Array("overflow".utf8), Array("true".utf8)[...])], to: &key)
    do throws(Rejection) {
      let record = try make(key.bytes, family)
      family.overflow = record
      family.series.append(record)
      expiry.arm(timeToLive(family), now: Clock.monotonicNanoseconds)
      return record
    } catch { return nil }
  }

  func make(_ key: RawSpan, _ family: Family) throws(Rejection) -> Record {
    do throws(Errno) {
      let record = try state.allocate(
        kind: family.kind, key: key, nameByteCount: family.name.count, shape: family.shape,
        cellCount: family.cellCount)
      table.insert(record, key: key)
      return record
    } catch { throw .stateFull }
  }

  // MARK: Families

  /// The kind of the family called `name`, if there is one.
  func kind(of name: [UInt8]) -> Record.Kind? { familyIndex[name].map { families[$0].kind } }

  func add(_ family: Family) -> Int {
    if let index = freeFamilies.popLast() {
      familyIndex[family.name] = index
      families[index] = family
      return index
    }
    familyIndex[family.name] = families.count
    families.append(family)
    return families.count - 1
  }

  /// Families that there are.
  var familyCount: Int { families.count - freeFamilies.count }

  // MARK: What goes

  /// Takes a series' record out of use and its key away; the family's list is the caller's.
  func removeSeries(_ record: Record, _ family: Family) {
    let state = self.state
    table.remove(record, key: state.key(record))
    exemplars?.forget(record.firstCell..<record.firstCell + state.cellCount(record))
    if family.overflow == record { family.overflow = nil } else { seriesCount -= 1 }
    retire(record)
  }

  private func retire(_ record: Record) {
    state.release(record)
    retired.append(record)
  }

  /// Lets records that went be used again: after a commit, and while no page is being written.
  func recycleRetired() {
    for record in retired { state.recycle(record) }
    retired.removeAll(keepingCapacity: retired.count < 1024)
  }

  /// Known lines are resolved anew.
  func forgetLines() { lines.removeAll() }

  /// A family without series leaves its place to another one.
  func forgetFamily(_ index: Int) {
    familyIndex[families[index].name] = nil
    families[index] = Family(name: [], kind: .session, help: "", bounds: [])
    freeFamilies.append(index)
  }

  /// Makes a series, with 0.0, if it is not there and has room in the state file.
  func makeSeries(_ family: Family, _ labels: [Label]) {
    var key = ByteBuffer(capacity: 128)
    SeriesKey.append(family.name, labels, to: &key)
    guard table.find(key.bytes, in: state) == nil else { return }
    do throws(Rejection) {
      let record = try make(key.bytes, family)
      seriesCount += 1
      family.series.append(record)
    } catch {}
  }

  /// Finds the series and sessions that the state file holds.
  private func readState() {
    var unit = StateFile.firstUnit
    while unit < state.endUnit {
      let record = Record(unit: unit)
      unit += state.unitCount(record)
      guard state.isInUse(record) else { continue }
      if state.kind(record) == .session {
        sessions.restore(record, in: state)
      } else if state.kind(record) == .spelling {
        restoreSpelling(record)
      } else {
        restore(record)
      }
    }
  }

  private func restore(_ record: Record) {
    let state = self.state
    let key = state.key(record)
    let nameByteCount = state.nameByteCount(record)
    let name = SeriesKey.array(key.extracting(0..<nameByteCount))
    let kind = state.kind(record)
    // Such an event makes another family since the sidecar has one of that name.
    if Names.isReserved(name) { return retire(record) }
    let index: Int
    if let known = familyIndex[name] {
      index = known
    } else {
      let bounds = kind == .histogram ? FamilyRule.defaultBuckets : []
      index = add(Family(name: name, kind: kind, help: "", bounds: bounds))
    }
    let family = families[index]
    // Another type or other buckets than the rules have now: it starts again.
    guard family.kind == kind, family.shape == state.shape(record),
      family.cellCount == state.cellCount(record)
    else { return retire(record) }
    table.insert(record, key: key)
    family.series.append(record)
    if SeriesKey.isOverflow(key, nameByteCount: nameByteCount) {
      family.overflow = record
    } else {
      seriesCount += 1
    }
  }
}
