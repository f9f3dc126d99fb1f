import Platform

/// Where responses are written: the one output of a loop, shared by all its connections in a turn.
///
/// A responder either sends a response whole (`send`), or writes it in steps:
/// `begin`, any number of `field`, `beginBody`, appends to `buffer`, `end`. The length of a body
/// need not be known: its place is kept open and filled at the end.
///
/// What must stay true: a response starts at `start` and is complete when `isComplete`; nothing
/// before `start` is touched, it belongs to other requests.
public struct ResponseWriter: ~Copyable {
  /// Append a body's bytes here between `beginBody` and `end`; do nothing else with it.
  public var buffer: ByteBuffer
  /// The responder's own number for what the request was about; comes back in `Answer`.
  public var route = Answer.noRoute
  /// The response's status, once it has begun.
  public internal(set) var status = Status.ok

  var date = HTTPDate()
  private(set) var isComplete = false
  private var isHead = false
  private(set) var keepsAlive = true
  private var minorVersion: UInt8 = 1
  private(set) var start = 0
  private var lengthOffset = 0
  private var bodyOffset = 0
  /// Ten columns: more than a body can be; blanks before a value are no part of it.
  private static var lengthColumns: Int { 10 }

  init() { buffer = ByteBuffer(capacity: 64 * 1024) }

  /// Makes ready for the response to a request.
  @inline(__always)
  mutating func prepare(method: Method, keepsAlive: Bool, minorVersion: UInt8) {
    route = Answer.noRoute
    isComplete = false
    isHead = method == .head
    self.keepsAlive = keepsAlive
    self.minorVersion = minorVersion
    start = buffer.count
  }

  /// Closes the connection after this response. Call it before the response is begun.
  public mutating func closeAfterwards() { keepsAlive = false }

  /// Sends a response that was rendered before.
  @inline(__always)
  public mutating func send(_ response: borrowing PreparedResponse) {
    let start = buffer.count
    if keepsAlive && minorVersion == 1 {
      let byteCount = isHead ? response.headByteCount : response.bytes.count
      unsafe buffer.append(response.bytes.span.bytes.extracting(0..<byteCount))
    } else {
      sendWithConnectionField(response)
    }
    date.write(into: &buffer, at: start + response.dateOffset)
    status = response.status
    isComplete = true
  }

  @inline(never)
  private mutating func sendWithConnectionField(_ response: borrowing PreparedResponse) {
    let bytes = unsafe response.bytes.span.bytes
    buffer.append(bytes.extracting(0..<(response.headByteCount - 2)))
    appendConnectionField()
    buffer.append("\r\n")
    if !isHead { buffer.append(bytes.extracting(response.headByteCount..<bytes.byteCount)) }
  }

  /// Sends a response whose body is at hand.
  public mutating func send(_ status: Status, contentType: StaticString, body: RawSpan) {
    begin(status, contentType: contentType)
    beginBody()
    buffer.append(body)
    end()
  }

  /// Sends a response whose body is a text known to the compiler.
  public mutating func send(_ status: Status, contentType: StaticString, body: StaticString) {
    begin(status, contentType: contentType)
    beginBody()
    buffer.append(body)
    end()
  }

  /// Sends a response without a body, such as 202 or 204.
  public mutating func send(_ status: Status) {
    writeStart(status)
    lengthOffset = 0
    // A 204 has no Content-Length (RFC 9110 §8.6).
    if status.code != 204 { buffer.append("Content-Length: 0\r\n") }
    buffer.append("\r\n")
    isComplete = true
  }

  /// Sends a problem document (RFC 9457). `detail` is plain text for a person.
  public mutating func problem(_ status: Status, detail: StaticString) {
    begin(status, contentType: "application/problem+json")
    beginBody()
    buffer.appendProblem(status)
    buffer.appendJSONEscaped(detail)
    buffer.append("\"}")
    end()
  }

  /// Sends a problem document whose detail is made at run time; it allocates.
  public mutating func problem(_ status: Status, detail: String) {
    begin(status, contentType: "application/problem+json")
    beginBody()
    buffer.appendProblem(status)
    for byte in detail.utf8 { buffer.appendJSONEscaped(byte) }
    buffer.append("\"}")
    end()
  }

  /// Starts a response: status line, `Date`, `Content-Type`.
  public mutating func begin(_ status: Status, contentType: StaticString) {
    writeStart(status)
    buffer.append("Content-Type: ")
    buffer.append(contentType)
    buffer.append("\r\n")
  }

  /// Adds a field line. Neither part may hold CR or LF.
  public mutating func field(_ name: StaticString, _ value: StaticString) {
    buffer.append(name)
    buffer.append(": ")
    buffer.append(value)
    buffer.append("\r\n")
  }

  /// Adds a field line. Neither part may hold CR or LF.
  public mutating func field(_ name: StaticString, _ value: RawSpan) {
    buffer.append(name)
    buffer.append(": ")
    buffer.append(value)
    buffer.append("\r\n")
  }

  /// Ends the head and leaves the length open.
  public mutating func beginBody() {
    buffer.append("Content-Length: ")
    lengthOffset = buffer.count
    buffer.append("          \r\n\r\n")
    bodyOffset = buffer.count
  }

  /// The bytes of the body so far.
  public var bodyByteCount: Int { buffer.count - bodyOffset }

  /// Ends the body and fills in its length. An answer to HEAD keeps the length and loses the body.
  public mutating func end() {
    var rest = bodyByteCount
    var offset = lengthOffset + Self.lengthColumns - 1
    repeat {
      buffer.replace(at: offset, with: ASCII.zero + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
      offset -= 1
    } while rest > 0
    if isHead { buffer.truncate(to: bodyOffset) }
    isComplete = true
  }

  private mutating func writeStart(_ status: Status) {
    self.status = status
    buffer.appendStatusLine(status)
    buffer.append("Date: ")
    date.append(to: &buffer)
    buffer.append("\r\n")
    if !keepsAlive || minorVersion == 0 { appendConnectionField() }
  }

  /// RFC 9112 §9.3 and §9.6: said when it is not what the client's version implies.
  private mutating func appendConnectionField() {
    buffer.append(keepsAlive ? "Connection: keep-alive\r\n" : "Connection: close\r\n")
  }

  /// Takes back what was written for the present request.
  mutating func discard() {
    buffer.truncate(to: start)
    isComplete = false
  }

  /// Refuses a request as the server itself does: a problem document, then the end.
  mutating func refuse(_ status: Status, detail: StaticString) {
    discard()
    keepsAlive = false
    problem(status, detail: detail)
  }
}
