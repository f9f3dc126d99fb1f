import SidecarHTTP
import SidecarPlatform

/// `Accept` and `Accept-Encoding` (RFC 9110 §12.5): the best format that the scraper accepts.
///
/// The largest weight wins, and the first one among equals. Unknown parts are skipped; if nothing
/// is left, the answer is text 0.0.4, as in the official clients: a scraper never gets 406.
enum AcceptField {
  static func shape(_ accept: RawSpan?) -> ExpositionShape {
    guard let accept else { return ExpositionShape() }
    var best = ExpositionShape()
    var bestWeight = 0
    accept.forEachItem { item in
      guard let shape = shape(of: item) else { return }
      let weight = item.itemWeight
      if weight > bestWeight {
        best = shape
        bestWeight = weight
      }
    }
    return best
  }

  /// Whether the answer may be compressed: gzip or `*` is named, and not with a lower weight than
  /// identity.
  static func takesGzip(_ acceptEncoding: RawSpan?) -> Bool {
    guard let acceptEncoding else { return false }
    var gzip = -1
    var other = -1
    var identity = 0
    acceptEncoding.forEachItem { item in
      let name = item.itemValue
      if name.equalsIgnoringCase("gzip") || name.equalsIgnoringCase("x-gzip") {
        gzip = item.itemWeight
      } else if name.equalsIgnoringCase("*") {
        other = item.itemWeight
      } else if name.equalsIgnoringCase("identity") {
        identity = item.itemWeight
      }
    }
    let wish = gzip >= 0 ? gzip : other
    return wish > 0 && wish >= identity
  }

  private static func shape(of item: RawSpan) -> ExpositionShape? {
    let type = item.itemValue
    let version = item.itemParameter("version")
    let format: ExpositionFormat
    if type.equalsIgnoringCase("text/plain") {
      switch version {
      case let version? where version.equalsIgnoringCase("1.0.0"): format = .text100
      case let version? where !version.equalsIgnoringCase("0.0.4"): return nil
      default: format = .text004
      }
    } else if type.equalsIgnoringCase("application/openmetrics-text") {
      switch version {
      case let version? where version.equalsIgnoringCase("0.0.1"): format = .openMetrics001
      case let version? where !version.equalsIgnoringCase("1.0.0"): return nil
      default: format = .openMetrics100
      }
    } else if item.isMetricFamily(needsEncoding: false) {
      format = .protobuf
    } else if type.equalsIgnoringCase("*/*") || type.equalsIgnoringCase("text/*") {
      return ExpositionShape()
    } else {
      return nil
    }
    return ExpositionShape(format: format, escaping: escaping(of: item))
  }

  private static func escaping(of item: RawSpan) -> Escaping? {
    guard let value = item.itemParameter("escaping") else { return nil }
    if value.equalsIgnoringCase("allow-utf-8") { return .allowUTF8 }
    if value.equalsIgnoringCase("underscores") { return .underscores }
    if value.equalsIgnoringCase("dots") { return .dots }
    if value.equalsIgnoringCase("values") { return .values }
    return nil
  }
}

extension RawSpan {
  /// Whether an item is Prometheus' protobuf exposition, `application/vnd.google.protobuf` with
  /// `proto=io.prometheus.client.MetricFamily` and `encoding=delimited`, which an `Accept` may
  /// leave out.
  func isMetricFamily(needsEncoding: Bool) -> Bool {
    guard itemValue.equalsIgnoringCase("application/vnd.google.protobuf"),
      let proto = itemParameter("proto"),
      proto.equalsIgnoringCase("io.prometheus.client.metricfamily")
    else { return false }
    guard let encoding = itemParameter("encoding") else { return !needsEncoding }
    return encoding.equalsIgnoringCase("delimited")
  }
}
