import SidecarPlatform

/// What a metric's points mean to their series.
enum OTLPKind: UInt8 {
  /// Sums: monotonic ones count, others are gauges.
  case gauge, sum, deltaSum, level, deltaLevel
  case histogram, deltaHistogram, exponential, deltaExponential, summary
  /// A sum or histogram without a temporality.
  case unknown, unknownHistogram, unknownExponential

  /// Whether a point covers everything since its start time.
  var isCumulative: Bool {
    self == .sum || self == .histogram || self == .exponential
  }
  /// Whether its points are refused: it has no temporality.
  var isUnknown: Bool { rawValue >= Self.unknown.rawValue }
  /// Whether a request with such a point must be applied only once.
  var isDelta: Bool {
    self == .deltaSum || self == .deltaLevel || self == .deltaHistogram
      || self == .deltaExponential
  }
  /// Whether its start time identifies clients.
  var hasStreams: Bool { isCumulative || self == .level || self == .gauge }

  var point: OTLPMessage {
    switch self {
    case .histogram, .deltaHistogram, .unknownHistogram: .histogramPoint
    case .exponential, .deltaExponential, .unknownExponential: .exponentialPoint
    case .summary: .summaryPoint
    default: .numberPoint
    }
  }

  /// The metric type of its series, unless a rule says otherwise.
  var kind: MetricType {
    switch self {
    case .sum, .deltaSum: .counter
    case .gauge, .deltaLevel, .level: .gauge
    case .histogram, .deltaHistogram: .histogram
    case .exponential, .deltaExponential: .nativeHistogram
    default: .summary
    }
  }

  /// Its name in the self-metrics.
  var letter: UInt8 {
    switch self {
    case .gauge: UInt8(ascii: "g")
    case .sum, .deltaSum, .level, .deltaLevel: UInt8(ascii: "c")
    case .histogram, .deltaHistogram: UInt8(ascii: "h")
    case .exponential, .deltaExponential: UInt8(ascii: "x")
    default: UInt8(ascii: "s")
    }
  }
}

extension EventOrigin {
  /// The name's bytes are those of a point's metric, resource and scope, its tags the attributes'
  /// fields.
  static let otlp = EventOrigin(rawValue: 0x80)
}

extension LineTable.Target {
  /// A point's first target may be its stream instead of a series. No point is in milliseconds.
  var isStream: Bool { isMilliseconds }
}

/// A metric of the current request: the ranges of its parts.
struct OTLPMetric {
  var name = 0..<0
  var description = 0..<0
  var unit = 0..<0
  var kind = OTLPKind.unknown
  /// Messages around it.
  var resource = 0..<0
  var scope = 0..<0
  /// Of all of these, as they came.
  var context: UInt64 = 0
}

/// A point of the current request, as far as it has been parsed; 64 bytes, as `Limits` counts it.
struct OTLPPoint {
  private var metricPlace: UInt32 = 0
  private var messagePlace: (start: UInt32, end: UInt32) = (0, 0)
  private var attributePlace: (start: UInt32, end: UInt32) = (0, 0)
  var hasNumber = false
  /// The attributes' fields are adjacent.
  var isPlain = true
  /// The client says that there is no value.
  var hasNoValue = false
  var hasExemplars = false
  var start: UInt64 = 0
  var time: UInt64 = 0
  /// A sum's or a gauge's.
  var value = Double.nan
  /// Of a point that is known.
  var targets: LineTable.Targets?

  /// The number of its metric.
  var metric: Int {
    get { Int(metricPlace) }
    set { metricPlace = UInt32(newValue) }
  }
  var message: Range<Int> {
    get { Int(messagePlace.start)..<Int(messagePlace.end) }
    set { messagePlace = (UInt32(newValue.lowerBound), UInt32(newValue.upperBound)) }
  }
  /// The attributes' fields, if they are adjacent.
  var attributes: Range<Int> {
    get { Int(attributePlace.start)..<Int(attributePlace.end) }
    set { attributePlace = (UInt32(newValue.lowerBound), UInt32(newValue.upperBound)) }
  }
}

/// The numbers of a histogram's point; created once and reused.
struct OTLPBuckets {
  var count: UInt64 = 0
  /// NaN if there is none.
  var sum = Double.nan
  var counts: [UInt64] = []
  var bounds: [Double] = []

  /// Bounds of one histogram, as in a rules file.
  static let boundLimit = 200

  /// Parses a `HistogramDataPoint`; returns whether its numbers are consistent.
  mutating func read(_ message: WireCursor) -> Bool {
    count = 0
    sum = .nan
    counts.removeAll(keepingCapacity: true)
    bounds.removeAll(keepingCapacity: true)
    var cursor = message
    while cursor.next() {
      switch cursor.number {
      case 4: count = cursor.bits
      case 5: sum = Double(bitPattern: cursor.bits)
      case 6, 7:
        var packed = cursor.inside
        let isBounds = cursor.number == 7
        if cursor.type == WireCursor.fixed {
          add(cursor.bits, isBounds)
        } else {
          while !packed.isAtEnd, counts.count <= Self.boundLimit + 1,
            bounds.count <= Self.boundLimit
          {
            add(packed.readFixed(), isBounds)
          }
        }
      default: break
      }
      if counts.count > Self.boundLimit + 1 || bounds.count > Self.boundLimit { return false }
    }
    if counts.isEmpty, bounds.isEmpty { counts.append(count) }
    var total: UInt64 = 0
    for count in counts {
      if count >= 1 << 53 { return false }
      total += count
    }
    var last = -Double.infinity
    for bound in bounds {
      if !(bound > last) || bound == .infinity { return false }
      last = bound
    }
    return counts.count == bounds.count + 1 && total == count && count < 1 << 53
  }

  private mutating func add(_ bits: UInt64, _ isBounds: Bool) {
    if isBounds { bounds.append(Double(bitPattern: bits)) } else { counts.append(bits) }
  }

  /// Distinguishes histograms with different bounds.
  var shape: UInt32 {
    bounds.isEmpty ? 0 : unsafe Digest.checksum(bounds.span.bytes)
  }
}
