import SidecarPlatform

/// The metric types. The numbers are part of the state file's format: see `Record`.
enum MetricType: UInt8 {
  case counter = 1
  case gauge = 2
  case histogram = 3
  case set = 4
  case summary = 5
  case nativeHistogram = 6
  /// A gauge of several clients.
  case clientGauge = 7

  /// The object of each type, in the order of their numbers.
  // Sound: none of them changes after its creation.
  private nonisolated(unsafe) static let metrics: [Metric] = [
    Counter(.counter, .counter), Gauge(.gauge, .gauge), Histogram(.histogram, .histogram),
    DistinctSet(.set, .gauge), Summary(.summary, .summary),
    ExponentialHistogram(.nativeHistogram, .histogram), ClientGauge(.clientGauge, .gauge),
  ]

  var metric: Metric { unsafe Self.metrics[Int(rawValue) - 1] }

  /// Whether an event that is kept as `event` without a rule may feed a family of this type.
  func takes(_ event: MetricType) -> Bool { metric.takes(event) }

  /// The type that a rule names for it.
  var plain: MetricType {
    self == .nativeHistogram ? .histogram : self == .clientGauge ? .gauge : self
  }

  /// Whether its lines are `…_sum`, `…_count` and such.
  var hasSuffixes: Bool { metric.exposedType.hasPoints }
}

/// What a series exposes.
enum Exposed {
  /// There is no client of a gauge whose value counts.
  case nothing
  case number(Double)
  case histogram, summary
}

/// When a series is exposed, in milliseconds, and whether exponential buckets can be written.
struct ExposedRequest {
  let now: UInt64
  let hasNative: Bool
}

/// A metric type: the cells of a series, and what an event does to them. One object per type, in a
/// file of its own here; `MetricType` lists them.
///
/// What must stay true: cells are numbered from the record's head, which is 0. Each event stores
/// into cell 1, whose transaction says when the series had its last event.
class Metric {
  let type: MetricType
  /// Its type in an exposition.
  let exposedType: FamilyType

  init(_ type: MetricType, _ exposedType: FamilyType) {
    self.type = type
    self.exposedType = exposedType
  }

  /// The cells of a series, with the head.
  func cellCount(_ options: KindOptions, bounds: Int) -> Int { 2 }

  /// The numbers besides bounds that determine the meaning of the cells.
  func shape(_ options: KindOptions) -> [Double] { [] }

  /// Whether it may have fixed buckets.
  var hasBounds: Bool { false }

  func takes(_ event: MetricType) -> Bool { event == type }

  /// Applies an event's value, scaled and in seconds.
  func observe(
    _ value: Double, weight: Double, _ move: GaugeMove, _ target: LineTable.Target,
    _ family: Family, in registry: Registry
  ) {}

  /// Adds many samples, each times `factor`; returns why it cannot, or `nil`.
  func add(
    _ samples: Distribution, sum: Double, factor: Double, _ record: Int, _ family: Family,
    in registry: Registry
  ) -> Registry.Rejection? { .typeConflict }

  /// Adds another series of the family, or takes its value if it `isLater`.
  func join(_ source: Int, to record: Int, isLater: Bool, _ family: Family, in state: StateFile) {
    guard isLater else { return }
    for cell in 1..<family.cellCount { state.store(record + cell, state.value(source + cell)) }
  }

  /// Calls `body` with the cells whose exemplar a value becomes.
  func forEachExemplar(of value: Double, _ record: Int, _ family: Family, _ body: (Int) -> Void) {}

  /// What a series exposes now: its number, or its points, which it puts into `points`. `values`
  /// are its cells without the head.
  func expose(
    _ values: Span<Double>, _ record: Int, _ family: Family, _ request: ExposedRequest,
    to points: PointSeries
  ) -> Exposed { .number(values[0]) }

  // MARK: For several types

  /// Adds cells that hold sums.
  final func addCells(
    _ cells: Range<Int>, of source: Int, to record: Int, in state: StateFile
  ) {
    for cell in cells { state.add(record + cell, state.number(source + cell)) }
  }

  /// Adds to a sum, and returns how many samples `weight` stands for now: see `SampleWeight`.
  /// Histograms and summaries have both in the same cells.
  @inline(__always)
  @_optimize(speed)
  static func addSum(
    _ value: Double, _ weight: Double, _ record: Int, in state: StateFile
  ) -> Double {
    state.add(record + HistogramCells.sum, value * weight)
    return weight == 1
      ? 1 : SampleWeight.whole(weight, carry: record + HistogramCells.carry, in: state)
  }
}
