import SidecarPlatform
import SidecarRules

/// All series at one moment between two commits, so of whole frames only. A page is written from it
/// in slices while the intake goes on: the cells keep what they held then (`BeforeImages`).
///
/// What must stay true: a record's key and its time of birth do not change while a snapshot is alive;
/// one is alive at a time.
@safe
final class Snapshot {
  /// A family and its series as they were.
  struct Part {
    let family: Family
    let series: [Record]
    /// Values of one series: all its cells but the one that says whether it is in use.
    let valuesPerSeries: Int

    /// Whether each series is a number that stands in a cell.
    var hasNumbers: Bool { family.kind == .counter || family.kind == .gauge }
  }

  let state: StateFile
  /// When it was taken, in Unix milliseconds.
  let now: UInt64
  private(set) var parts: [Part] = []
  // Sound: as many numbers as the longest series has, freed in `deinit`, lent until the next call.
  private let scratch: UnsafeMutableBufferPointer<Double>
  /// What the sidecar says of itself.
  var own: [OwnFamily] = []
  /// Whether OpenMetrics has a `_created` line for each counter, histogram and summary.
  var hasCreatedLines = false
  /// What was pushed.
  var pushed: FamilyConflicts?
  /// How clients wrote the names.
  let spellings: OriginalNames
  /// The exemplars as they are when a line is written, or its family measured, which may be a little
  /// later.
  private let exemplars: Exemplars?
  /// Families that OpenMetrics must not call counters; see `SampleNames.short`.
  private(set) var unknownCounters: Set<Int> = []
  /// Names of all families on an OpenMetrics page that pushes are on; empty on any other.
  private(set) var familyNames: Set<[UInt8]> = []
  /// How far `noteFamilies` is: the names of all parts, then each again.
  private var notedCount = 0

  @_optimize(speed)
  init(_ registry: Registry, filter: NameFilter, isOpenMetrics: Bool = false) {
    state = registry.state
    spellings = registry.spellings
    exemplars = registry.exemplars
    now = registry.now
    registry.commit()
    registry.removed.removeAll()
    registry.state.kept.begin(
      end: Int(registry.state.endUnit), after: registry.state.committed)
    var longest = 1
    for family in registry.families {
      // A declared family is shown from the start, even without a series.
      guard !family.series.isEmpty || family.isDeclared, filter.includes(family.name) else {
        continue
      }
      if isOpenMetrics, family.kind == .counter,
        !Self.hasShortName(family.name, in: registry)
      {
        unknownCounters.insert(parts.count)
      }
      let perSeries = family.cellCount - 1
      longest = max(longest, perSeries)
      parts.append(Part(family: family, series: family.series, valuesPerSeries: perSeries))
    }
    unsafe scratch = .allocate(capacity: longest)
  }

  /// A family on an OpenMetrics page that is none of `parts`.
  func noteFamily(_ name: [UInt8]) { familyNames.insert(name) }

  /// Looks at the families of an OpenMetrics page that pushes are on: a counter's short name may be
  /// that of a pushed family. Some of them a call, which are taken from `left`; whether that is all.
  func noteFamilies(hasTimes: Bool, _ left: inout Int) -> Bool {
    if notedCount == 0 {
      for family in own { familyNames.insert(family.name) }
      if hasTimes {
        familyNames.insert(Names.pushTime)
        familyNames.insert(Names.pushFailureTime)
      }
    }
    while notedCount < 2 * parts.count {
      if left <= 0 { return false }
      left -= 30
      let index = notedCount < parts.count ? notedCount : notedCount - parts.count
      let family = parts[index].family
      if notedCount < parts.count {
        familyNames.insert(family.name)
      } else if family.kind == .counter, !hasShortName(family.name) {
        unknownCounters.insert(index)
      }
      notedCount += 1
    }
    return true
  }

  /// Whether OpenMetrics has a short name for a counter of events, as far as these go.
  private static func hasShortName(_ counter: [UInt8], in registry: Registry) -> Bool {
    let families = registry.familyIndex
    return SampleNames.short(
      counter, isFamily: { families[$0] != nil },
      hasSamples: { families[$0].map { registry.families[$0].kind.hasSuffixes } ?? false }) != nil
  }

  /// Whether OpenMetrics has a short name for a counter beside the families noted.
  func hasShortName(_ counter: [UInt8]) -> Bool {
    SampleNames.short(
      counter, isFamily: { familyNames.contains($0) }, hasSamples: { familyNames.contains($0) })
      != nil
  }

  /// The series of one of the sidecar's own families. Those that are left out are known by now.
  func ownSamples(_ place: Int) -> [(labels: [UInt8], value: Double)] {
    var family = own[place]
    if let pushed, unsafe family.name.span.bytes.isEqual(to: HiddenSeries.metric) {
      pushed.hidden.add(to: &family)
    }
    return family.samples
  }

  /// Has OpenMetrics not call the counter of a part so.
  func noteUnknownCounter(_ part: Int) { unknownCounters.insert(part) }

  deinit {
    state.kept.forget()
    unsafe scratch.deallocate()
  }

  /// The only or first value of a series.
  @inline(__always)
  @_optimize(speed)
  func value(_ record: Record) -> Double { state.keptNumber(record.headCell + 1) }

  /// All values of a part's series, valid until the next call.
  @_lifetime(borrow self)
  @_optimize(speed)
  func values(_ part: Part, _ series: Int) -> Span<Double> {
    let first = part.series[series].headCell + 1
    let count = part.valuesPerSeries
    precondition(unsafe count <= scratch.count)
    for index in 0..<count { unsafe scratch[index] = state.keptNumber(first + index) }
    let span = unsafe Span(_unsafeElements: UnsafeBufferPointer(rebasing: scratch[0..<count]))
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Those of a family whose rule asks for them.
  func exemplars(_ family: Family) -> Exemplars? {
    family.options.exemplar.isEmpty ? nil : exemplars
  }

  /// When a series was made, in Unix milliseconds; 1 where it is not known.
  func createdMilliseconds(_ record: Record) -> UInt64 { state.createdMilliseconds(record) }
}
