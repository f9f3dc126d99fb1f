import Platform

/// The values of all series at one moment between two commits, so of whole frames only. A page is
/// written from it in slices while the intake goes on.
///
/// What must stay true: a record's key and its time of birth do not change while a snapshot is alive.
final class Snapshot {
  /// A family and its series as they were.
  struct Part {
    let family: Family
    let series: [Record]
    /// Of its first series, in `values`.
    let firstValue: Int
    /// Values of one series: all its cells but the one that says whether it is in use.
    let valuesPerSeries: Int
  }

  let state: StateFile
  /// When it was taken, in Unix milliseconds.
  let now: UInt64
  private(set) var parts: [Part] = []
  private(set) var values: [Double] = []
  /// What the sidecar says of itself, in text 0.0.4.
  var selfText: [UInt8] = []
  /// Lines of pushed series whose family is one of `parts`, by its name.
  var pushedText: [[UInt8]: [UInt8]] = [:]
  /// How clients wrote the names.
  let spellings: Spellings
  /// The exemplars as they are when a line is written, which may be a little later.
  private let exemplars: Exemplars?
  /// Families that OpenMetrics must not call counters; see `OpenMetricsFormat`.
  private(set) var unknownCounters: Set<Int> = []

  @_optimize(speed)
  init(_ registry: Registry, filter: NameFilter, isOpenMetrics: Bool = false) {
    state = registry.state
    spellings = registry.spellings
    exemplars = registry.exemplars
    now = registry.now
    let families = registry.families
    var count = 0
    for family in families {
      // A declared family is shown from the start, even without a series.
      guard !family.series.isEmpty || family.isDeclared, filter.includes(family.name) else {
        continue
      }
      if isOpenMetrics, family.kind == .counter,
        !OpenMetricsFormat.canBeCounter(family.name, registry.familyIndex)
      {
        unknownCounters.insert(parts.count)
      }
      let perSeries = family.cellCount - 1
      parts.append(
        Part(
          family: family, series: family.series, firstValue: count, valuesPerSeries: perSeries))
      count += perSeries * family.series.count
    }
    values.reserveCapacity(count)
    for part in parts {
      for record in part.series {
        let cell = record.firstCell + 1
        for index in 0..<part.valuesPerSeries { values.append(state.number(cell + index)) }
      }
    }
  }

  /// Those of a family whose rule asks for them.
  func exemplars(_ family: Family) -> Exemplars? {
    family.options.exemplar.isEmpty ? nil : exemplars
  }

  /// When a series was made, in Unix milliseconds; 1 where it is not known.
  func createdMilliseconds(_ record: Record) -> UInt64 { state.createdMilliseconds(record) }
}
