import CSidecarDashboard
import SidecarHTTP
import SidecarPlatform

/// `GET /` for a browser: one document without outside requests. A policy allows only its script
/// and style, by their hashes, so nothing in a label or a help text can run. It is compressed in
/// the program, and unpacked for each answer: browsers ask once, and memory stays free.
struct Dashboard {
  /// More than the unpacked page has; `Scripts/page` ensures that.
  static let maximumByteCount = 60_000

  /// Words that the script looks for: `push-admin`.
  let flags: StaticString

  func send(into response: inout ResponseWriter) {
    var fields = ByteBuffer(capacity: 512)
    fields.append("Content-Security-Policy: default-src 'none'; ")
    Self.appendPolicy(to: &fields)
    fields.append("; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; ")
    fields.append("frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\n")
    fields.append("Referrer-Policy: no-referrer\r\nCache-Control: no-cache\r\nVary: Accept\r\n")
    response.begin(
      status: 200, contentType: Array("text/html; charset=utf-8".utf8), extraFields: fields.array)
    write(into: &response.buffer)
    response.end()
  }

  /// Appends the document, and before it a comment with the flags.
  func write(into buffer: inout ByteBuffer) {
    buffer.append("<!--")
    buffer.append(flags)
    buffer.append("-->\n")
    let page = unsafe cd_page()
    // Our own bytes, which a test has unpacked. Sound: they live as long as the program.
    unsafe try? Inflate.gunzip(
      RawSpan(_unsafeStart: page.bytes, byteCount: page.count), limit: Self.maximumByteCount,
      into: &buffer)
  }

  /// Appends the policy for the script and the style.
  static func appendPolicy(to fields: inout ByteBuffer) {
    let policy = unsafe cd_policy()
    // Sound: they live as long as the program.
    unsafe fields.append(RawSpan(_unsafeStart: policy.bytes, byteCount: policy.count))
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
