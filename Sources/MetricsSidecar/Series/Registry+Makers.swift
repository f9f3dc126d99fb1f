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

  /// The family that an entry would create with this name, if its series have these cells. Without
  /// an entry of this form it waits for an event to decide.
  func remade(
    _ name: [UInt8], _ kind: MetricType, _ shape: UInt32, _ cellCount: Int, _ form: UInt8
  ) -> Family? {
    var other: Family?
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
      guard family.shape == shape, family.cellCount == cellCount else { continue }
      if rule.form == form { return family }
      // One that no family has yet: the entry may have had another form.
      let isNew = familyIndex[name].map { families[$0] }?.first { $0.form == rule.form } == nil
      if other == nil || isNew { other = family }
    }
    other?.form = form
    other?.isCurrent = false
    return other
  }

  /// The family of a series in the state file that no rule declares: as an entry creates it, or as
  /// for an event without a rule.
  func found(
    _ name: [UInt8], _ kind: MetricType, _ shape: UInt32, _ cellCount: Int, _ form: UInt8
  ) -> Family {
    if let family = remade(name, kind, shape, cellCount, form) { return family }
    let bounds = kind == .histogram ? FamilyRule.defaultBuckets : []
    let family = Family(name: name, kind: kind, help: "", bounds: bounds)
    family.form = form
    family.isCurrent = false
    return family
  }

  /// After a reload: families that entries create as before get their new options.
  func remakeFamilies() {
    for index in families.indices where !families[index].isCurrent {
      let known = families[index]
      if let family = remade(
        known.name, known.kind, known.shape, known.cellCount, known.form)
      {
        replace(index, family)
      }
    }
  }

  /// Replaces a family by another: its series stay if they mean the same, and start again
  /// otherwise.
  func replace(_ index: Int, _ family: Family) {
    let known = families[index]
    family.place = index
    family.next = known.next
    family.isFurther = known.isFurther
    link(known, to: family)
    families[index] = family
    // No name has two types.
    while let other = family.first({ FamilyType($0.kind) != FamilyType(family.kind) }) {
      forgetSeries(other)
      forgetFamily(other.place)
    }
    textByteCount += family.headByteCount - known.headByteCount
    if known.kind == family.kind, known.shape == family.shape {
      family.form = known.form
      family.constants = known.constants
      family.series = known.series
      family.overflow = known.overflow
      for record in family.series {
        let byteCount = state.keyByteCount(record)
        textByteCount += family.textByteCount(key: byteCount) - known.textByteCount(key: byteCount)
      }
    } else {
      forgetSeries(known)
    }
  }
}
