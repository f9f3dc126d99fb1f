import SidecarPlatform

/// The types of families: what they are pushed with, and what a page says of them. The numbers are
/// those of the protobuf format, and part of the file of pushed groups.
enum FamilyType: UInt8 {
  case counter = 0
  case gauge = 1
  case summary = 2
  case untyped = 3
  case histogram = 4
  /// In protobuf alone: a histogram whose counts may fall.
  case gaugeHistogram = 5

  /// What families of a metric type are.
  init(_ type: MetricType) { self = type.metric.exposedType }

  /// As `# TYPE` has it, but for gauge histograms.
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

  /// As Pushgateway's API has it.
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

  /// Reads `text` in upper or lower case.
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

  /// Has a sum, a count and buckets or quantiles.
  var hasPoints: Bool { isHistogram || self == .summary }

  var isHistogram: Bool { self == .histogram || self == .gaugeHistogram }
}
