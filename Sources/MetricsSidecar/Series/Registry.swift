import SidecarEvents
import SidecarPlatform
import SidecarRules

/// All families and series: what events add to (`Registry+Events`), what rules make of new ones
/// (`Registry+Rules`), what leaves (`Registry+Expiry`), and what the exposition reads.
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
  /// Entries whose families are made by events.
  var makers: [Maker] = []
  /// Which of `makers` may have made a family, by its name.
  var makerMatcher = RuleMatcher([])
  var families: [Family] = []
  private(set) var familyIndex: [[UInt8]: Int] = [:]
  var table = SeriesTable()
  var lines: LineTable
  var sessions: SessionTable
  /// Names as clients wrote them.
  var spellings = OriginalNames()
  /// Families as clients declare them.
  var declarations = Declarations()
  /// `nil` where no rule asks for them.
  var exemplars: Exemplars?
  /// What values are multiplied with, by number.
  var scales = Scales()
  /// Series kept, without the overflow series.
  var seriesCount = 0
  /// Those of them that the state file had.
  private(set) var restoredSeriesCount = 0
  /// Of all series and families, as `Family.textByteCount` counts them.
  var textByteCount = 0
  /// Who speaks to gauges of several clients.
  var owners = ClientOwners()
  /// Clients of gauges that were refused, each time one would have had a part.
  var refusedClients: UInt64 = 0
  /// Values that a family could not add: too large once scaled, or not finite where clients add up.
  var refusedValues: UInt64 = 0
  var conflicts = TypeConflicts()
  /// Unix time in milliseconds, read once between two commits and only by those who need it.
  private var turnTime: UInt64 = 0
  #if DEBUG
    /// Lines that the rules were asked about.
    var resolvedLines = 0
    /// Records that ends of connections had to look at.
    var recordsLookedAt = 0
    /// The time that tests have.
    var testTime: UInt64?
    /// Monotonic nanoseconds that tests have; `nil` for the clock's.
    var testMonotonicTime: UInt64?
  #endif
  /// When a full table of known lines may start again, in monotonic nanoseconds.
  private var forgetsLinesAt: UInt64 = 0
  /// Times to live, and how far the sweep of expired series is.
  var expiry = Expiry()
  var sweep = ExpirySweep()
  /// Series that had no event for their time to live.
  var expiredSeries: UInt64 = 0
  /// Records out of use, to be used again once no page reads them.
  private(set) var retired: [Record] = []
  /// Places of families that are no more.
  private var freeFamilies: [Int] = []
  /// Hashes of the keys of series that went while a page is being written.
  var removed: Set<UInt64> = []
  /// Whether `removed` is asked for: where series are pushed beside those of events.
  var notesRemoved = false
  /// Series that were refused, each time an event would have made one.
  var refusedSeries: UInt64 = 0

  /// With `keepsSpellings`, names are kept as clients write them.
  init(state: StateFile, rules: Rules, limits: Limits, keepsSpellings: Bool = false) {
    self.state = state
    self.limits = limits
    self.rules = rules
    matcher = RuleMatcher(rules.rules)
    lines = LineTable(limit: limits.series * 2, byteLimit: limits.knownLineByteCount)
    sessions = SessionTable(limit: limits.sessions)
    exemplars = Exemplars(rules, limit: limits.exemplars)
    spellings.isOn = keepsSpellings
    rules.completeOptions(clients: limits.gaugeClients)
    for entry in rules.families { declare(entry) }
    indexMakers()
    readState()
    restoredSeriesCount = seriesCount
    makeConstantSeries()
    forgetConnections()
    state.commit()
    recycleRetired()
    startExpiry()
  }

  /// Begins with the times to live that the settings and the rules have.
  func startExpiry() {
    let now = monotonicNow
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

  /// Monotonic nanoseconds.
  var monotonicNow: UInt64 {
    #if DEBUG
      if let testMonotonicTime { return testMonotonicTime }
    #endif
    return Clock.monotonicNanoseconds
  }

  // MARK: Series

  /// A record for a series of this key, out of no list yet.
  func make(
    _ key: RawSpan, _ family: Family, createdMilliseconds: UInt64 = 0
  ) throws(Rejection) -> Record {
    do throws(Errno) {
      let record = try state.allocate(
        kind: .series(family.kind), key: key, nameByteCount: family.name.count, shape: family.shape,
        cellCount: family.cellCount, createdMilliseconds: createdMilliseconds)
      table.insert(record, key: key)
      textByteCount += family.textByteCount(key: key.byteCount)
      return record
    } catch { throw .stateFull }
  }

  // MARK: Families

  /// The kind of the family called `name`, if there is one.
  func kind(of name: [UInt8]) -> MetricType? { familyIndex[name].map { families[$0].kind } }

  func add(_ family: Family) -> Int {
    textByteCount += family.headByteCount
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
    textByteCount -= family.textByteCount(key: state.keyByteCount(record))
    if notesRemoved, state.kept.isOn { removed.insert(HashKey.process.hash(state.key(record))) }
    if family.kind == .clientGauge { forgetOwners(of: record, family.options) }
    // The key's cell stands for a native histogram's bucket to +Inf, which has none of its own.
    exemplars?.forget(record.headCell..<record.headCell + state.cellCount(record) + 1)
    if family.overflow == record { family.overflow = nil } else { seriesCount -= 1 }
    retire(record)
  }

  func retire(_ record: Record) {
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

  /// A full table starts again, once in so long: lines that nobody sends any more make room.
  static let forgetNanoseconds: UInt64 = 60_000_000_000

  func forgetFullLines(now: UInt64) {
    guard now >= forgetsLinesAt else { return }
    forgetsLinesAt = now + Self.forgetNanoseconds
    forgetLines()
  }

  /// A family without series leaves its place to another one.
  func forgetFamily(_ index: Int) {
    if let record = spellings.forget(family: families[index].name) { retire(record) }
    familyIndex[families[index].name] = nil
    textByteCount -= families[index].headByteCount
    families[index] = Family(name: [], kind: .gauge, help: "", bounds: [])
    freeFamilies.append(index)
  }

  /// Makes a series that stays, with 0.0 if it is not there, if it has room in the state file.
  func makeSeries(_ family: Family, _ labels: [Label]) {
    var key = ByteBuffer(capacity: 128)
    SeriesKey.append(family.name, labels, to: &key)
    do throws(Rejection) {
      let known = table.find(key.bytes, in: state)
      let record = if let known { known } else { try make(key.bytes, family) }
      family.constants.insert(record.headCell)
      guard known == nil else { return }
      seriesCount += 1
      family.series.append(record)
    } catch {}
  }

  /// Finds the series and sessions that the state file holds.
  private func readState() {
    forEachRecord { record in
      // Before the series, since it says what they are.
      if state.kind(record) == .declaration { restoreDeclaration(record) }
    }
    var emptyLabelled: [Record] = []
    forEachRecord { record in
      switch state.kind(record) {
      case .series(let type): restore(record, type, &emptyLabelled)
      case .session: sessions.restore(record, in: state)
      case .spelling: restoreSpelling(record)
      case .declaration: break
      }
    }
    joinEmptyLabelled(emptyLabelled)
  }

  private func forEachRecord(_ body: (Record) -> Void) {
    var unit = StateFile.firstUnit
    while unit < state.endUnit {
      let record = Record(unit: unit)
      unit += state.unitCount(record)
      if state.isInUse(record) { body(record) }
    }
  }

  private func restore(_ record: Record, _ kind: MetricType, _ emptyLabelled: inout [Record]) {
    let state = self.state
    let key = state.key(record)
    let nameByteCount = state.nameByteCount(record)
    let name = SeriesKey.array(key.extracting(0..<nameByteCount))
    // Such an event makes another family since the sidecar has one of that name, or none where it
    // is what a line of another one is called.
    if Names.isReserved(name) || familyIndex[name] == nil && isSampleOfAnother(name, kind) {
      return retire(record)
    }
    let index =
      familyIndex[name] ?? add(found(name, kind, state.shape(record), state.cellCount(record)))
    let family = families[index]
    // Another type or other buckets than the rules have now: it starts again.
    guard family.kind == kind, family.shape == state.shape(record),
      family.cellCount == state.cellCount(record)
    else { return retire(record) }
    if Labels.hasEmpty(key) { return emptyLabelled.append(record) }
    table.insert(record, key: key)
    textByteCount += family.textByteCount(key: key.byteCount)
    family.series.append(record)
    if SeriesKey.isOverflow(key, nameByteCount: nameByteCount) {
      family.overflow = record
    } else {
      seriesCount += 1
    }
  }
}
