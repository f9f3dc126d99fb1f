import SidecarPlatform
import SidecarRules

/// Families that are exposed without a push.
protocol OtherFamilies: AnyObject {
  /// The type of such a family; `nil` if there is none.
  func type(of name: [UInt8]) -> FamilyType?
  /// The upper bounds of such a histogram, without +Inf.
  func bounds(of name: [UInt8]) -> [Double]?
  /// Whether there is a series of that key, `name{labels}`.
  func hasSeries(_ key: RawSpan) -> Bool
  /// The approximate bytes of their lines in text.
  var textByteCount: Int { get }
}

/// The pushed series in one exposition: those in families of events or of the sidecar itself join
/// them, the others follow.
///
/// A push that conflicts with events is refused, but a pushed series never causes an event to be
/// refused: if an event's series or family comes after the push, the exposition shows the events,
/// and hides and counts the pushed series that conflict with them. Groups keep those, so they
/// reappear when the events' series are gone.
///
/// In OpenMetrics a histogram or summary `h` reserves the name `h_created`: the start times that
/// clients push under it as gauges are omitted there, and not counted, since every push of the
/// official Python client has them.
///
/// What must stay true: no series occurs twice, no family has two types, and no line of one family
/// could be read as a line of another.
final class FamilyConflicts {
  let families: PushedFamilies
  let registry: Registry
  /// Names that are exposed elsewhere, or hidden.
  private var isElsewhere: [Bool] = []
  /// For each part of the snapshot, and each of the sidecar's own families, the name whose series
  /// join it; -1 for none.
  private var partNames: [Int] = []
  private var ownNames: [Int] = []
  /// What is hidden completely, and in part, with its part.
  private var hiddenFamilies: [(part: Int, name: [UInt8], count: Int)] = []
  private var hiddenSeries: [(part: Int, name: [UInt8], count: Int)] = []
  /// The progress of `prepare`.
  private var lookedAt = 0
  private var notedName = 0
  private var lookedName = 0

  /// The work of one call, in tens of nanoseconds.
  private static let sliceCost = 20_000

  init(_ families: PushedFamilies, _ registry: Registry) {
    self.families = families
    self.registry = registry
  }

  /// The name whose series join the events' family of a part; -1 for none.
  func name(part: Int) -> Int { partNames[part] }

  /// The same for the sidecar's own family at `own`.
  func name(own: Int) -> Int { ownNames[own] }

  /// Whether it is one of the families that follow the sidecar's own.
  func isShown(_ name: Int) -> Bool { families.groupCount(of: name) > 0 && !isElsewhere[name] }

  // MARK: Before the first family

  /// Finds out, step by step, where everything is exposed. Returns whether all is known, which is
  /// required before the first family.
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

  /// Finds the pushed series of a family of events; returns how many groups it checked.
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

  /// Finds the pushed series of one of the sidecar's own families, which keeps its type.
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

  /// The differences in OpenMetrics for a family of events and the pushed series of its name.
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

  /// Whether an exposed name is the start-time name of another pushed family.
  private func isStartTime(_ name: Int) -> Bool {
    guard let base = SampleNames.base(families.text(of: name), Self.created),
      let other = families.find(base)
    else { return false }
    return isShown(other) && families.type(of: other).hasPoints
  }

  private func leaveOutStartTime(_ name: Int) {
    if families.type(of: name) == .gauge { isElsewhere[name] = true } else { _ = hide(name) }
  }

  // MARK: Hidden series

  /// Counts the hidden series of families that follow the sidecar's own.
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

  /// A part has been written: counts the hidden ones among the pushed series that join it.
  func noteHidden(part: Int) {
    let name = partNames[part]
    guard name >= 0, families.hiddenCount > 0 else { return }
    hiddenSeries.append((part, families.text(of: name), families.hiddenCount))
  }

  /// The hidden series, in the order of the exposition.
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

/// Pushed series that an exposition hides, by family.
struct HiddenSeries {
  private(set) var families: [(name: [UInt8], count: Int)] = []
  /// Those of the remaining families.
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

  /// Whether there was a series with that key at the moment of the current exposition.
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
