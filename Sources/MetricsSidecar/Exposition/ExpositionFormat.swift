import SidecarPlatform

/// The format of an exposition, as the scraper asked for it.
enum ExpositionFormat: UInt8, CaseIterable {
  case text004, text100, openMetrics001, openMetrics100, protobuf

  var isOpenMetrics: Bool { self == .openMetrics001 || self == .openMetrics100 }

  /// The media type without `escaping=`.
  var mediaType: StaticString {
    switch self {
    case .text004: "text/plain; version=0.0.4; charset=utf-8"
    case .text100: "text/plain; version=1.0.0; charset=utf-8"
    case .openMetrics001: "application/openmetrics-text; version=0.0.1; charset=utf-8"
    case .openMetrics100: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    case .protobuf:
      "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    }
  }
}

/// How to write names that Prometheus did not always allow.
/// https://prometheus.io/docs/instrumenting/escaping_schemes/
enum Escaping: UInt8, CaseIterable {
  case underscores, dots, values, allowUTF8

  var parameter: StaticString {
    switch self {
    case .underscores: "; escaping=underscores"
    case .dots: "; escaping=dots"
    case .values: "; escaping=values"
    case .allowUTF8: "; escaping=allow-utf-8"
    }
  }
}

/// Format and escaping of one answer.
struct ExpositionShape: Equatable {
  var format = ExpositionFormat.text004
  /// `nil` if the scraper did not ask: underscores, and no parameter in the answer.
  var escaping: Escaping?

  var contentType: [UInt8] {
    var text = ByteBuffer(capacity: 128)
    text.append(format.mediaType)
    if let escaping {
      text.append(escaping.parameter)
    } else if format == .text100 {
      text.append(Escaping.underscores.parameter)
    }
    return text.array
  }
}
