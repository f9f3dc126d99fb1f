import SidecarRules

/// Applies the rules to new events.
extension Registry {
  typealias Label = (name: [UInt8], value: ArraySlice<UInt8>)

  /// What a family that an event feeds costs, in steps of rules.
  private static let feedWork = 512

  /// Finds or makes every series that `event` feeds.
  func resolve(_ event: EventDescription, into outcome: inout Resolution) throws(Rejection) {
    try check(event)
    let kind = event.type.kind
    if try feedRuled(event, kind, into: &outcome) { return }
    if try feedDeclared(event, kind, into: &outcome) { return }
    guard rules.exposesUnmatched else { throw .dropped }
    let index = try family(named: event.defaultFamily, kind)
    if spellings.isOn {
      spell(OriginalNames.family, families[index].name, as: event.spelledFamily)
    }
    var labels: [Label] = []
    add(event.tags, to: &labels)
    feed(index, labels, event, into: &outcome, scale: 0)
  }

  /// Feeds what rules make of the event; whether one takes it.
  func feedRuled(
    _ event: EventDescription, _ kind: MetricType, isTotal: Bool = false,
    into outcome: inout Resolution
  ) throws(Rejection) -> Bool {
    var isMatched = false
    var work = 0
    defer { ruleWork += work }
    for candidate in matcher.candidates(for: event.name, &work) {
      let rule = rules.rules[candidate]
      let captures = rule.captures(event, kind, &work)
      if work > Pattern.workLimit { throw .nameTooLong }
      guard let captures else { continue }
      work += Self.feedWork
      guard let entry = rule.family else {
        if isMatched { return true }
        throw .dropped
      }
      isMatched = true
      do throws(Rejection) {
        let labels = labels(rules.families[entry], event, captures)
        if labels.count > limits.labels { throw .tooManyLabels }
        let index = try family(entry, kind, isTotal, captures)
        feed(index, labels, event, into: &outcome, scale: kind == .set ? 0 : rule.scale)
      } catch { outcome.refusal = error }
      if rule.isLast { break }
    }
    return isMatched
  }

  func check(_ event: EventDescription) throws(Rejection) {
    if event.mixesTags { throw .mixedTags }
    if event.tags.count > limits.labels { throw .tooManyLabels }
    if event.name.count > limits.nameByteCount { throw .nameTooLong }
    for tag in event.tags {
      if tag.name.count > limits.nameByteCount { throw .nameTooLong }
      if tag.value.count > limits.labelValueByteCount { throw .valueTooLong }
    }
  }

  // MARK: Labels

  private func labels(
    _ entry: FamilyRule, _ event: EventDescription, _ captures: [ArraySlice<UInt8>]
  ) -> [Label] {
    var labels: [Label] = []
    for label in entry.labels {
      let name = Array(label.name.utf8)
      switch label.source {
      case .tag(let tag): labels.append((name, event.value(of: tag)))
      case .constant(let text):
        if entry.honorsTags, let tag = event.tags.first(where: { $0.name.elementsEqual(name) }) {
          labels.append((name, tag.value))
        } else {
          labels.append((name, text.filled(captures)[...]))
        }
      }
    }
    if entry.keepsOtherTags {
      add(event.tags.filter { !entry.names(tag: $0.name) }, to: &labels)
    }
    setQuantileFree(&labels, entry)
    return labels
  }

  /// A summary's lines have a label `quantile` of their own. Another one becomes
  /// `exported_quantile`, unless that exists too: two labels with one name would invalidate the
  /// whole scrape.
  private func setQuantileFree(_ labels: inout [Label], _ entry: FamilyRule) {
    guard entry.kind == .summary || entry.timingKind == .summary,
      let index = labels.firstIndex(where: { $0.name.elementsEqual("quantile".utf8) })
    else { return }
    let exported = Array("exported_quantile".utf8)
    if labels.contains(where: { $0.name == exported }) {
      labels.remove(at: index)
    } else {
      labels[index].name = exported
    }
  }

  /// Tags become labels with the same names; of two with one name the first stays.
  private func add(
    _ tags: [(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>)], to labels: inout [Label]
  ) {
    for tag in tags {
      let name = Names.label(tag.name)
      if spellings.isOn { spell(OriginalNames.label, name, as: Array(tag.name)) }
      if !labels.contains(where: { $0.name == name }) { labels.append((name, tag.value)) }
    }
  }

  // MARK: Families

  /// The family that an entry of the rules names for an event that is kept as `kind`. A gauge of
  /// several clients takes a client's running total, too.
  private func family(
    _ entry: Int, _ kind: MetricType, _ isTotal: Bool, _ captures: [ArraySlice<UInt8>]
  ) throws(Rejection) -> Int {
    let rule = rules.families[entry]
    func takes(_ own: MetricType) -> Bool { own.takes(kind) || isTotal && own == .clientGauge }
    if ruleFamilies[entry] >= 0 {
      let family = families[ruleFamilies[entry]]
      guard takes(family.kind) else { throw conflict(family.name) }
      return ruleFamilies[entry]
    }
    let own = rule.kind ?? (kind == .histogram ? rule.timingKind : kind)
    guard takes(own) else { throw conflict(Array(rule.name.utf8)) }
    let name =
      rule.nameTemplate.map { Names.family(of: $0.filled(captures)[...], suffix: "") }
      ?? Array(rule.name.utf8)
    if let index = familyIndex[name] { return try meet(index, rule, own) }
    if name.count > limits.nameByteCount { throw .nameTooLong }
    if isSampleOfAnother(name, own) { throw conflict(name) }
    if familyCount >= limits.families { throw .familyLimit }
    return add(made(rule, name, own))
  }

  /// The family of an event that no rule matches.
  private func family(named name: [UInt8], _ kind: MetricType) throws(Rejection) -> Int {
    if let index = familyIndex[name] {
      if families[index].kind != kind { throw conflict(name) }
      families[index].isCurrent = true
      return index
    }
    if isSampleOfAnother(name, kind) { throw conflict(name) }
    let bounds = kind == .histogram ? FamilyRule.defaultBuckets : []
    if familyCount >= limits.families { throw .familyLimit }
    return add(Family(name: name, kind: kind, help: "", bounds: bounds))
  }

  func conflict(_ name: [UInt8]) -> Rejection {
    conflicts.count(name)
    return .typeConflict
  }

  /// Whether lines of a family with this name could be read as those of a histogram, as `a_count`
  /// for `a`: Prometheus would refuse a whole scrape with both.
  func isSampleOfAnother(_ name: [UInt8], _ kind: MetricType) -> Bool {
    SampleNames.clash(name, FamilyType(kind)) { other in
      familyIndex[other].map { FamilyType(families[$0].kind) }
    } != nil
  }

  func made(_ rule: FamilyRule, _ name: [UInt8], _ kind: MetricType) -> Family {
    var bounds = rule.buckets
    if !kind.metric.hasBounds { bounds = [] }
    if kind == .histogram, bounds.isEmpty { bounds = FamilyRule.defaultBuckets }
    let family = Family(
      name: name, kind: kind, help: rule.help, bounds: bounds, options: rule.options)
    family.form = rule.form
    family.isDeclared = rule.nameTemplate == nil
    family.timeToLive = rule.timeToLive
    expiry.use(timeToLive(family))
    return family
  }

  /// Creates the family of an entry, or changes the one with this name to what the entry says: its
  /// series stay if they mean the same, and start again otherwise.
  func declare(_ rule: FamilyRule) {
    guard let kind = rule.kind, rule.nameTemplate == nil else {
      makers.append(Maker(entry: ruleFamilies.count, name: Template(rule.name).pattern))
      return ruleFamilies.append(-1)
    }
    // Another entry of a family mostly adds only events to it.
    if let same = rule.sameAs { return ruleFamilies.append(ruleFamilies[same]) }
    ruleFamilies.append(declared(made(rule, Array(rule.name.utf8), kind)))
  }

  /// Families without labels, or with only constant ones, exist from the start, with 0.0.
  func makeConstantSeries() {
    for (entry, index) in ruleFamilies.enumerated() where index >= 0 {
      let rule = rules.families[entry]
      guard rule.isConstant else { continue }
      var labels = rule.labels.map { label -> Label in
        guard case .constant(let text) = label.source else { return ([], []) }
        return (Array(label.name.utf8), text.filled([])[...])
      }
      setQuantileFree(&labels, rule)
      makeSeries(families[index], labels)
    }
  }

  // MARK: Reload

  /// Continues with other rules. Counters of unchanged families continue; a family that no rule
  /// names any more keeps its values; one with another type or other buckets starts again.
  func reload(_ new: Rules) {
    rules = new
    rules.completeOptions(clients: limits.gaugeClients)
    matcher = RuleMatcher(new.rules)
    ruleFamilies = []
    makers = []
    for family in families {
      family.isCurrent = false
      family.isDeclared = false
      family.isDeclaredByClient = false
      family.constants = []
    }
    for entry in new.families { declare(entry) }
    dropForms()
    indexMakers()
    showDeclared()
    remakeFamilies()
    // As for new ones, a family's name may not be the name of another family's line.
    for family in families
    where !family.isDeclared && isSampleOfAnother(family.name, family.kind) {
      forgetSeries(family)
    }
    makeConstantSeries()
    forgetLines()
    removals &+= 1
    // A sweep of expired series starts over: the families' lists have changed.
    sweep = ExpirySweep()
    scales = Scales()
    exemplars = Exemplars(new, limit: limits.exemplars)
    for (index, family) in families.enumerated()
    where family.series.isEmpty && !family.isDeclared && !family.name.isEmpty {
      forgetFamily(index)
    }
    commit()
    startExpiry()
  }

  /// Drops the series of a family.
  func forgetSeries(_ family: Family) {
    for record in family.series { removeSeries(record, family) }
    family.series = []
    family.constants = []
  }
}

extension FamilyRule {
  /// In nanoseconds; 0 is forever, `nil` means `--series-ttl`.
  var timeToLive: UInt64? { ttlSeconds.map { UInt64($0) * 1_000_000_000 } }

  /// Whether a label names this tag, or the tag must not become one.
  fileprivate func names(tag name: ArraySlice<UInt8>) -> Bool {
    for label in labels {
      if case .tag(let tag) = label.source, name.elementsEqual(tag) { return true }
    }
    return droppedTags.contains { $0.matches(name) }
  }
}
