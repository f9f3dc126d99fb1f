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
    forEachItem(of: accept) { item in
      guard let shape = shape(of: item) else { return }
      let weight = weight(of: item)
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
    forEachItem(of: acceptEncoding) { item in
      let name = head(of: item)
      if name.equalsIgnoringCase("gzip") || name.equalsIgnoringCase("x-gzip") {
        gzip = weight(of: item)
      } else if name.equalsIgnoringCase("*") {
        other = weight(of: item)
      } else if name.equalsIgnoringCase("identity") {
        identity = weight(of: item)
      }
    }
    let wish = gzip >= 0 ? gzip : other
    return wish > 0 && wish >= identity
  }

  private static func shape(of item: RawSpan) -> ExpositionShape? {
    let type = head(of: item)
    let version = parameter("version", of: item)
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
    } else if type.equalsIgnoringCase("application/vnd.google.protobuf") {
      guard let proto = parameter("proto", of: item),
        proto.equalsIgnoringCase("io.prometheus.client.metricfamily")
      else { return nil }
      if let encoding = parameter("encoding", of: item), !encoding.equalsIgnoringCase("delimited") {
        return nil
      }
      format = .protobuf
    } else if type.equalsIgnoringCase("*/*") || type.equalsIgnoringCase("text/*") {
      return ExpositionShape()
    } else {
      return nil
    }
    return ExpositionShape(format: format, escaping: escaping(of: item))
  }

  private static func escaping(of item: RawSpan) -> Escaping? {
    guard let value = parameter("escaping", of: item) else { return nil }
    if value.equalsIgnoringCase("allow-utf-8") { return .allowUTF8 }
    if value.equalsIgnoringCase("underscores") { return .underscores }
    if value.equalsIgnoringCase("dots") { return .dots }
    if value.equalsIgnoringCase("values") { return .values }
    return nil
  }

  // MARK: Grammar

  private static func forEachItem(of field: RawSpan, _ body: (RawSpan) -> Void) {
    var start = 0
    while start < field.byteCount {
      let end = field.end(of: UInt8(ascii: ","), from: start)
      let item = field.extracting(start..<end).trimmed
      if item.byteCount > 0 { body(item) }
      start = end + 1
    }
  }

  /// The part before the first `;`.
  @_lifetime(copy item)
  private static func head(of item: RawSpan) -> RawSpan {
    item.extracting(0..<item.end(of: UInt8(ascii: ";"), from: 0)).trimmed
  }

  /// A parameter's value without its quotes; `nil` if it is missing.
  @_lifetime(copy item)
  private static func parameter(_ name: StaticString, of item: RawSpan) -> RawSpan? {
    var start = item.end(of: UInt8(ascii: ";"), from: 0) + 1
    while start < item.byteCount {
      let end = item.end(of: UInt8(ascii: ";"), from: start)
      let part = item.extracting(start..<end)
      let equals = part.end(of: UInt8(ascii: "="), from: 0)
      if equals < part.byteCount, part.extracting(0..<equals).trimmed.equalsIgnoringCase(name) {
        let value = part.extracting(equals + 1..<part.byteCount).trimmed
        if value.byteCount >= 2, value.at(0) == UInt8(ascii: "\""),
          value.at(value.byteCount - 1) == UInt8(ascii: "\"")
        {
          return value.extracting(1..<value.byteCount - 1)
        }
        return value
      }
      start = end + 1
    }
    return nil
  }

  /// `q` in thousandths, RFC 9110 §12.4.2; 1 if it is missing, 0 if it is not a weight.
  private static func weight(of item: RawSpan) -> Int {
    guard let text = parameter("q", of: item) else { return 1000 }
    guard text.byteCount > 0, text.byteCount <= 16 else { return 0 }
    var weight = 0
    var unit = 1000
    for index in 0..<text.byteCount {
      let byte = text.at(index)
      if index == 1 {
        guard byte == UInt8(ascii: ".") else { return 0 }
        continue
      }
      guard byte >= 48, byte <= 57 else { return 0 }
      weight += Int(byte - 48) * unit
      unit /= 10
    }
    return min(weight, 1000)
  }
}

extension RawSpan {
  /// The position of the next `mark` outside quotes, or the end.
  func end(of mark: UInt8, from start: Int) -> Int {
    var index = start
    var isQuoted = false
    while index < byteCount {
      let next = at(index)
      if next == UInt8(ascii: "\"") { isQuoted.toggle() }
      if isQuoted, next == UInt8(ascii: "\\") { index += 1 }
      if !isQuoted, next == mark { return index }
      index += 1
    }
    return byteCount
  }

  /// Without spaces and tabs around it.
  var trimmed: RawSpan {
    @_lifetime(copy self)
    get {
      var start = 0
      var end = byteCount
      while start < end, at(start) == 32 || at(start) == 9 { start += 1 }
      while end > start, at(end - 1) == 32 || at(end - 1) == 9 { end -= 1 }
      return extracting(start..<end)
    }
  }
}
