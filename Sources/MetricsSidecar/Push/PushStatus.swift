import SidecarHTTP
import SidecarPlatform

/// Pushgateway's query API: `GET /api/v1/status`, and everything except `GET /api/v1/metrics`,
/// which `GroupsJSON` writes. https://github.com/prometheus/pushgateway#query-api
extension PushAPI {
  /// Any page may read it, as in Pushgateway.
  static let fieldLines: StaticString =
    """
    Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET, OPTIONS\r\n\
    Access-Control-Allow-Headers: Accept, Authorization, Content-Type, Origin\r\n\
    Access-Control-Expose-Headers: Date\r\nCache-Control: no-cache, no-store, must-revalidate\r\n
    """
  static let fields = unsafe [UInt8](
    UnsafeBufferPointer(start: fieldLines.utf8Start, count: fieldLines.utf8CodeUnitCount))

  /// Answers a request for one of the paths; returns whether it was one.
  func query(_ request: Request, _ path: RawSpan, into response: inout ResponseWriter) -> Bool {
    let isStatus = path.isEqual(to: "/api/v1/status")
    guard isStatus || path.isEqual(to: "/api/v1/metrics") else { return false }
    switch request.method {
    case .get, .head:
      response.begin(status: 200, contentType: "application/json", extraFields: Self.fieldLines)
      response.buffer.append("{\"status\":\"success\",\"data\":")
      appendStatus(to: &response.buffer)
      response.buffer.append("}")
      response.end()
    case .options:
      response.begin(status: 200, contentType: "text/plain", extraFields: Self.fieldLines)
      response.end()
    default:
      response.problem(
        status: 405, detail: "GET and HEAD only", extraFields: "Allow: GET, HEAD, OPTIONS\r\n")
    }
    return true
  }

  private func appendStatus(to page: inout ByteBuffer) {
    page.append("{\"build_information\":{\"version\":\"")
    page.append(Version.number)
    page.append("\"},\"flags\":{")
    for (index, flag) in settings.flags.enumerated() {
      if index > 0 { page.append(",") }
      JSONText.append(flag.name, to: &page)
      page.append(":")
      JSONText.append(flag.value, to: &page)
    }
    page.append("},\"start_time\":\"")
    JSONText.append(time: startSeconds, to: &page)
    page.append("\"}")
  }
}

/// Pieces of JSON (RFC 8259).
enum JSONText {
  static func append(_ text: String, to page: inout ByteBuffer) {
    page.append(UInt8(ascii: "\""))
    for byte in text.utf8 { append(byte, to: &page) }
    page.append(UInt8(ascii: "\""))
  }

  /// A text that the text format has escaped.
  static func append(escaped text: RawSpan, to page: inout ByteBuffer) {
    var plain = ByteBuffer(capacity: text.byteCount + 16)
    Labels.appendUnescaped(text, to: &plain)
    page.append(UInt8(ascii: "\""))
    for index in 0..<plain.count { append(plain.bytes.at(index), to: &page) }
    page.append(UInt8(ascii: "\""))
  }

  /// Labels of the text format as an object.
  static func append(labels: RawSpan, to page: inout ByteBuffer) {
    page.append(UInt8(ascii: "{"))
    var at = 0
    while let label = Labels.next(labels, from: &at) {
      if label.name.lowerBound > 0 { page.append(UInt8(ascii: ",")) }
      append(escaped: labels.extracting(label.name), to: &page)
      page.append(UInt8(ascii: ":"))
      append(escaped: labels.extracting(label.value), to: &page)
    }
    page.append(UInt8(ascii: "}"))
  }

  static func append(_ byte: UInt8, to page: inout ByteBuffer) {
    switch byte {
    case UInt8(ascii: "\""): page.append("\\\"")
    case UInt8(ascii: "\\"): page.append("\\\\")
    case 10: page.append("\\n")
    case 13: page.append("\\r")
    case 9: page.append("\\t")
    case 0..<32:
      page.append("\\u00")
      page.appendHex(byte)
    // Characters that a page could interpret as markup, as in Go's encoder.
    case UInt8(ascii: "<"): page.append("\\u003c")
    case UInt8(ascii: ">"): page.append("\\u003e")
    case UInt8(ascii: "&"): page.append("\\u0026")
    default: page.append(byte)
    }
  }

  /// A number as Go prints it: `3`, `0.5`, `1.7e+09`, `+Inf`.
  static func append(number value: Double, to page: inout ByteBuffer) {
    var text = ByteBuffer(capacity: 32)
    Decimal.append(value, to: &text)
    guard value.isFinite, value != 0 else {
      if value == 0 {
        page.append(value.sign == .minus ? "-0" : "0")
      } else {
        page.append(text.bytes)
      }
      return
    }
    var digits: [UInt8] = []
    var point: Int?
    var exponent = 0
    for (index, byte) in text.array.enumerated() {
      if byte == UInt8(ascii: "e") {
        exponent = Int(String(decoding: text.array[(index + 1)...], as: UTF8.self)) ?? 0
        break
      }
      if byte == UInt8(ascii: ".") { point = digits.count }
      if byte >= 48, byte <= 57 { digits.append(byte) }
    }
    exponent += (point ?? digits.count) - 1
    while digits.first == 48 {
      digits.removeFirst()
      exponent -= 1
    }
    while digits.last == 48 { digits.removeLast() }
    if value < 0 { page.append("-") }
    append(digits, exponent, to: &page)
  }

  /// `digits` with the point after the first, times ten to `exponent`.
  private static func append(_ digits: [UInt8], _ exponent: Int, to page: inout ByteBuffer) {
    if exponent < -4 || exponent >= 6 {
      page.append(digits[0])
      if digits.count > 1 { page.append(".") }
      page.append(Array(digits.dropFirst()))
      page.append(exponent < 0 ? "e-" : "e+")
      if exponent.magnitude < 10 { page.append("0") }
      Decimal.append(UInt64(exponent.magnitude), to: &page)
    } else if exponent < 0 {
      page.append("0.")
      for _ in 1..<(-exponent) { page.append("0") }
      page.append(digits)
    } else {
      for index in 0...exponent { page.append(index < digits.count ? digits[index] : 48) }
      if digits.count > exponent + 1 { page.append(".") }
      page.append(Array(digits.dropFirst(exponent + 1)))
    }
  }

  /// `2026-01-31T09:44:22.123456Z` (RFC 3339).
  static func append(time seconds: Double, to page: inout ByteBuffer) {
    let bounded = min(max(seconds, 0), 253_402_300_799)
    let whole = Int64(bounded)
    let time = CivilTime(unixSeconds: whole)
    append(time.year, 4, to: &page)
    page.append("-")
    append(time.month, 2, to: &page)
    page.append("-")
    append(time.day, 2, to: &page)
    page.append("T")
    append(time.hour, 2, to: &page)
    page.append(":")
    append(time.minute, 2, to: &page)
    page.append(":")
    append(time.second, 2, to: &page)
    page.append(".")
    append(Int((bounded - Double(whole)) * 1_000_000), 6, to: &page)
    page.append("Z")
  }

  private static func append(_ number: Int, _ width: Int, to page: inout ByteBuffer) {
    var scale = 1
    for _ in 1..<width { scale *= 10 }
    while scale > 0 {
      page.append(UInt8(truncatingIfNeeded: 48 + number / scale % 10))
      scale /= 10
    }
  }
}
