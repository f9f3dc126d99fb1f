import SidecarPlatform
import SidecarRules

/// A native histogram: see `NativeHistogramCells`.
final class ExponentialHistogram: Metric {
  private static let owners = "histograms with \"native\": true"

  static let members = [
    MetricMember("bucket_factor", of: [.nativeHistogram], owners) {
      json, options throws(JSON.Mistake) in
      let factor = try MetricMembers.number(
        json, 1.0027, 65_536, "a factor from 1.0027 to 65536")
      options.schema = ExponentialScale.schema(growingBy: factor)
    },
    MetricMember("zero_threshold", of: [.nativeHistogram], owners) {
      json, options throws(JSON.Mistake) in
      options.zeroThreshold = try MetricMembers.number(json, 0, 1e300, "a number from 0 up")
    },
  ]

  override func cellCount(_ options: KindOptions, bounds: Int) -> Int {
    NativeHistogramCells.count(options, bounds: bounds)
  }

  override func shape(_ options: KindOptions) -> [Double] {
    [Double(options.maxBuckets), options.zeroThreshold]
  }

  override var hasBounds: Bool { true }

  override func takes(_ event: MetricType) -> Bool {
    event == .nativeHistogram || event == .histogram
  }

  @_optimize(speed)
  override func observe(
    _ value: Double, weight: Double, _ move: GaugeMove, _ target: LineTable.Target,
    _ family: Family, in registry: Registry
  ) {
    let record = Int(target.cell)
    let whole = Self.addSum(value, weight, record, in: registry.state)
    if whole == 0 { return }
    NativeHistogramCells.observe(value, whole, in: registry.state, record, family)
  }

  /// Adds exponential buckets exactly, and fixed ones by representative values.
  override func add(
    _ samples: Distribution, sum: Double, factor: Double, _ record: Int, _ family: Family,
    in registry: Registry
  ) -> Registry.Rejection? {
    let state = registry.state
    state.add(record + NativeHistogramCells.sum, sum)
    samples.forEachBucket { bucket in
      if factor == 1, let exponential = samples.exponential {
        NativeHistogramCells.add(bucket, exponential.schema, in: state, record, family)
      } else {
        NativeHistogramCells.observe(
          bucket.middle * factor, Double(bucket.count), in: state, record, family)
      }
    }
    return nil
  }

  override func join(
    _ source: Int, to record: Int, isLater: Bool, _ family: Family, in state: StateFile
  ) {
    let options = family.options
    let first = NativeHistogramCells.firstBucket(options)
    addCells(1..<NativeHistogramCells.control, of: source, to: record, in: state)
    addCells(first..<first + family.bounds.count, of: source, to: record, in: state)
    let table = NativeHistogramCells.table(record, options)
    let rest = table.add(NativeHistogramCells.table(source, options), in: state)
    state.add(record + NativeHistogramCells.zeros, Double(rest))
  }

  override func forEachExemplar(
    of value: Double, _ record: Int, _ family: Family, _ body: (Int) -> Void
  ) {
    body(record + NativeHistogramCells.exemplar(value, family.options))
    if family.bounds.isEmpty { return }
    var cell = record + NativeHistogramCells.firstBucket(family.options)
    for bound in family.bounds where value > bound { cell += 1 }
    body(cell)
  }

  /// The classic buckets of the rule, or only +Inf, and on request the exponential ones, with a
  /// count of their own: the number of samples they hold, which has a limit.
  override func expose(
    _ values: Span<Double>, _ record: Int, _ family: Family, _ request: ExposedRequest,
    to points: PointSeries
  ) -> Exposed {
    let options = family.options
    let first = NativeHistogramCells.firstBucket(options)
    var cumulative = 0.0
    var rest = values[NativeHistogramCells.samples - 1]
    for index in 0..<family.bounds.count {
      cumulative += values[first - 1 + index]
      rest -= values[first - 1 + index]
      points.values.append(cumulative)
    }
    points.values.append(cumulative + rest)
    points.count = cumulative + rest
    points.sum = values[NativeHistogramCells.sum - 1]
    points.bucketCell = record + first
    guard request.hasNative else { return .histogram }
    let native = NativeHistogramCells.native(values, options)
    points.count = native.zeroCount + native.below.total + native.above.total
    points.native = native
    let firstExemplar = record + NativeHistogramCells.control + 1
    points.nativeCells = firstExemplar..<firstExemplar + NativeHistogramCells.exemplarCount
    points.zerosCell = record + NativeHistogramCells.zeros
    return .histogram
  }
}

/// A native histogram: exponential buckets whose resolution falls when there would be too many, and
/// the classic ones that a rule may define.
///
///     1 sum   2 fraction of a sample that `@rate` has left over   3 count   4 samples near 0
///     5 a `BucketTable`   then the fixed buckets without +Inf, not cumulative
enum NativeHistogramCells {
  static let sum = 1
  static let carry = 2
  static let samples = 3
  static let zeros = 4
  static let control = 5

  static func capacity(_ options: KindOptions) -> Int { options.maxBuckets * 5 / 4 + 1 }
  static func firstBucket(_ options: KindOptions) -> Int { control + 1 + capacity(options) }
  static func count(_ options: KindOptions, bounds: Int) -> Int { firstBucket(options) + bounds }

  /// Exemplars of one series, besides those of the classic buckets.
  static let exemplarCount = 10

  /// The cell whose exemplar a value becomes. Values of one power of two share one, so a series
  /// keeps exemplars of all magnitudes: ten, like the official Go client.
  static func exemplar(_ value: Double, _ options: KindOptions) -> Int {
    if value.magnitude <= options.zeroThreshold || value == 0 { return zeros }
    let power = Int(value.magnitude.exponent) % exemplarCount
    return control + 1 + (power < 0 ? power + exemplarCount : power)
  }

  static func table(_ record: Int, _ options: KindOptions) -> BucketTable {
    BucketTable(
      control: record + control, capacity: capacity(options), limit: options.maxBuckets,
      firstSchema: options.schema)
  }

  /// Adds `whole` samples of `value`; the caller updates the sum.
  @_optimize(speed)
  static func observe(
    _ value: Double, _ whole: Double, in state: StateFile, _ record: Int, _ family: Family
  ) {
    let options = family.options
    state.add(record + samples, whole)
    let table = table(record, options)
    if value.magnitude <= options.zeroThreshold
      || !table.add(value, BucketTable.count(whole), in: state)
    {
      state.add(record + zeros, whole)
    }
    var bucket = 0
    while bucket < family.bounds.count, value > family.bounds[bucket] { bucket += 1 }
    guard bucket < family.bounds.count else { return }
    state.add(record + firstBucket(options) + bucket, whole)
  }

  /// Adds the samples of one exponential bucket; the caller updates the sum.
  static func add(
    _ bucket: Distribution.Bucket, _ schema: Int, in state: StateFile, _ record: Int,
    _ family: Family
  ) {
    let options = family.options
    let count = Double(bucket.count)
    state.add(record + samples, count)
    let isNear = bucket.middle == 0 || bucket.middle.magnitude <= options.zeroThreshold
    if isNear
      || !table(record, options).add(
        bucket.index, isNegative: bucket.middle < 0, min(bucket.count, BucketTable.countLimit),
        schema, in: state)
    {
      state.add(record + zeros, count)
    }
    for place in 0..<family.bounds.count where bucket.upper <= family.bounds[place] {
      state.add(record + firstBucket(options) + place, count)
      return
    }
  }

  /// The exponential buckets, from a record's cells without the first.
  static func native(_ values: Span<Double>, _ options: KindOptions) -> NativeHistogram {
    var sorted = SortedBuckets()
    sorted.add(values, control: control - 1, capacity: capacity(options))
    sorted.sort()
    let head = values[control - 1].bitPattern
    var native = NativeHistogram()
    native.schema = head == 0 ? options.schema : BucketTable.schema(head)
    native.zeroThreshold = options.zeroThreshold
    native.zeroCount = values[zeros - 1]
    native.below = sorted.side(-1)
    native.above = sorted.side(1)
    // Without a bucket and with a threshold of 0, an empty span marks it as a native one.
    if head == 0, options.zeroThreshold == 0 {
      native.above.spans = [NativeHistogram.Span(offset: 0, length: 0)]
    }
    return native
  }

  /// The first cell of an equivalent histogram without exponential buckets.
  static func classicRecord(_ record: Int, _ options: KindOptions) -> Int {
    record + firstBucket(options) - HistogramCells.firstBucket
  }

  /// The classic buckets as in a histogram without exponential ones, from a record's cells without
  /// the first; +Inf has the rest.
  static func classic(_ values: Span<Double>, _ family: Family) -> [Double] {
    var cells = [values[sum - 1], 0]
    var rest = values[samples - 1]
    let first = firstBucket(family.options) - 1
    for index in 0..<family.bounds.count {
      cells.append(values[first + index])
      rest -= values[first + index]
    }
    return cells + [rest]
  }
}
