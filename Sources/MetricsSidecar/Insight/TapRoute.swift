import SidecarHTTP
import SidecarPlatform

/// `GET /api/v1/tail?viewer=NUMBER[&rejected=1][&columns=N][&name=GLOB]`: the lines since this
/// viewer's last request, as `tail` shows them. A viewer draws its number at random; `columns` asks
/// for colours.
extension Sidecar {
  func answerTail(_ query: RawSpan, _ response: inout ResponseWriter) {
    var id: UInt64 = 0
    var columns = 0
    var name = "*"
    var isOfRefusals = false
    var start = 0
    while start < query.byteCount {
      let end = query.index(of: "&", from: start)
      let equals = min(query.index(of: "=", from: start), end)
      let key = query.extracting(start..<equals)
      let bytes = NameFilter.decoded(query.extracting(min(equals + 1, end)..<end))
      let value = String(decoding: bytes, as: UTF8.self)
      start = end + 1
      if key.isEqual(to: "viewer") {
        id = UInt64(value) ?? 0
      } else if key.isEqual(to: "columns") {
        columns = Int(value) ?? 0
      } else if key.isEqual(to: "name") {
        name = value
      } else if key.isEqual(to: "rejected") {
        isOfRefusals = value == "1"
      }
    }
    guard id > 0 else {
      return response.problem(status: 400, detail: "viewer=NUMBER, drawn at random, is missing")
    }
    let tap = processor.refusals.tap ?? Tap(processor.refusals)
    let viewer = tap.viewer(
      id, name: name, isOfRefusals: isOfRefusals, columns: columns, now: Clock.monotonicNanoseconds)
    guard let viewer else {
      return response.problem(
        status: 503, detail: "eight viewers look already", extraFields: "Retry-After: 5\r\n")
    }
    processor.tap = tap
    processor.refusals.tap = tap
    response.begin(
      status: 200, contentType: "text/plain; charset=utf-8",
      extraFields: "Cache-Control: no-store\r\n")
    viewer.take(into: &response.buffer)
    response.end()
  }
}
