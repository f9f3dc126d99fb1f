import SidecarEvents
import SidecarPlatform
import SidecarRules

/// Families that clients declare (`Declaration`), so that an event with such a name feeds that
/// family under exactly this name. A rule for the event wins, and so does a family that the rules
/// name.
///
/// What must stay true: a declaration is kept in the state file like a family's first event, so a
/// restart shows the same family; while a client that declared the current form lives, nothing
/// changes the family's type or buckets.
struct Declarations {
  struct Entry {
    var declaration: Declaration
    /// Its record in the state file.
    var record: Record
    /// Connections and sessions that declared this form, as far as they fit.
    var owners: [UInt64] = []
    /// Whether there are more than `owners` holds.
    var hasMoreOwners = false

    /// The bytes it takes here, in its family and in the family's head.
    var byteCount: Int { 3 * declaration.text.count + 96 * declaration.bounds.count }
  }

  var entries: [[UInt8]: Entry] = [:]
  /// The bytes that all declarations take.
  var byteCount = 0
  static let ownerLimit = 64

}

extension Registry {
  // MARK: Declaring

  /// Handles a declaration, as part of the current transaction.
  /// - Returns: why it was refused.
  func declare(_ declaration: Declaration) -> Rejection? {
    let name = declaration.name
    if let known = declarations.entries[name], known.declaration.text == declaration.text {
      noteOwner(of: name)
      return nil
    }
    do throws(Rejection) {
      try checkName(name, declaration.kind)
      try setDeclaration(declaration)
      noteOwner(of: name)
      return nil
    } catch { return error }
  }

  private func checkName(_ name: [UInt8], _ kind: MetricType) throws(Rejection) {
    if name.count > limits.nameByteCount { throw .nameTooLong }
    if Names.isReserved(name) { throw conflict(name) }
    guard familyIndex[name] == nil else { return }
    if isSampleOfAnother(name, kind) { throw conflict(name) }
    if familyCount >= limits.families { throw .familyLimit }
  }

  private func setDeclaration(_ declaration: Declaration) throws(Rejection) {
    let name = declaration.name
    let old = declarations.entries[name]
    let family = declaration.family(clients: limits.gaugeClients)
    let isByRules = familyIndex[name].map { isRuled(families[$0]) } ?? false
    if !isByRules, let index = familyIndex[name] {
      let known = families[index]
      let isSame =
        known.kind == family.kind && known.shape == family.shape
        && known.cellCount == family.cellCount
      if !isSame, let old, isInUse(old) { throw .declarationConflict }
      if !isSame, isSampleOfAnother(name, family.kind) { throw conflict(name) }
      if !isSame, !mayForgetLines() { throw .declarationConflict }
    }
    var entry = Declarations.Entry(declaration: declaration, record: Record(unit: 0))
    let byteCount = declarations.byteCount - (old?.byteCount ?? 0) + entry.byteCount
    if byteCount > limits.declarationByteCount { throw .familyLimit }
    if !isByRules {
      let known = familyIndex[name].map { families[$0].headByteCount } ?? 0
      let growth = family.headByteCount - known
      if growth > 0, !hasRoom(for: growth) { throw .expositionLimit }
    }
    let record: Record
    do throws(Errno) {
      record = try unsafe state.allocate(
        kind: .declaration, key: declaration.text.span.bytes, nameByteCount: name.count, shape: 0,
        cellCount: 2)
    } catch { throw .stateFull }
    if let old { retire(old.record) }
    entry.record = record
    declarations.entries[name] = entry
    declarations.byteCount = byteCount
    if !isByRules { show(family) }
  }

  /// Creates the family, or changes the one with this name to the declared form.
  private func show(_ family: Family) {
    var isSame = false
    if let index = familyIndex[family.name] {
      let known = families[index]
      isSame =
        known.isDeclaredByClient && known.kind == family.kind && known.shape == family.shape
      replace(index, family)
    } else {
      _ = add(family)
    }
    expiry.use(timeToLive(family))
    expiry.arm(timeToLive(family), now: monotonicNow)
    // Known lines of this name may have the old meaning; another help text changes none.
    if !isSame, lines.count > 0 { forgetLines() }
  }

  private func isRuled(_ family: Family) -> Bool {
    family.isDeclared && !family.isDeclaredByClient
  }

  // MARK: Declaring clients

  private func noteOwner(of name: [UInt8]) {
    let owner = owners.current
    guard owner != 0, let entry = declarations.entries[name], !entry.hasMoreOwners,
      !entry.owners.contains(owner)
    else { return }
    if !owners.contains(owner) { owners.insert(owner) }
    var kept = entry.owners.filter { owners.contains($0) }
    if kept.count < Declarations.ownerLimit {
      kept.append(owner)
    } else {
      declarations.entries[name]?.hasMoreOwners = true
    }
    declarations.entries[name]?.owners = kept
  }

  /// Whether another client that uses it is alive, or may come back after a restart.
  private func isInUse(_ entry: Declarations.Entry) -> Bool {
    if entry.hasMoreOwners || owners.graceEnds != 0 && now < owners.graceEnds { return true }
    return entry.owners.contains { $0 != owners.current && owners.contains($0) }
  }

  // MARK: Events

  /// Feeds the declared family with the event's name, or with the name that its protocol gives it;
  /// `false` if there is none.
  func feedDeclared(
    _ event: EventDescription, _ kind: MetricType, into outcome: inout Resolution
  ) throws(Rejection) -> Bool {
    let name = event.family ?? event.name
    guard !declarations.entries.isEmpty, declarations.entries[name] != nil,
      let index = familyIndex[name]
    else { return false }
    let family = families[index]
    guard family.kind.takes(kind) else { throw conflict(family.name) }
    feed(index, try declaredLabels(event), event, into: &outcome, scale: 0)
    return true
  }

  /// Tags of a declared family can have any text as their value, escaped where a line needs it.
  private func declaredLabels(_ event: EventDescription) throws(Rejection) -> [Label] {
    var labels: [Label] = []
    for tag in event.tags {
      guard let value = event.isEscaped ? Declaration.unescaped(tag.value) : Array(tag.value)
      else { throw .badEscape }
      let name = Names.label(tag.name)
      if !value.isEmpty, !labels.contains(where: { $0.name == name }) {
        labels.append((name, value[...]))
      }
    }
    return labels
  }

  /// Removes the client's value from a series of a declared gauge. Other clients' values stay, and
  /// so do counters.
  func removePart(_ event: EventDescription) -> Rejection? {
    guard let index = declaredFamily(event), families[index].kind == .clientGauge else {
      return nil
    }
    var key = ByteBuffer(capacity: 128)
    do throws(Rejection) {
      SeriesKey.append(event.name, try declaredLabels(event), to: &key)
    } catch { return error }
    let found = table.find(key.bytes, in: state)
    guard let record = found else { return nil }
    endPart(of: owners.client(tag: 0), record, families[index].options)
    return nil
  }

  /// Creates a series before its first event, so that it is shown with 0 and `rate()` sees that
  /// event. Series of rules are created by their events only.
  func makeDeclaredSeries(_ event: EventDescription) -> Rejection? {
    guard let index = declaredFamily(event) else { return nil }
    let kind = families[index].kind
    var work = 0
    defer { ruleWork += work }
    for candidate in matcher.candidates(for: event.name, &work) {
      if rules.rules[candidate].captures(event, kind, &work) != nil { return nil }
    }
    if work > Pattern.workLimit { return .nameTooLong }
    var outcome = Resolution()
    do throws(Rejection) {
      feed(index, try declaredLabels(event), event, into: &outcome, scale: 0)
    } catch { return error }
    return outcome.refusal
  }

  private func declaredFamily(_ event: EventDescription) -> Int? {
    guard event.tags.count <= limits.labels, let index = familyIndex[event.name],
      families[index].isDeclaredByClient
    else { return nil }
    return index
  }

  // MARK: Restart and reload

  /// Restores a declaration from the state file, before any series.
  func restoreDeclaration(_ record: Record) {
    let state = self.state
    let text = SeriesKey.array(state.key(record))
    do throws(LineError) {
      let declaration = try Declaration(text)
      guard declarations.entries[declaration.name] == nil else { return retire(record) }
      let entry = Declarations.Entry(declaration: declaration, record: record)
      declarations.entries[declaration.name] = entry
      declarations.byteCount += entry.byteCount
      if familyIndex[declaration.name] == nil {
        _ = add(declaration.family(clients: limits.gaugeClients))
      }
    } catch { retire(record) }
  }

  /// Called after the rules have defined their families: the others get the form that clients
  /// declared.
  func showDeclared() {
    let names = Array(declarations.entries.keys)
    for name in names.ordered(by: { $0.lexicographicallyPrecedes($1) }) {
      guard let entry = declarations.entries[name],
        !(familyIndex[name].map { isRuled(families[$0]) } ?? false)
      else { continue }
      if familyIndex[name] == nil, isSampleOfAnother(name, entry.declaration.kind) { continue }
      show(entry.declaration.family(clients: limits.gaugeClients))
    }
  }
}
