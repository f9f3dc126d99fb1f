import SidecarPlatform

/// The messages of `ExportMetricsServiceRequest` as one table, from which the reader of JSON and
/// the check of protobuf follow.
/// https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto
///
/// What must stay true: `OTLPMessage` and `messages` have the same order.
enum OTLPMessage: UInt8 {
  case request, resourceMetrics, resource, scopeMetrics, scope, metric, points, numberPoint
  case histogram, histogramPoint, exponential, exponentialPoint, buckets, summary, summaryPoint
  case quantile, exemplar, keyValue, anyValue, list, keyValues
  /// No message.
  case none
}

struct OTLPField {
  enum Kind: UInt8 {
    case message, text, base64, hex, flag
    /// As varints: unsigned, signed, and with the sign in the lowest bit.
    case unsigned, signed, zigzag
    /// As eight bytes: an unsigned number, a signed one, a Double.
    case fixed, signedFixed, double

    var wireType: UInt8 {
      switch self {
      case .message, .text, .base64, .hex: WireCursor.bytes
      case .flag, .unsigned, .signed, .zigzag: WireCursor.varint
      case .fixed, .signedFixed, .double: WireCursor.fixed
      }
    }
  }

  /// Its name in JSON.
  let name: StaticString
  let number: UInt8
  let kind: Kind
  let message: OTLPMessage

  init(_ name: StaticString, _ number: UInt8, _ kind: Kind) {
    self.name = name
    self.number = number
    self.kind = kind
    message = .none
  }

  init(_ name: StaticString, _ number: UInt8, _ message: OTLPMessage) {
    self.name = name
    self.number = number
    kind = .message
    self.message = message
  }
}

enum OTLPSchema {
  /// The depth of nested messages: beyond, a request is refused.
  static let depthLimit = 64

  static func fields(of message: OTLPMessage) -> [OTLPField] {
    message == .none ? [] : messages[Int(message.rawValue)]
  }

  private static let messages: [[OTLPField]] = [
    [.init("resourceMetrics", 1, .resourceMetrics)],
    [.init("resource", 1, .resource), .init("scopeMetrics", 2, .scopeMetrics)],
    [.init("attributes", 1, .keyValue)],
    [.init("scope", 1, .scope), .init("metrics", 2, .metric)],
    [.init("name", 1, .text), .init("version", 2, .text), .init("attributes", 3, .keyValue)],
    [
      .init("name", 1, .text), .init("description", 2, .text), .init("unit", 3, .text),
      .init("gauge", 5, .points), .init("sum", 7, .points), .init("histogram", 9, .histogram),
      .init("exponentialHistogram", 10, .exponential), .init("summary", 11, .summary),
    ],
    [
      .init("dataPoints", 1, .numberPoint), .init("aggregationTemporality", 2, .unsigned),
      .init("isMonotonic", 3, .flag),
    ],
    [
      .init("attributes", 7, .keyValue), .init("startTimeUnixNano", 2, .fixed),
      .init("timeUnixNano", 3, .fixed), .init("asDouble", 4, .double),
      .init("asInt", 6, .signedFixed), .init("exemplars", 5, .exemplar),
      .init("flags", 8, .unsigned),
    ],
    [.init("dataPoints", 1, .histogramPoint), .init("aggregationTemporality", 2, .unsigned)],
    [
      .init("attributes", 9, .keyValue), .init("startTimeUnixNano", 2, .fixed),
      .init("timeUnixNano", 3, .fixed), .init("count", 4, .fixed), .init("sum", 5, .double),
      .init("bucketCounts", 6, .fixed), .init("explicitBounds", 7, .double),
      .init("exemplars", 8, .exemplar), .init("flags", 10, .unsigned),
    ],
    [.init("dataPoints", 1, .exponentialPoint), .init("aggregationTemporality", 2, .unsigned)],
    [
      .init("attributes", 1, .keyValue), .init("startTimeUnixNano", 2, .fixed),
      .init("timeUnixNano", 3, .fixed), .init("count", 4, .fixed), .init("sum", 5, .double),
      .init("scale", 6, .zigzag), .init("zeroCount", 7, .fixed), .init("positive", 8, .buckets),
      .init("negative", 9, .buckets), .init("flags", 10, .unsigned),
      .init("exemplars", 11, .exemplar), .init("zeroThreshold", 14, .double),
    ],
    [.init("offset", 1, .zigzag), .init("bucketCounts", 2, .unsigned)],
    [.init("dataPoints", 1, .summaryPoint)],
    [
      .init("attributes", 7, .keyValue), .init("startTimeUnixNano", 2, .fixed),
      .init("timeUnixNano", 3, .fixed), .init("count", 4, .fixed), .init("sum", 5, .double),
      .init("quantileValues", 6, .quantile), .init("flags", 8, .unsigned),
    ],
    [.init("quantile", 1, .double), .init("value", 2, .double)],
    [
      .init("timeUnixNano", 2, .fixed), .init("asDouble", 3, .double),
      .init("asInt", 6, .signedFixed), .init("spanId", 4, .hex), .init("traceId", 5, .hex),
    ],
    [.init("key", 1, .text), .init("value", 2, .anyValue)],
    [
      .init("stringValue", 1, .text), .init("boolValue", 2, .flag),
      .init("intValue", 3, .signed), .init("doubleValue", 4, .double),
      .init("arrayValue", 5, .list), .init("kvlistValue", 6, .keyValues),
      .init("bytesValue", 7, .base64),
    ],
    [.init("values", 1, .anyValue)],
    [.init("values", 1, .keyValue)],
  ]

  /// Whether `bytes` are such a message: known fields have their types, lengths fit, and it is not
  /// too deep. Unknown fields are skipped.
  static func isSound(_ bytes: WireCursor, _ message: OTLPMessage, depth: Int = 0) -> Bool {
    if depth > depthLimit { return false }
    var cursor = bytes
    let fields = fields(of: message)
    while cursor.next() {
      for field in fields where Int(field.number) == cursor.number {
        let wanted = field.kind.wireType
        if cursor.type == wanted {
          if field.message != .none,
            !isSound(cursor.inside, field.message, depth: depth + 1)
          {
            return false
          }
        } else if cursor.type != WireCursor.bytes || !isPacked(cursor.inside, wanted) {
          return false
        }
      }
    }
    return !cursor.isMalformed
  }

  private static func isPacked(_ bytes: WireCursor, _ type: UInt8) -> Bool {
    var cursor = bytes
    if type == WireCursor.fixed { return (cursor.end - cursor.at) % 8 == 0 }
    while !cursor.isAtEnd { _ = cursor.readVarint() }
    return !cursor.isMalformed
  }
}
