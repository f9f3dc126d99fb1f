import SidecarPlatform
import SidecarRules

/// A histogram with fixed buckets.
final class Histogram: Metric {
  static let members = [
    MetricMember("native", of: [.histogram, .nativeHistogram], "histograms") {
      json, options throws(JSON.Mistake) in
      options.isNative = try json.flag()
    }
  ]

  override func cellCount(_ options: KindOptions, bounds: Int) -> Int {
    HistogramCells.count(bounds: bounds)
  }

  override var hasBounds: Bool { true }

  override func observe(
    _ value: Double, weight: Double, _ move: GaugeMove, _ target: LineTable.Target,
    _ family: Family, in registry: Registry
  ) {
    Self.observe(value, weight, Int(target.cell), family, in: registry.state)
  }

  @inline(__always)
  @_optimize(speed)
  static func observe(
    _ value: Double, _ weight: Double, _ record: Int, _ family: Family, in state: StateFile
  ) {
    let whole = addSum(value, weight, record, in: state)
    if whole == 0 { return }
    var bucket = 0
    while bucket < family.bounds.count, value > family.bounds[bucket] { bucket += 1 }
    state.add(record + HistogramCells.firstBucket + bucket, whole)
  }

  override func add(
    _ samples: Distribution, sum: Double, factor: Double, _ record: Int, _ family: Family,
    in registry: Registry
  ) -> Registry.Rejection? {
    let bounds = family.bounds
    guard samples.fits(bounds, factor: factor) else { return .declarationConflict }
    let state = registry.state
    state.add(record + HistogramCells.sum, sum)
    samples.forEachBucket { bucket in
      let upper = bucket.upper * factor
      var place = 0
      // Bounds that differ only by rounding are equal.
      while place < bounds.count, upper > bounds[place] + bounds[place].magnitude * 1e-12 {
        place += 1
      }
      state.add(record + HistogramCells.firstBucket + place, Double(bucket.count))
    }
    return nil
  }

  override func join(
    _ source: Int, to record: Int, isLater: Bool, _ family: Family, in state: StateFile
  ) {
    addCells(1..<family.cellCount, of: source, to: record, in: state)
  }

  override func forEachExemplar(
    of value: Double, _ record: Int, _ family: Family, _ body: (Int) -> Void
  ) {
    var bucket = 0
    while bucket < family.bounds.count, value > family.bounds[bucket] { bucket += 1 }
    body(record + HistogramCells.firstBucket + bucket)
  }

  override func expose(
    _ values: Span<Double>, _ record: Int, _ family: Family, _ request: ExposedRequest,
    to points: PointSeries
  ) -> Exposed {
    var cumulative = 0.0
    for index in HistogramCells.firstBucket - 1..<values.count {
      cumulative += values[index]
      points.values.append(cumulative)
    }
    points.count = cumulative
    points.sum = values[HistogramCells.sum - 1]
    points.bucketCell = record + HistogramCells.firstBucket
    return .histogram
  }
}

/// The cells of a histogram, not cumulative, +Inf last:
///
///     1 sum   2 fraction of a sample that `@rate` has left over   3 … a count for each bucket
enum HistogramCells {
  static let sum = 1
  static let carry = 2
  static let firstBucket = 3
  static func count(bounds: Int) -> Int { firstBucket + bounds + 1 }
}
