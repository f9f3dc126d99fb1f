import Events
import Platform

/// All families and series: what an event does to them, and what the exposition reads.
///
/// What must stay true: everything between two `commit`s takes effect together. A known event
/// allocates nothing and looks at no rule.
final class Registry {
  let state: StateFile
  let limits: Limits
  private(set) var rules: Rules
  private let matcher: RuleMatcher
  private(set) var families: [Family] = []
  private(set) var familyIndex: [[UInt8]: Int] = [:]
  private var table = SeriesTable()
  private var lines: LineTable
  var sessions: SessionTable
  /// Spellings of tags in names that are read.
  var dialects = TagDialects.all
  /// Names as clients wrote them.
  var spellings = Spellings()
  /// `nil` where no rule asks for them.
  private(set) var exemplars: Exemplars?
  /// Series kept, without the overflow series.
  private(set) var seriesCount = 0
  /// Who speaks to gauges of several clients.
  var owners = ClientOwners()
  /// Clients of gauges that were refused, each time one would have had a part.
  var refusedClients: UInt64 = 0
  private(set) var conflicts = TypeConflicts()
  /// Unix time in milliseconds, read once between two commits and only by those who need it.
  private var turnTime: UInt64 = 0
  #if DEBUG
    /// The time that tests have.
    var testTime: UInt64?
  #endif
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
    for rule in rules.families { declare(rule) }
    readState()
    for index in families.indices where families[index].labels.isEmpty { makeDeclared(index) }
    forgetConnections()
    state.commit()
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

  /// The targets of a line that is known; none of any other.
  func targets(_ name: RawSpan, _ type: UInt8, _ tags: RawSpan) -> ArraySlice<LineTable.Target> {
    let hash = LineTable.hash(name: name, type: type, tags: tags)
    return lines.find(hash: hash, name: name, type: type, tags: tags).map { lines.targets[$0] }
      ?? []
  }

  @inline(__always)
  @_optimize(speed)
  func applyPlain(
    name: RawSpan, type: UInt8, tags: RawSpan, value: Double, weight: Double, isDelta: Bool
  ) -> Rejection? {
    let hash = LineTable.hash(name: name, type: type, tags: tags)
    if let range = lines.find(hash: hash, name: name, type: type, tags: tags) {
      for index in range { add(lines.targets[index], value, weight, isDelta) }
      return nil
    }
    return applyNew(hash, name, type, tags, value, weight, isDelta)
  }

  @inline(never)
  private func applyNew(
    _ hash: UInt32, _ name: RawSpan, _ type: UInt8, _ tags: RawSpan, _ value: Double,
    _ weight: Double, _ isDelta: Bool
  ) -> Rejection? {
    let resolver = Resolver(name: name, type: type, tags: tags, dialects: dialects)
    var outcome = Resolution()
    do throws(Rejection) {
      try resolve(resolver, into: &outcome)
    } catch { return error }
    for target in outcome.targets { add(target, value, weight, isDelta) }
    guard let refusal = outcome.refusal else {
      lines.insert(hash: hash, name: name, type: type, tags: tags, targets: outcome.targets)
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
    let family = families[Int(target.family)]
    switch family.kind {
    case .counter: state.add(cell + 1, value * weight)
    case .gauge: if isDelta { state.add(cell + 1, value) } else { state.store(cell + 1, value) }
    case .histogram:
      observe(cell, family, target.isMilliseconds ? value / 1000 : value, weight)
    default: addSketched(target, family, value, weight, isDelta)
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

  private struct Resolution {
    var targets: [LineTable.Target] = []
    /// Why a series was refused. Only without one may the line be remembered.
    var refusal: Rejection?
  }

  private func resolve(
    _ event: Resolver, into outcome: inout Resolution
  ) throws(Rejection) {
    if event.mixesTags { throw .mixedTags }
    if event.tags.count > limits.labels { throw .tooManyLabels }
    if event.name.count > limits.nameByteCount { throw .nameTooLong }
    for tag in event.tags {
      if tag.name.count > limits.nameByteCount { throw .nameTooLong }
      if tag.value.count > limits.labelValueByteCount { throw .valueTooLong }
    }
    guard let kind = event.kind else { throw .unsupportedType }
    var isMatched = false
    for candidate in matcher.candidates(for: event.name) {
      let rule = rules.rules[candidate]
      guard let captures = rule.event.captures(event.name[...]),
        rule.conditions.allSatisfy({ $0.holds(for: event.value(of: $0.tag)) })
      else { continue }
      guard let index = rule.family else {
        if isMatched { return }
        throw .dropped
      }
      isMatched = true
      let family = families[index]
      guard family.kind.takes(kind) else {
        outcome.refusal = conflict(family.name)
        if rule.isLast { break }
        continue
      }
      let labels = family.labels.map { label -> (name: [UInt8], value: ArraySlice<UInt8>) in
        switch label.source {
        case .tag(let tag): (Array(label.name.utf8), event.value(of: tag))
        case .constant(let text): (Array(label.name.utf8), text.filled(captures)[...])
        }
      }
      feed(index, labels, event, into: &outcome, client: family.options.client(event))
      if rule.isLast { break }
    }
    if isMatched { return }
    guard rules.exposesUnmatched else { throw .dropped }
    let index = try unmatchedFamily(event, kind)
    if spellings.isOn {
      spell(Spellings.family, families[index].name, as: event.spelledFamily)
    }
    var labels: [(name: [UInt8], value: ArraySlice<UInt8>)] = []
    for tag in event.tags {
      let name = Names.label(tag.name)
      if spellings.isOn { spell(Spellings.label, name, as: Array(tag.name)) }
      if !labels.contains(where: { $0.name == name }) { labels.append((name, tag.value)) }
    }
    labels.sort { $0.name.lexicographicallyPrecedes($1.name) }
    feed(index, labels, event, into: &outcome)
  }

  private func unmatchedFamily(
    _ event: Resolver, _ kind: Record.Kind
  ) throws(Rejection) -> Int {
    let name = event.defaultFamily
    if let index = familyIndex[name] {
      if families[index].kind != kind { throw conflict(name) }
      return index
    }
    if isSampleOfAnother(name, kind) { throw conflict(name) }
    let bounds = kind == .histogram ? FamilyRule.defaultBuckets : []
    if families.count >= limits.families { throw .familyLimit }
    return add(Family(name: name, kind: kind, help: "", bounds: bounds))
  }

  private func conflict(_ name: [UInt8]) -> Rejection {
    conflicts.count(name)
    return .typeConflict
  }

  /// Whether lines of a family of this name would be taken for those of a histogram, as `a_count`
  /// for `a`: a scrape with both would be refused whole.
  private func isSampleOfAnother(_ name: [UInt8], _ kind: Record.Kind) -> Bool {
    for suffix in ["_bucket", "_count", "_sum", "_created"] {
      if kind.hasSuffixes, familyIndex[name + Array(suffix.utf8)] != nil { return true }
      guard name.count > suffix.utf8.count,
        name.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
      else { continue }
      if let index = familyIndex[Array(name.dropLast(suffix.utf8.count))],
        families[index].kind.hasSuffixes
      {
        return true
      }
    }
    return false
  }

  private func feed(
    _ index: Int, _ labels: [(name: [UInt8], value: ArraySlice<UInt8>)], _ event: Resolver,
    into outcome: inout Resolution, client: UInt32 = 0
  ) {
    let family = families[index]
    var key = ByteBuffer(capacity: 128)
    SeriesKey.append(family.name, labels, to: &key)
    guard let record = table.find(key.bytes, in: state) ?? fresh(key.bytes, family, &outcome)
    else { return }
    outcome.targets.append(
      LineTable.Target(
        cell: UInt32(record.firstCell), family: UInt16(index), isMilliseconds: event.isMilliseconds,
        client: client)
    )
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
      return record
    } catch { return nil }
  }

  private func make(_ key: RawSpan, _ family: Family) throws(Rejection) -> Record {
    do throws(Errno) {
      let record = try state.append(
        kind: family.kind, key: key, nameByteCount: family.name.count, shape: family.shape,
        cellCount: family.cellCount)
      // In use, and since when: OpenMetrics and protobuf tell it.
      state.store(record.firstCell, max(1, Clock.unixNanoseconds / 1_000_000))
      table.insert(record, key: key)
      return record
    } catch { throw .stateFull }
  }

  // MARK: Families

  /// The kind of the family called `name`, if there is one.
  func kind(of name: [UInt8]) -> Record.Kind? { familyIndex[name].map { families[$0].kind } }

  private func declare(_ rule: FamilyRule) {
    let options = rule.options
    options.maxClients = limits.gaugeClients
    let family = Family(
      name: Array(rule.name.utf8), kind: rule.kind, help: rule.help, bounds: rule.buckets,
      options: options)
    family.labels = rule.labels
    _ = add(family)
  }

  private func add(_ family: Family) -> Int {
    familyIndex[family.name] = families.count
    families.append(family)
    return families.count - 1
  }

  /// Families without labels are there from the start, with 0.0.
  private func makeDeclared(_ index: Int) {
    let family = families[index]
    guard family.series.isEmpty else { return }
    let key = family.name
    do throws(Rejection) {
      let record = try unsafe make(key.span.bytes, family)
      seriesCount += 1
      family.series.append(record)
    } catch {}
  }

  /// Finds the series and sessions that the state file holds.
  private func readState() {
    var offset = StateFile.recordsStart
    while offset < state.usedByteCount {
      let record = state.record(at: offset)
      offset = record.end
      guard state.value(record.firstCell) != 0 else { continue }
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
    let index: Int
    if let known = familyIndex[name] {
      index = known
    } else {
      let bounds = kind == .histogram ? FamilyRule.defaultBuckets : []
      index = add(Family(name: name, kind: kind, help: "", bounds: bounds))
    }
    let family = families[index]
    // Another type or other buckets than the rules have now: it starts again.
    guard family.kind == kind, family.shape == state.shape(record) else {
      state.store(record.firstCell, UInt64(0))
      return
    }
    table.insert(record, key: key)
    family.series.append(record)
    if SeriesKey.isOverflow(key, nameByteCount: nameByteCount) {
      family.overflow = record
    } else {
      seriesCount += 1
    }
  }
}
