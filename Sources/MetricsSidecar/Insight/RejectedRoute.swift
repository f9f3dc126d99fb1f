import SidecarHTTP
import SidecarPlatform

/// `GET /api/v1/rejected`: why something did not count.
///
///     {"rejected":1,"suspicious":0,
///      "reasons":[{"reason":"unknown_type","count":1,"counted":false,"meaning":"There is no …"}],
///      "lines":[{"time":"2026-01-31T09:44:22.123Z","reason":"unknown_type","socket":"statsd",
///                "line":"orders:1|x","times":1,"count":1}]}
///
/// `count` is for that reason since startup; `times` for that line in a row. The newest line comes
/// first. `counted` marks reasons whose lines count all the same. At most some 40 KB, in one slice.
extension Sidecar {
  func answerRejected(_ response: inout ResponseWriter) {
    beginJSON(&response)
    let rejected = RejectedText(processor)
    rejected.append(to: &response.buffer)
    response.end()
  }
}

/// The refused lines so far, as JSON.
struct RejectedText {
  private var reasons: [(name: StaticString, count: UInt64, isCounted: Bool)] = []
  private let refusals: Refusals

  init(_ processor: LineProcessor) {
    refusals = processor.refusals
    var reasons: [(name: StaticString, count: UInt64, isCounted: Bool)] = []
    processor.eachRefusal { reason, count in if count > 0 { reasons.append((reason, count, false)) }
    }
    for other in refusals.others { reasons.append((other.reason, other.count, false)) }
    processor.eachSuspicion { reason, count in
      if count > 0 { reasons.append((reason, count, true)) }
    }
    self.reasons = reasons
  }

  func append(to page: inout ByteBuffer) {
    page.append("{\"rejected\":")
    append(reasons.reduce(0) { $0 + ($1.isCounted ? 0 : $1.count) }, &page)
    page.append(",\"suspicious\":")
    append(reasons.reduce(0) { $0 + ($1.isCounted ? $1.count : 0) }, &page)
    page.append(",\"reasons\":[")
    for (index, reason) in reasons.enumerated() {
      page.append(index > 0 ? ",\n{\"reason\":\"" : "\n{\"reason\":\"")
      page.append(reason.name)
      page.append("\",\"count\":")
      append(reason.count, &page)
      page.append(reason.isCounted ? ",\"counted\":true" : ",\"counted\":false")
      page.append(",\"meaning\":")
      JSONText.append(RefusalWords.words(reason.name).description, to: &page)
      page.append("}")
    }
    page.append("],\"lines\":[")
    // A buffer cannot be changed and passed to a closure at the same time.
    var lines = ByteBuffer(capacity: 16_384)
    refusals.forEach { entry, line in append(entry, line, to: &lines) }
    page.append(lines.bytes)
    page.append("]}\n")
  }

  private func append(
    _ entry: Refusals.Entry, _ line: RawSpan, to page: inout ByteBuffer
  ) {
    page.append(page.isEmpty ? "\n{\"time\":\"" : ",\n{\"time\":\"")
    CivilTime.append(unixNanoseconds: entry.time, to: &page)
    page.append("\",\"reason\":\"")
    page.append(entry.reason)
    page.append("\",\"socket\":\"")
    page.append(entry.socket)
    page.append("\",\"line\":")
    JSONText.append(String(decoding: SeriesKey.array(line), as: UTF8.self), to: &page)
    if entry.isCut { page.append(",\"cut\":true") }
    page.append(",\"times\":")
    append(entry.repeats, &page)
    page.append(",\"count\":")
    append(reasons.first { Refusals.isSame($0.name, entry.reason) }?.count ?? entry.repeats, &page)
    page.append("}")
  }

  private func append(_ number: UInt64, _ page: inout ByteBuffer) {
    Decimal.append(number, to: &page)
  }
}

extension JSONText {
  /// Part of a text, without its quotes.
  static func append(inQuotes text: RawSpan, to page: inout ByteBuffer) {
    for index in 0..<text.byteCount { append(text.at(index), to: &page) }
  }
}

extension CivilTime {
  /// `2026-01-31T09:44:22.123Z`.
  static func append(unixNanoseconds: UInt64, to page: inout ByteBuffer) {
    let time = CivilTime(unixSeconds: Int64(unixNanoseconds / 1_000_000_000))
    append(time.year, 4, "-", &page)
    append(time.month, 2, "-", &page)
    append(time.day, 2, "T", &page)
    append(time.hour, 2, ":", &page)
    append(time.minute, 2, ":", &page)
    append(time.second, 2, ".", &page)
    append(Int(unixNanoseconds / 1_000_000 % 1000), 3, "Z", &page)
  }

  private static func append(
    _ number: Int, _ digits: Int, _ mark: Unicode.Scalar, _ page: inout ByteBuffer
  ) {
    var divisor = 1
    for _ in 1..<digits { divisor *= 10 }
    while divisor > 0 {
      page.append(UInt8(truncatingIfNeeded: 48 + number / divisor % 10))
      divisor /= 10
    }
    page.append(UInt8(ascii: mark))
  }
}
