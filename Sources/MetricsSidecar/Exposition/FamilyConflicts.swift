import SidecarPlatform
import SidecarRules

/// Families that are exposed without a push.
protocol OtherFamilies: AnyObject {
  /// The type of such a family; `nil` where there is none.
  func type(of name: [UInt8]) -> FamilyType?
  /// The upper bounds, without +Inf, that such a histogram has.
  func bounds(of name: [UInt8]) -> [Double]?
  /// Whether there is a series of that key, `name{labels}`.
  func hasSeries(_ key: RawSpan) -> Bool
  /// About the bytes of their lines on a text page.
  var textByteCount: Int { get }
}

/// What was pushed, on one exposition: series of families that events or the sidecar itself have stand
/// with those, the others follow.
///
/// A push that does not go with what events have is refused, but events are never held up by what was
/// pushed: where an event's series or family comes after the push, the events are shown, and the
/// pushed series that do not go with them (any more) are left out and counted. Groups keep them, so
/// they are back when the events' series have gone.
///
/// In OpenMetrics a histogram or summary `h` has the name `h_created` for itself: the start times that
/// clients push under it as gauges are left out there, and told of nowhere, since every push of the
/// official Python client has them.
///
/// What must stay true: no series is there twice, no family has two types, and no line of one family
/// would be taken for one of another.
final class FamilyConflicts {
  let families: PushedFamilies
  let registry: Registry
  /// Names that stand elsewhere, or are left out.
  private var isElsewhere: [Bool] = []
  /// For each part of the snapshot, and each of the sidecar's own families, the name whose series
  /// stand with it; -1 for none.
  private var partNames: [Int] = []
  private var ownNames: [Int] = []
  /// What is left out whole, and in part, with the part that it is for.
  private var hiddenFamilies: [(part: Int, name: [UInt8], count: Int)] = []
  private var hiddenSeries: [(part: Int, name: [UInt8], count: Int)] = []
  /// How far `prepare` is.
  private var lookedAt = 0
  private var notedName = 0
  private var lookedName = 0

  /// Looks about so many nanoseconds times ten in one call.
  private static let sliceCost = 20_000

  init(_ families: PushedFamilies, _ registry: Registry) {
    self.families = families
    self.registry = registry
  }

  /// The name whose series stand with the events' family of a part; -1 for none.
  func name(part: Int) -> Int { partNames[part] }

  /// The same of the sidecar's own family at `own`.
  func name(own: Int) -> Int { ownNames[own] }

  /// Whether it is one of the families that follow the sidecar's own.
  func isShown(_ name: Int) -> Bool { families.groupCount(of: name) > 0 && !isElsewhere[name] }

  // MARK: Before the first family

  /// Finds out, some of it a call, what stands where. Whether all is known, as it has to be before
  /// the first family.
  func prepare(_ snapshot: Snapshot, isOpenMetrics: Bool) -> Bool {
    var left = Self.sliceCost
    guard families.sort(&left) else { return false }
    if isOpenMetrics {
      while lookedName < families.nameCount {
        guard families.look(at: lookedName, &left) else { return false }
        lookedName += 1
        left -= 1
      }
    }
    if isElsewhere.isEmpty {
      isElsewhere = [Bool](repeating: false, count: families.nameCount + 1)
    }
    while lookedAt < snapshot.parts.count {
      if left <= 0 { return false }
      let family = snapshot.parts[lookedAt].family
      left -= 100 + look(at: family)
      if isOpenMetrics { look(at: family, in: snapshot) }
      lookedAt += 1
    }
    if ownNames.isEmpty {
      ownNames = snapshot.own.map { look(at: $0) }
      noteUnfit()
    }
    guard isOpenMetrics else { return true }
    while notedName < families.nameCount {
      if left <= 0 { return false }
      left -= 1
      if isShown(notedName), isStartTime(notedName) { leaveOutStartTime(notedName) }
      if isShown(notedName) {
        snapshot.noteFamily(families.text(of: notedName))
        left -= 20
      }
      notedName += 1
    }
    return snapshot.noteFamilies(hasTimes: families.hasTimes, &left)
  }

  /// Finds what was pushed of a family of events; how many groups it looked at.
  private func look(at family: Family) -> Int {
    var cost = 0
    let type = FamilyType(family.kind)
    // `a_count` beside the events' histogram `a`, and the histogram `a` beside their `a_count`.
    SampleNames.forEachPushedClash(family.name, type) {
      families.find($0).map { families.type(of: $0) }
    } _: { other in
      if let name = families.find(other) { cost += hide(name) }
    }
    var own = -1
    if let name = families.find(family.name), !isElsewhere[name] {
      if families.type(of: name) == type {
        isElsewhere[name] = true
        own = name
      } else {
        cost += hide(name)
      }
    }
    partNames.append(own)
    return cost
  }

  /// Finds what was pushed of one of the sidecar's own families, which keeps its type.
  private func look(at own: OwnFamily) -> Int {
    guard let name = families.find(own.name), !isElsewhere[name] else { return -1 }
    guard families.type(of: name) == own.type, !families.oddCounters.contains(name) else {
      _ = hide(name)
      return -1
    }
    isElsewhere[name] = true
    return name
  }

  // MARK: OpenMetrics

  private static let created = SampleNames.Part.created.ending

  /// What OpenMetrics takes otherwise of a family of events and of what was pushed of its name.
  private func look(at family: Family, in snapshot: Snapshot) {
    if family.kind.hasSuffixes,
      let name = families.find(SampleNames.joined(family.name, Self.created))
    {
      leaveOutStartTime(name)
    }
    if let base = SampleNames.base(family.name, Self.created), let name = families.find(base),
      families.type(of: name).hasPoints
    {
      _ = hide(name)
    }
    if let name = partNames.last, name >= 0, families.oddCounters.contains(name) {
      snapshot.noteUnknownCounter(lookedAt)
    }
  }

  /// Whether a name that is shown is that of the start times of another one that was pushed.
  private func isStartTime(_ name: Int) -> Bool {
    guard let base = SampleNames.base(families.text(of: name), Self.created),
      let other = families.find(base)
    else { return false }
    return isShown(other) && families.type(of: other).hasPoints
  }

  private func leaveOutStartTime(_ name: Int) {
    if families.type(of: name) == .gauge { isElsewhere[name] = true } else { _ = hide(name) }
  }

  // MARK: What is left out

  /// Counts what is left out of families that follow the sidecar's own.
  private func noteUnfit() {
    for (name, count) in families.unfitCounts where isShown(name) {
      hiddenSeries.append((lookedAt, families.text(of: name), count))
    }
  }

  private func hide(_ name: Int) -> Int {
    guard !isElsewhere[name] else { return 0 }
    isElsewhere[name] = true
    hiddenFamilies.append((lookedAt, families.text(of: name), families.seriesCount(of: name)))
    return families.groupCount(of: name)
  }

  /// A part has been written: counts what was left out of the pushed series beside it.
  func noteHidden(part: Int) {
    let name = partNames[part]
    guard name >= 0, families.hiddenCount > 0 else { return }
    hiddenSeries.append((part, families.text(of: name), families.hiddenCount))
  }

  /// What is left out, in the order of the exposition.
  var hidden: HiddenSeries {
    var hidden = HiddenSeries()
    var next = 0
    for family in hiddenFamilies {
      while next < hiddenSeries.count, hiddenSeries[next].part < family.part {
        hidden.add(hiddenSeries[next].name, hiddenSeries[next].count)
        next += 1
      }
      hidden.add(family.name, family.count)
    }
    for series in hiddenSeries[next...] { hidden.add(series.name, series.count) }
    return hidden
  }
}

/// Pushed series that an exposition leaves out, by family.
struct HiddenSeries {
  private(set) var families: [(name: [UInt8], count: Int)] = []
  /// Those of further families.
  private(set) var overflow = 0
  private static let familyLimit = 100

  mutating func add(_ name: [UInt8], _ count: Int) {
    if count == 0 { return }
    if families.count < Self.familyLimit {
      families.append((name, count))
    } else {
      overflow += count
    }
  }
}

extension Registry: OtherFamilies {
  func type(of name: [UInt8]) -> FamilyType? {
    if let index = familyIndex[name] { return FamilyType(families[index].kind) }
    return OwnMetric.processType(of: name)
  }

  func bounds(of name: [UInt8]) -> [Double]? {
    familyIndex[name].flatMap { families[$0].pushBounds }
  }

  func hasSeries(_ key: RawSpan) -> Bool {
    guard let plain = Labels.withoutEmpty(key) else {
      return table.find(key, in: state) != nil
    }
    return table.find(plain.bytes, in: state) != nil
  }

  /// Whether there was a series of that key at the moment of the exposition that is being written.
  func hadSeries(_ key: RawSpan) -> Bool {
    guard let plain = Labels.withoutEmpty(key) else { return hadPlainSeries(key) }
    return hadPlainSeries(plain.bytes)
  }

  private func hadPlainSeries(_ key: RawSpan) -> Bool {
    if let record = table.find(key, in: state), state.wasInUse(record) { return true }
    return !removed.isEmpty && removed.contains(HashKey.process.hash(key))
  }
}

extension Family {
  /// The buckets that pushed series of this family must have, without +Inf.
  var pushBounds: [Double]? { kind == .histogram ? bounds : nil }
}
