import SidecarEvents
import SidecarPlatform
import SidecarRules

/// All families and series: events add to them (`Registry+Events`), rules resolve new events
/// (`Registry+Rules`), series expire (`Registry+Expiry`), and the exposition reads them.
///
/// What must stay true: everything between two `commit`s takes effect together. A known event
/// allocates nothing and consults no rule.
final class Registry {
  let state: StateFile
  let limits: Limits
  var rules: Rules
  var matcher: RuleMatcher
  /// For each entry of `rules.families` its index in `families`; -1 if events create the family.
  var ruleFamilies: [Int] = []
  /// Entries whose families are created by events.
  var makers: [Maker] = []
  /// Which of `makers` may have created a family, by its name.
  var makerMatcher = RuleMatcher([])
  /// Steps that events have taken the rules since the intake looked at it.
  var ruleWork = 0
  var families: [Family] = []
  var familyIndex: [[UInt8]: Int] = [:]
  var table = SeriesTable()
  var lines: LineTable
  /// When all forgetting of lines by clients' wish will have been a second apart.
  private var forgettingUntil: UInt64 = 0
  /// How often known lines were forgotten: targets of before lead nowhere.
  private(set) var lineGeneration: UInt32 = 0
  /// Counts removed series, for those that keep targets over several turns.
  var removals: UInt32 = 0
  var sessions: SessionTable
  /// Writers of OTLP.
  let streams: Streams
  /// Names as clients wrote them.
  var spellings = OriginalNames()
  /// Families declared by clients.
  var declarations = Declarations()
  /// `nil` if no rule asks for them.
  var exemplars: Exemplars?
  /// The factors for values, by index.
  var scales = Scales()
  /// Series kept, without the overflow series.
  var seriesCount = 0
  /// The number of series restored from the state file.
  private(set) var restoredSeriesCount = 0
  /// The text bytes of all series and families, by `Family.textByteCount`.
  var textByteCount = 0
  /// The client of the current event, for gauges of several clients.
  var owners = ClientOwners()
  /// Refused clients of gauges, counted at each event.
  var refusedClients: UInt64 = 0 { didSet { loss = "client_limit" } }
  /// Values that a family could not add: too large once scaled, or not finite where clients add up.
  var refusedValues: UInt64 = 0 { didSet { loss = "value_out_of_range" } }
  /// What an event that counts has lost: its value in a family, its client or its exemplar.
  /// `LineProcessor.noteLoss` takes it from here.
  var loss: StaticString?
  var conflicts = TypeConflicts()
  /// Unix time in milliseconds, read once between two commits and only if needed.
  private var turnTime: UInt64 = 0
  #if DEBUG
    /// Lines resolved by the rules.
    var resolvedLines = 0
    /// Records checked at the ends of connections.
    var recordsLookedAt = 0
    /// The time for tests.
    var testTime: UInt64?
    /// Monotonic nanoseconds for tests; `nil` for the clock's.
    var testMonotonicTime: UInt64?
  #endif
  /// When a full table of known lines may start again, in monotonic nanoseconds.
  private var forgetsLinesAt: UInt64 = 0
  /// Times to live, and the progress of the sweep of expired series.
  var expiry = Expiry()
  var sweep = ExpirySweep()
  /// Series that had no event for their time to live.
  var expiredSeries: UInt64 = 0
  /// Records out of use, to be reused once no exposition reads them.
  private(set) var retired: [Record] = []
  /// Indexes of removed families.
  private var freeFamilies: [Int] = []
  /// Hashes of the keys of series removed while an exposition is being written.
  var removed: Set<UInt64> = []
  /// Whether `removed` is needed: when series are pushed besides those of events.
  var notesRemoved = false
  /// Refused series, counted at each event that would have created one.
  var refusedSeries: UInt64 = 0

  /// With `keepsSpellings`, names are kept as clients write them.
  init(state: StateFile, rules: Rules, limits: Limits, keepsSpellings: Bool = false) {
    self.state = state
    self.limits = limits
    self.rules = rules
    matcher = RuleMatcher(rules.rules)
    lines = LineTable(limit: limits.knownLines, byteLimit: limits.knownLineByteCount)
    sessions = SessionTable(limit: limits.sessions)
    streams = Streams(file: state, limit: limits.otlpStreams)
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

  /// Applies the times to live of the settings and the rules.
  func startExpiry() {
    let now = monotonicNow
    expiry.use(limits.seriesTimeToLive)
    expiry.use(limits.sessionTimeToLive)
    for family in families { expiry.use(timeToLive(family)) }
    expiry.note(state.committed, now: now)
    // Restored series count as seen now.
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

  /// A record for a series with this key, in no list yet.
  func make(
    _ key: RawSpan, _ family: Family, createdMilliseconds: UInt64 = 0
  ) throws(Rejection) -> Record {
    do throws(Errno) {
      let record = try state.allocate(
        kind: .series(family.kind), key: key, nameByteCount: family.name.count, shape: family.shape,
        form: family.form, cellCount: family.cellCount, createdMilliseconds: createdMilliseconds)
      table.insert(record, key: key)
      textByteCount += family.textByteCount(key: key.byteCount)
      return record
    } catch { throw .stateFull }
  }

  // MARK: Families

  /// The kind of the family called `name`, if there is one.
  func kind(of name: [UInt8]) -> MetricType? { familyIndex[name].map { families[$0].kind } }

  func add(_ family: Family) -> Int {
    place(family)
    familyIndex[family.name] = family.place
    return family.place
  }

  /// Gives the family a place, but not the name.
  func place(_ family: Family) {
    textByteCount += family.headByteCount
    if let index = freeFamilies.popLast() {
      family.place = index
      families[index] = family
    } else {
      family.place = families.count
      families.append(family)
    }
  }

  /// The existing families.
  var familyCount: Int { families.count - freeFamilies.count }

  // MARK: Removal

  /// Takes a series' record out of use and removes its key; the caller updates the family's list.
  func removeSeries(_ record: Record, _ family: Family) {
    let state = self.state
    removals &+= 1
    table.remove(record, key: state.key(record))
    textByteCount -= family.textByteCount(key: state.keyByteCount(record))
    if notesRemoved, state.kept.isOn { removed.insert(HashKey.process.hash(state.key(record))) }
    if family.kind == .clientGauge { forgetOwners(of: record, family.options) }
    // The key's cell stands for a native histogram's bucket to +Inf, which has no cell of its own.
    exemplars?.forget(record.headCell..<record.headCell + state.cellCount(record) + 1)
    if family.overflow == record { family.overflow = nil } else { seriesCount -= 1 }
    retire(record)
  }

  func retire(_ record: Record) {
    state.release(record)
    retired.append(record)
  }

  /// Makes removed records reusable: after a commit, and while no exposition is being written.
  func recycleRetired() {
    for record in retired { state.recycle(record) }
    retired.removeAll(keepingCapacity: retired.count < 1024)
  }

  /// Whether a client may have all lines forgotten: a hundred times at once, once a second in the
  /// long run. Clients that take turns would make every line of everybody a new one.
  func mayForgetLines() -> Bool {
    let now = monotonicNow
    if forgettingUntil > now + Self.forgettingLimit * 1_000_000_000 { return false }
    forgettingUntil = max(forgettingUntil, now) + 1_000_000_000
    return true
  }

  static let forgettingLimit: UInt64 = 100

  /// Makes known lines be resolved again.
  func forgetLines() {
    lines.removeAll()
    lineGeneration &+= 1
  }

  /// Empties a full table from time to time: lines that no client sends any more make room.
  static let forgetNanoseconds: UInt64 = 60_000_000_000

  func forgetFullLines(now: UInt64) {
    guard now >= forgetsLinesAt else { return }
    forgetsLinesAt = now + Self.forgetNanoseconds
    forgetLines()
  }

  /// Frees the place of a family without series.
  func forgetFamily(_ index: Int) {
    let family = families[index]
    link(family, to: family.next)
    if familyIndex[family.name] == nil, let record = spellings.forget(family: family.name) {
      retire(record)
    }
    textByteCount -= family.headByteCount
    families[index] = Family(name: [], kind: .gauge, help: "", bounds: [])
    freeFamilies.append(index)
  }

  /// Creates a permanent series, with 0.0 if it does not exist, if it fits into the state file.
  func makeSeries(_ family: Family, _ labels: [Label]) {
    var key = ByteBuffer(capacity: 128)
    SeriesKey.append(family.name, labels, to: &key)
    do throws(Rejection) {
      let known = table.find(key.bytes, in: state)
      let record = if let known { known } else { try make(key.bytes, family) }
      own(record, family.name)?.constants.insert(record.headCell)
      guard known == nil else { return }
      seriesCount += 1
      family.series.append(record)
    } catch {}
  }
}
