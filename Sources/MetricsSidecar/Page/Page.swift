import HTTP
import Platform

/// `GET /` for a browser: one document without outside requests. Its only script and style are named
/// by their hashes, so nothing that a label or a help text holds can run.
struct Page {
  let answer: PreparedResponse

  /// `flags` are words of ours that the script looks for: `push-admin`.
  init(flags: StaticString = "") {
    var body = ByteBuffer(capacity: 60_000)
    body.append(PageText.before)
    body.append(flags)
    body.append(PageText.after)
    answer = PreparedResponse(
      status: 200, contentType: "text/html; charset=utf-8", body: body.array,
      extraFields:
        "Content-Security-Policy: default-src 'none'; script-src \(PageText.scriptHash); "
        + "style-src \(PageText.styleHash); connect-src 'self'; img-src data:; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'\r\n"
        + "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
        + "Cache-Control: no-cache\r\nVary: Accept\r\n")
  }

  /// Whether `Accept` names `text/html`, as browsers do first and scrapers never do.
  static func isWanted(_ accept: RawSpan?) -> Bool {
    guard let accept else { return false }
    let wanted: StaticString = "text/html"
    let count = wanted.utf8CodeUnitCount
    var start = 0
    // At the start of an item, and its whole type.
    while start + count <= accept.byteCount {
      if accept.extracting(start..<start + count).isEqual(to: wanted) {
        return start + count == accept.byteCount
          || !isTypeByte(accept.extracting(start + count..<start + count + 1))
      }
      while start < accept.byteCount, !accept.extracting(start..<start + 1).isEqual(to: ",") {
        start += 1
      }
      start += 1
      while start < accept.byteCount, accept.extracting(start..<start + 1).isEqual(to: " ") {
        start += 1
      }
    }
    return false
  }

  private static func isTypeByte(_ byte: RawSpan) -> Bool {
    !byte.isEqual(to: ",") && !byte.isEqual(to: ";") && !byte.isEqual(to: " ")
  }
}
