import SidecarHTTP
import SidecarPlatform

/// `GET /` for a browser: one document without outside requests. Its only script and style are named
/// by their hashes, so nothing that a label or a help text holds can run. It lies compressed in the
/// program, and is unpacked for each answer: browsers ask once, and memory stays free.
struct Page {
  /// Words of ours that the script looks for: `push-admin`.
  let flags: StaticString

  func send(into response: inout ResponseWriter) {
    var fields = ByteBuffer(capacity: 512)
    fields.append("Content-Security-Policy: default-src 'none'; script-src ")
    fields.append(PageText.scriptHash)
    fields.append("; style-src ")
    fields.append(PageText.styleHash)
    fields.append("; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; ")
    fields.append("frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\n")
    fields.append("Referrer-Policy: no-referrer\r\nCache-Control: no-cache\r\nVary: Accept\r\n")
    response.begin(
      status: 200, contentType: Array("text/html; charset=utf-8".utf8), extraFields: fields.array)
    write(into: &response.buffer)
    response.end()
  }

  /// Appends the document.
  func write(into buffer: inout ByteBuffer) {
    buffer.append(PageText.before)
    buffer.append(flags)
    let words = PageText.words
    let packed = unsafe words.span.bytes.extracting(0..<PageText.packedByteCount)
    // Our own bytes, which a test has unpacked.
    try? Inflate.gunzip(packed, limit: PageText.byteCount, into: &buffer)
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
