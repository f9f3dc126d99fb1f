import SidecarPlatform
import SidecarRules

/// A summary: see `SummaryCells`.
final class Summary: Metric {
  static let members = [
    MetricMember("quantiles", of: [.summary], "summaries") { json, options throws(JSON.Mistake) in
      var list: [Double] = []
      for item in try json.items() {
        let quantile = try MetricMembers.number(item, 0, 1, "a number from 0 to 1")
        if let last = list.last, quantile <= last {
          throw item.mistake("each quantile is above the one before it")
        }
        list.append(quantile)
      }
      if list.isEmpty || list.count > 32 { throw json.mistake("expected from 1 to 32 quantiles") }
      options.quantiles = list
    }
  ]

  override func cellCount(_ options: KindOptions, bounds: Int) -> Int {
    SummaryCells.count(options)
  }

  override func shape(_ options: KindOptions) -> [Double] {
    options.quantiles.isEmpty
      ? [] : [Double(options.windowMilliseconds), Double(options.maxBuckets)]
  }

  override func takes(_ event: MetricType) -> Bool { event == .summary || event == .histogram }

  @_optimize(speed)
  override func observe(
    _ value: Double, weight: Double, _ move: GaugeMove, _ target: LineTable.Target,
    _ family: Family, in registry: Registry
  ) {
    let record = Int(target.cell)
    let whole = Self.addSum(value, weight, record, in: registry.state)
    if whole == 0 { return }
    SummaryCells.observe(
      value, whole, in: registry.state, record, now: registry.now, family.options)
  }

  /// Quantiles are computed from each bucket's representative value.
  override func add(
    _ samples: Distribution, sum: Double, factor: Double, _ record: Int, _ family: Family,
    in registry: Registry
  ) -> Registry.Rejection? {
    let state = registry.state
    state.add(record + SummaryCells.sum, sum)
    samples.forEachBucket { bucket in
      SummaryCells.observe(
        bucket.middle * factor, Double(bucket.count), in: state, record, now: registry.now,
        family.options)
    }
    return nil
  }

  /// Both lose the content of their windows.
  override func join(
    _ source: Int, to record: Int, isLater: Bool, _ family: Family, in state: StateFile
  ) {
    addCells(1..<SummaryCells.samples + 1, of: source, to: record, in: state)
  }

  override func expose(
    _ values: Span<Double>, _ record: Int, _ family: Family, _ request: ExposedRequest,
    to points: PointSeries
  ) -> Exposed {
    points.values = SummaryCells.quantiles(values, now: request.now, family.options)
    points.count = values[SummaryCells.samples - 1]
    points.sum = values[SummaryCells.sum - 1]
    return .summary
  }
}

/// A summary: sum and count since the series was created, and quantiles over a sliding window. The
/// window has four parts; each has its own buckets, and is reset when its turn comes, so the
/// quantiles cover the last three to four quarters of the window.
///
///     1 sum   2 fraction of a sample that `@rate` has left over   3 count
///     then for each part, if there are quantiles: its time in quarters of the window, samples of
///       value 0, a `BucketTable`
///
/// A quantile is at most 1.1 % away from a value of that rank while the values of a part of the
/// window need at most `maxBuckets` at schema 5, as values within a factor of 32 do with 160
/// buckets; twice that for each lower schema.
enum SummaryCells {
  static let sum = 1
  static let carry = 2
  static let samples = 3
  static let partCount = 4
  private static let firstPart = 4

  private static func capacity(_ options: KindOptions) -> Int { options.maxBuckets * 5 / 4 + 1 }
  private static func partCells(_ options: KindOptions) -> Int { 3 + capacity(options) }
  static func count(_ options: KindOptions) -> Int {
    firstPart + (options.quantiles.isEmpty ? 0 : partCount * partCells(options))
  }
  static let defaultWindowMilliseconds: UInt64 = 600_000

  /// Adds `whole` samples of `value`; the caller updates the sum.
  @_optimize(speed)
  static func observe(
    _ value: Double, _ whole: Double, in state: StateFile, _ record: Int, now: UInt64,
    _ options: KindOptions
  ) {
    state.add(record + samples, whole)
    if options.quantiles.isEmpty { return }
    let count = BucketTable.count(whole)
    let quarter = self.quarter(now, options)
    let part = record + firstPart + Int(quarter % UInt64(partCount)) * partCells(options)
    let table = BucketTable(
      control: part + 2, capacity: capacity(options), limit: options.maxBuckets, firstSchema: 5)
    if state.value(part) != quarter {
      table.clear(in: state)
      state.store(part + 1, UInt64(0))
      state.store(part, quarter)
    }
    if value == 0 || !table.add(value, count, in: state) {
      state.store(part + 1, min(state.value(part + 1) + count, BucketTable.countLimit))
    }
  }

  /// The values of `options.quantiles`, from a record's cells without the first; NaN if the window
  /// is empty.
  static func quantiles(_ values: Span<Double>, now: UInt64, _ options: KindOptions) -> [Double] {
    if options.quantiles.isEmpty { return [] }
    var buckets = SortedBuckets()
    let quarter = self.quarter(now, options)
    for index in 0..<partCount {
      let part = firstPart - 1 + index * partCells(options)
      let age = quarter &- values[part].bitPattern
      guard age < UInt64(partCount) else { continue }
      buckets.addZeros(values[part + 1].bitPattern)
      buckets.add(values, control: part + 2, capacity: capacity(options))
    }
    buckets.sort()
    var total = 0.0
    for position in 0..<buckets.count { total += Double(buckets[position].count) }
    var results: [Double] = []
    var position = 0
    var below = 0.0
    for quantile in options.quantiles {
      guard total > 0 else {
        results.append(.nan)
        continue
      }
      let rank = max(1, (quantile * total).rounded(.up))
      while position < buckets.count - 1, below + Double(buckets[position].count) < rank {
        below += Double(buckets[position].count)
        position += 1
      }
      let bucket = buckets[position]
      let middle = ExponentialScale.middle(of: bucket.index, schema: buckets.schema)
      results.append(bucket.sign == 0 ? 0 : bucket.sign < 0 ? -middle : middle)
    }
    return results
  }

  private static func quarter(_ now: UInt64, _ options: KindOptions) -> UInt64 {
    let window =
      options.windowMilliseconds == 0 ? defaultWindowMilliseconds : options.windowMilliseconds
    return now / max(1, window / UInt64(partCount))
  }
}
