import SidecarPlatform
import SidecarRules

/// Families that events create: those of an entry whose name has captures, or whose type is the
/// event's own. A restart and a reload find them by their names, before any event arrives.
///
/// What must stay true: a series continues if its entry still gives it the same cells; no known
/// line leads to a dropped series.
extension Registry {
  /// An entry of `rules.families`, and the pattern of the family names that it creates.
  struct Maker {
    let entry: Int
    let name: Pattern
  }

  /// Call it after the entries have been declared.
  func indexMakers() {
    makerMatcher = RuleMatcher(makers.map { Rule(event: $0.name, conditions: []) })
  }

  /// The family that an entry would create with this name, if its series have this form.
  private func remade(
    _ name: [UInt8], _ kind: MetricType, _ shape: UInt32, _ cellCount: Int
  ) -> Family? {
    var plain = name[...]
    let prefix = "exported_".utf8
    if plain.starts(with: prefix), Names.isReserved(Array(plain.dropFirst(prefix.count))) {
      plain = plain.dropFirst(prefix.count)
    }
    for place in makerMatcher.candidates(for: Array(plain)) where makers[place].name.matches(plain)
    {
      let maker = makers[place]
      let rule = rules.families[maker.entry]
      let isOwn =
        rule.kind.map { $0 == kind }
        ?? (kind == .counter || kind == .gauge || kind == .set || kind == rule.timingKind)
      guard isOwn else { continue }
      let family = made(rule, name, kind)
      if family.shape == shape, family.cellCount == cellCount { return family }
    }
    return nil
  }

  /// The family of a series in the state file that no rule declares: as an entry creates it, or as
  /// for an event without a rule.
  func found(
    _ name: [UInt8], _ kind: MetricType, _ shape: UInt32, _ cellCount: Int
  ) -> Family {
    if let family = remade(name, kind, shape, cellCount) { return family }
    let bounds = kind == .histogram ? FamilyRule.defaultBuckets : []
    let family = Family(name: name, kind: kind, help: "", bounds: bounds)
    family.isCurrent = false
    return family
  }

  /// After a reload: families that entries create as before get their new options.
  func remakeFamilies() {
    for index in families.indices where !families[index].isCurrent {
      let known = families[index]
      if let family = remade(known.name, known.kind, known.shape, known.cellCount) {
        replace(index, family)
      }
    }
  }

  /// An event of `rule` has reached an existing family. A family found only by a restart or a
  /// reload takes the form of the rule.
  func meet(_ index: Int, _ rule: FamilyRule, _ kind: MetricType) throws(Rejection) {
    let known = families[index]
    if !known.isCurrent {
      if known.kind != kind, isSampleOfAnother(known.name, kind) { throw conflict(known.name) }
      replace(index, made(rule, known.name, kind))
    }
    let family = families[index]
    guard family.kind == kind else { throw conflict(family.name) }
    family.timeToLive = rule.timeToLive
    expiry.use(timeToLive(family))
    expiry.arm(timeToLive(family), now: monotonicNow)
  }

  /// Replaces a family by another: its series stay if they mean the same, and start again
  /// otherwise.
  func replace(_ index: Int, _ family: Family) {
    let known = families[index]
    textByteCount += family.headByteCount - known.headByteCount
    if known.kind == family.kind, known.shape == family.shape {
      family.series = known.series
      family.overflow = known.overflow
      for record in family.series {
        let byteCount = state.keyByteCount(record)
        textByteCount += family.textByteCount(key: byteCount) - known.textByteCount(key: byteCount)
      }
    } else {
      forgetSeries(known)
    }
    families[index] = family
  }
}
