import SidecarPlatform
import SidecarRules

/// One name in several forms: a rule may give its own buckets, quantiles or time to live to the
/// series that it makes. Each form is a `Family`; an exposition shows them as one.
///
/// What must stay true: a series is in the list of the family that has its record's type, shape and
/// form number, and there is one such family. The number is a digest of what the rule says, 0 for
/// the first rule of a name, so it means the same after a restart, whatever rules come and go.
extension Registry {
  func hasForm(_ record: Record, _ family: Family) -> Bool {
    family.has(state.kindByte(record), state.shape(record), state.form(record))
      && state.cellCount(record) == family.cellCount
  }

  /// The family of its name that this record's series belongs to.
  func own(_ record: Record, _ name: [UInt8]) -> Family? {
    familyIndex[name].flatMap { families[$0].first { hasForm(record, $0) } }
  }

  /// Adds a form to a name.
  private func add(_ family: Family, to head: Family) {
    family.isFurther = true
    head.first { $0.next == nil }?.next = family
    place(family)
  }

  /// A family takes another's place among those of its name; `nil`: the one after it.
  func link(_ known: Family, to family: Family?) {
    guard let head = familyIndex[known.name].map({ families[$0] }) else { return }
    if head === known {
      family?.isFurther = false
      familyIndex[known.name] = family?.place
    } else if let before = head.first({ $0.next === known }) {
      before.next = family
    }
  }

  // MARK: Rules

  /// The family for an entry of the rules that has this form: those of rules lead the others.
  func declared(_ family: Family) -> Int {
    guard let index = familyIndex[family.name] else { return add(family) }
    let head = families[index]
    let known = head.first { $0.has(family.kind.rawValue, family.shape, family.form) }
    if let known { replace(known.place, family) } else { add(family, to: head) }
    if family.isFurther, !head.isDeclared {
      link(family, to: family.next)
      family.next = head
      link(head, to: family)
      head.isFurther = true
    }
    return family.place
  }

  /// After a reload: series in forms that the rules of their name no longer have get the form of
  /// one with the same cells, or start again.
  func dropForms() {
    for family in families where family.isFurther && !family.isDeclared {
      guard let head = familyIndex[family.name].map({ families[$0] }), head.isDeclared else {
        continue
      }
      if let other = head.alike(family.kind.rawValue, family.shape, isDeclared: true) {
        replace(family.place, Family(other, form: family.form, isCurrent: false))
      } else {
        forgetSeries(family)
      }
    }
  }

  /// An event of `rule` has reached an existing name. A family found only by a restart or a reload
  /// takes the form of the rule.
  func meet(_ head: Int, _ rule: FamilyRule, _ kind: MetricType) throws(Rejection) -> Int {
    let first = families[head]
    var family = first.first { $0.form == rule.form && $0.kind == kind }
    if family?.isCurrent != true {
      let new = made(rule, first.name, kind)
      if let known = family ?? (first.first { $0.isCurrent } == nil ? first : nil) {
        if known.kind != kind, isSampleOfAnother(known.name, kind) { throw conflict(known.name) }
        replace(known.place, new)
      } else {
        guard first.kind == kind || first.metric.hasBounds && kind.metric.hasBounds else {
          throw conflict(first.name)
        }
        if familyCount >= limits.families { throw .familyLimit }
        add(new, to: first)
      }
      family = new
    }
    guard let family else { return head }
    family.timeToLive = rule.timeToLive
    expiry.use(timeToLive(family))
    expiry.arm(timeToLive(family), now: monotonicNow)
    return family.place
  }

  // MARK: Series

  /// A known series that an event of the family at `index` feeds, and the family that it is in: one
  /// that only a restart or a reload has found becomes like the rule's, or starts again.
  func form(of record: inout Record?, _ index: inout Int) {
    let wanted = families[index]
    guard let found = record, !hasForm(found, wanted), let known = own(found, wanted.name) else {
      return
    }
    if !known.isCurrent {
      guard known.kind == wanted.kind, known.shape == wanted.shape else {
        forgetSeries(known)
        forgetFamily(known.place)
        forgetLines()
        return record = nil
      }
      replace(known.place, Family(wanted, form: known.form, isCurrent: true))
    }
    index = known.place
  }

  /// The family of a series in the state file: `nil` if the rules give it other cells.
  func family(of record: Record, _ name: [UInt8], _ kind: MetricType) -> Family? {
    if let known = own(record, name) { return known }
    let form = state.form(record)
    let head = familyIndex[name].map { families[$0] }
    let (shape, cellCount) = (state.shape(record), state.cellCount(record))
    guard let head else {
      let family = found(name, kind, shape, cellCount, form)
      _ = add(family)
      return hasForm(record, family) ? family : nil
    }
    guard FamilyType(head.kind) == FamilyType(kind) else { return nil }
    var family = remade(name, kind, shape, cellCount, form)
    if family?.isCurrent != true, let other = head.alike(kind.rawValue, shape) {
      family = Family(other, form: form, isCurrent: false)
    }
    guard let family, hasForm(record, family) else { return nil }
    add(family, to: head)
    return family
  }
}

extension Family {
  /// The first family of the name, from this one on, that is so.
  @inline(never)
  func first(_ holds: (Family) -> Bool) -> Family? {
    var family = self
    while !holds(family) {
      guard let next = family.next else { return nil }
      family = next
    }
    return family
  }

  fileprivate func has(_ kind: UInt8, _ shape: UInt32, _ form: UInt8) -> Bool {
    self.kind.rawValue == kind && self.shape == shape && self.form == form
  }

  /// A family of the name whose series have the same cells, before all one without series: its rule
  /// may have another time to live than when they were made.
  fileprivate func alike(_ kind: UInt8, _ shape: UInt32, isDeclared: Bool = false) -> Family? {
    func isAlike(_ family: Family) -> Bool {
      family.has(kind, shape, family.form) && (family.isDeclared || !isDeclared)
    }
    return first { isAlike($0) && $0.series.isEmpty } ?? first(isAlike)
  }
}
