import SidecarPlatform
import SidecarRules

/// All series at one moment between two commits, so with whole frames only. The exposition is
/// written from it in slices while intake continues: the values of the moment are kept
/// (`BeforeImages`).
///
/// What must stay true: a record's key and its creation time do not change while a snapshot is
/// alive; one is alive at a time.
@safe
final class Snapshot {
  /// A family and its series at that moment.
  struct Part {
    let family: Family
    let series: [Record]
    /// Values per series: all its cells except the one that says whether it is in use.
    let valuesPerSeries: Int
    /// Whether the next part has the same name.
    var isContinued: Bool

    /// Whether each series is a single number in a cell.
    var hasNumbers: Bool { family.kind == .counter || family.kind == .gauge }
  }

  let state: StateFile
  /// When it was taken, in Unix milliseconds.
  let now: UInt64
  private(set) var parts: [Part] = []
  // Sound: as many numbers as the longest series has, freed in `deinit`, borrowed until the next
  // call.
  private let scratch: UnsafeMutableBufferPointer<Double>
  /// The sidecar's own metrics.
  var own: [OwnFamily] = []
  /// Whether OpenMetrics has a `_created` line for each counter, histogram and summary.
  var hasCreatedLines = false
  /// The pushed families.
  var pushed: FamilyConflicts?
  /// The names as clients wrote them.
  let spellings: OriginalNames
  /// The exemplars at the time when a line is written, or its family measured, which may be a
  /// little later.
  private let exemplars: Exemplars?
  /// Families that must not be counters in OpenMetrics; see `SampleNames.short`.
  private(set) var unknownCounters: Set<Int> = []
  /// Names of all families in an OpenMetrics exposition with pushes; empty for any other.
  private(set) var familyNames: Set<[UInt8]> = []
  /// The progress of `noteFamilies`: the names of all parts, then each again.
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
    for family in registry.families where !family.isFurther {
      // A declared family is shown from the start, even without a series.
      guard family.first({ !$0.series.isEmpty || $0.isDeclared }) != nil,
        filter.includes(family.name)
      else { continue }
      if isOpenMetrics, family.kind == .counter,
        !Self.hasShortName(family.name, in: registry)
      {
        unknownCounters.insert(parts.count)
      }
      var next: Family? = family
      while let form = next {
        next = form.next
        let perSeries = form.cellCount - 1
        longest = max(longest, perSeries)
        parts.append(
          Part(
            family: form, series: form.series, valuesPerSeries: perSeries,
            isContinued: next != nil))
      }
    }
    unsafe scratch = .allocate(capacity: longest)
  }

  /// A family in an OpenMetrics exposition that is not in `parts`.
  func noteFamily(_ name: [UInt8]) { familyNames.insert(name) }

  /// Checks the families of an OpenMetrics exposition with pushes: a counter's short name may
  /// belong to a pushed family. Handles some per call, which it subtracts from `left`; returns
  /// whether that is all.
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

  /// Whether OpenMetrics has a short name for a counter of events, judging by events alone.
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

  /// The series of one of the sidecar's own families. Hidden series are known by now.
  func ownSamples(_ place: Int) -> [(labels: [UInt8], value: Double)] {
    var family = own[place]
    if let pushed, unsafe family.name.span.bytes.isEqual(to: HiddenSeries.metric) {
      pushed.hidden.add(to: &family)
    }
    return family.samples
  }

  /// Makes OpenMetrics not call a part a counter.
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

  /// The exemplars of a family whose rule asks for them.
  func exemplars(_ family: Family) -> Exemplars? {
    family.options.exemplar.isEmpty ? nil : exemplars
  }

  /// When a series was created, in Unix milliseconds; 1 if unknown.
  func createdMilliseconds(_ record: Record) -> UInt64 { state.createdMilliseconds(record) }
}
