import SidecarPlatform

/// The types of families, in pushes and expositions. The numbers are those of the protobuf format,
/// and part of the file of pushed groups.
enum FamilyType: UInt8 {
  case counter = 0
  case gauge = 1
  case summary = 2
  case untyped = 3
  case histogram = 4
  /// Only in protobuf: a histogram whose counts may fall.
  case gaugeHistogram = 5

  /// The type of families with a metric type.
  init(_ type: MetricType) { self = type.metric.exposedType }

  /// As in `# TYPE`, except for gauge histograms.
  var text: StaticString {
    switch self {
    case .counter: "counter"
    case .gauge: "gauge"
    case .summary: "summary"
    case .untyped: "untyped"
    case .histogram: "histogram"
    case .gaugeHistogram: "gauge histogram"
    }
  }

  /// As in Pushgateway's API.
  var capitals: StaticString {
    switch self {
    case .counter: "COUNTER"
    case .gauge: "GAUGE"
    case .summary: "SUMMARY"
    case .untyped: "UNTYPED"
    case .histogram: "HISTOGRAM"
    case .gaugeHistogram: "GAUGE_HISTOGRAM"
    }
  }

  /// Parses `text` in upper or lower case.
  init?(_ name: String) {
    switch name.asciiLowercased {
    case "counter": self = .counter
    case "gauge": self = .gauge
    case "summary": self = .summary
    case "untyped": self = .untyped
    case "histogram": self = .histogram
    default: return nil
    }
  }

  /// Whether it has a sum, a count and buckets or quantiles.
  var hasPoints: Bool { isHistogram || self == .summary }

  var isHistogram: Bool { self == .histogram || self == .gaugeHistogram }
}
