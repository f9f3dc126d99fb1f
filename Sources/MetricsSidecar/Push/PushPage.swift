import SidecarPlatform

/// What was pushed, on one page: series of families that events have stand with those, the others
/// follow the sidecar's own metrics.
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
/// What must stay true: no series is there twice on the page, no family has two types, and no line of
/// one family would be taken for one of another.
final class PushPage {
  let text: PushText
  let registry: Registry
  /// Where something is put into the text of the sidecar's own metrics: series of a name, or, below 0,
  /// the lines that tell what is left out.
  private(set) var cuts: [(at: Int, name: Int)] = []
  private let hiddenAt: Int
  /// Names that stand elsewhere on the page, or are left out.
  private var isElsewhere: [Bool] = []
  /// For each part of the snapshot the name whose series stand with it; -1 for none.
  private var names: [Int] = []
  /// What is left out whole, and in part, with the part that it is for.
  private var hiddenFamilies: [(part: Int, name: [UInt8], count: Int)] = []
  private var hiddenSeries: [(part: Int, name: [UInt8], count: Int)] = []
  /// How far `prepare` is.
  private var lookedAt = 0
  private var notedName = 0
  private var lookedName = 0

  /// Looks about so many nanoseconds times ten in one call.
  private static let sliceCost = 20_000

  /// `hiddenAt` is where in the sidecar's text the lines of what is left out come.
  init(_ text: PushText, _ registry: Registry, hiddenAt: Int) {
    self.text = text
    self.registry = registry
    self.hiddenAt = hiddenAt
  }

  // MARK: Before the page

  /// Finds out, some of it a call, what stands where. Whether all is known, as it has to be before
  /// the page begins.
  func prepare(_ snapshot: Snapshot, isOpenMetrics: Bool) -> Bool {
    var left = Self.sliceCost
    guard text.sort(&left) else { return false }
    if isOpenMetrics {
      while lookedName < text.nameCount {
        guard text.look(at: lookedName, &left) else { return false }
        lookedName += 1
        left -= 1
      }
    }
    if isElsewhere.isEmpty { isElsewhere = [Bool](repeating: false, count: text.nameCount + 1) }
    while lookedAt < snapshot.parts.count {
      if left <= 0 { return false }
      let family = snapshot.parts[lookedAt].family
      left -= 100 + look(at: family)
      if isOpenMetrics { look(at: family, in: snapshot) }
      lookedAt += 1
    }
    if cuts.isEmpty {
      cut(snapshot.selfText)
      noteUnfit()
    }
    guard isOpenMetrics else { return true }
    while notedName < text.nameCount {
      if left <= 0 { return false }
      left -= 1
      if isShown(notedName) {
        if isStartTime(notedName) { leaveOutStartTime(notedName) }
      }
      if isShown(notedName) {
        snapshot.noteFamily(text.text(of: notedName))
        left -= 20
      }
      notedName += 1
    }
    return snapshot.noteFamilies(hasTimes: text.hasTimes, &left)
  }

  /// Whether it is one of the families that follow the sidecar's own.
  func isShown(_ name: Int) -> Bool { text.groupCount(of: name) > 0 && !isElsewhere[name] }

  /// Finds what was pushed of a family of events; how many groups it looked at.
  private func look(at family: Family) -> Int {
    var cost = 0
    let type = FamilyType(family.kind)
    // `a_count` beside the events' histogram `a`, and the histogram `a` beside their `a_count`.
    SampleNames.forEachPushedClash(family.name, type) {
      text.find($0).map { text.type(of: $0) }
    } _: { other in
      if let name = text.find(other) { cost += hide(name) }
    }
    var own = -1
    if let name = text.find(family.name), !isElsewhere[name] {
      if text.type(of: name) == type {
        isElsewhere[name] = true
        own = name
      } else {
        cost += hide(name)
      }
    }
    names.append(own)
    return cost
  }

  // MARK: OpenMetrics

  private static let created = SampleNames.Part.created.ending

  /// What OpenMetrics takes otherwise of a family of events and of what was pushed of its name.
  private func look(at family: Family, in snapshot: Snapshot) {
    if family.kind.hasSuffixes, let name = text.find(SampleNames.joined(family.name, Self.created))
    {
      leaveOutStartTime(name)
    }
    if let base = SampleNames.base(family.name, Self.created), let name = text.find(base),
      text.type(of: name).hasPoints
    {
      _ = hide(name)
    }
    if let name = names.last, name >= 0, text.oddCounters.contains(name) {
      snapshot.noteUnknownCounter(lookedAt)
    }
  }

  /// Whether a name that is shown is that of the start times of another one that was pushed.
  private func isStartTime(_ name: Int) -> Bool {
    guard let base = SampleNames.base(text.text(of: name), Self.created),
      let other = text.find(base)
    else { return false }
    return isShown(other) && text.type(of: other).hasPoints
  }

  private func leaveOutStartTime(_ name: Int) {
    if text.type(of: name) == .gauge { isElsewhere[name] = true } else { _ = hide(name) }
  }

  /// Counts what is left out of families that follow the sidecar's own.
  private func noteUnfit() {
    for (name, count) in text.unfitCounts where isShown(name) {
      hiddenSeries.append((lookedAt, text.text(of: name), count))
    }
  }

  private func hide(_ name: Int) -> Int {
    guard !isElsewhere[name] else { return 0 }
    isElsewhere[name] = true
    hiddenFamilies.append((lookedAt, text.text(of: name), text.seriesCount(of: name)))
    return text.groupCount(of: name)
  }

  /// Finds where pushed series of the sidecar's own families belong.
  private func cut(_ own: [UInt8]) {
    for text in Registry.ownNames {
      let ownName = Array(text.utf8)
      guard let name = self.text.find(ownName), !isElsewhere[name] else { continue }
      // The sidecar's own head stands: a counter.
      if self.text.oddCounters.contains(name) {
        _ = hide(name)
        continue
      }
      isElsewhere[name] = true
      cuts.append((Self.end(of: ownName, in: own), name))
    }
    cuts.append((hiddenAt, -1))
  }

  /// Behind the samples of the family called `name`.
  private static func end(of name: [UInt8], in text: [UInt8]) -> Int {
    let head = Array("# TYPE ".utf8) + name + [32]
    var start = 0
    while start < text.count, !text[start...].starts(with: head) { start = next(text, start) }
    var end = next(text, start)
    while end < text.count, text[end] != UInt8(ascii: "#") { end = next(text, end) }
    return min(end, text.count)
  }

  private static func next(_ bytes: [UInt8], _ start: Int) -> Int {
    (bytes[min(start, bytes.count)...].firstIndex(of: 10) ?? bytes.count) + 1
  }

  // MARK: On the page

  /// Appends series that stand with the events' family of a part; whether that is all of them.
  func write(
    part: Int, _ family: Family, to page: inout ByteBuffer, end: Int
  ) -> Bool {
    let name = names[part]
    guard name >= 0 else { return true }
    guard
      text.write(name, hasHead: false, beside: family, in: registry, to: &page, end: end)
    else { return false }
    if text.hiddenCount > 0 { hiddenSeries.append((part, family.name, text.hiddenCount)) }
    return true
  }

  /// Whether pushed series stand with the part.
  func hasSeries(part: Int) -> Bool { names[part] >= 0 }

  /// What is left out, in the order of the page.
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
