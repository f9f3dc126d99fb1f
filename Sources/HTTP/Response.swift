import SidecarPlatform

/// An answer whose bytes are known beforehand, except for the date.
public struct PreparedResponse: Sendable {
  /// The status code, 100 to 599.
  public let status: Int
  let head: [UInt8]
  let fields: [UInt8]
  let body: [UInt8]

  /// `extraFields` are whole lines, each with its CRLF.
  public init(
    status: Int, contentType: StaticString, body: [UInt8], extraFields: String = ""
  ) {
    self.status = status
    var head = ByteBuffer()
    head.append("HTTP/1.1 \(status) ")
    head.append(Status.reason(status))
    head.append("\r\nDate: ")
    self.head = head.array
    var fields = ByteBuffer()
    fields.append("\r\nContent-Type: ")
    fields.append(contentType)
    fields.append("\r\nContent-Length: \(body.count)\r\n")
    fields.append(extraFields)
    self.fields = fields.array
    self.body = body
  }
}

/// Where answers are written: one after the other into the bytes that this turn will send.
public struct ResponseWriter: ~Copyable {
  /// The bytes of the turn. A handler appends a body here, between `begin` and `end`.
  public var buffer = ByteBuffer(capacity: 16_384)
  /// The handler's number for the route of this answer, for `Answer.route`.
  public var route = Answer.noRoute
  /// What the responder gets back once this answer has arrived.
  public var receipt: Receipt?
  /// The status of the last answer.
  public private(set) var status = 0
  var date = HTTPDate()
  /// For the next long body, of any connection.
  var spare = ByteBuffer(capacity: 16)
  var isHead = false
  var isKeptAlive = true
  var isHTTP10 = false
  /// The connection being answered.
  public internal(set) var ticket = Ticket(slot: -1, generation: 0)
  var isPostponed = false
  /// Whether a request with a body waits, since others without one come first.
  var postponesBodies = false
  /// When this connection's share of the turn ends, in monotonic nanoseconds.
  var visitEnd = UInt64.max
  /// Prepared answers since the clock was last read; reading it costs as much as several of them.
  private var preparedCount: UInt8 = 0
  private var lengthAt = 0
  private var bodyAt = 0

  init() {}

  /// Whether this connection's share of the turn has ended. Asked after each request.
  mutating func isVisitOver() -> Bool {
    if preparedCount > 0, preparedCount < 16 { return false }
    preparedCount = 0
    return Clock.monotonicNanoseconds >= visitEnd
  }

  /// Answers with bytes known beforehand.
  @inline(__always)
  @_optimize(speed)
  public mutating func send(_ response: borrowing PreparedResponse) {
    status = response.status
    preparedCount &+= 1
    buffer.append(response.head)
    date.append(to: &buffer)
    buffer.append(response.fields)
    endFields()
    if !isHead { buffer.append(response.body) }
  }

  /// Postpones the answer: `Server.answer` gives it by this ticket, in a later call of the loop.
  /// Until then the connection's next requests wait, so that answers keep their order.
  public mutating func postpone() -> Ticket {
    preparedCount = 0
    isPostponed = true
    return ticket
  }

  /// Starts an answer whose body follows in `buffer`; `extraFields` are whole lines.
  public mutating func begin(
    status: Int, contentType: StaticString, extraFields: StaticString = ""
  ) {
    beginFields(status)
    buffer.append(contentType)
    beginLength()
    buffer.append(extraFields)
    endFields()
    bodyAt = buffer.count
  }

  /// The same with fields that are composed at run time.
  public mutating func begin(status: Int, contentType: [UInt8], extraFields: [UInt8]) {
    beginFields(status)
    buffer.append(contentType)
    beginLength()
    buffer.append(extraFields)
    endFields()
    bodyAt = buffer.count
  }

  private mutating func beginFields(_ status: Int) {
    self.status = status
    preparedCount = 0
    buffer.append("HTTP/1.1 ")
    appendNumber(status)
    buffer.append(" ")
    buffer.append(Status.reason(status))
    buffer.append("\r\nDate: ")
    date.append(to: &buffer)
    buffer.append("\r\nContent-Type: ")
  }

  private mutating func beginLength() {
    // The length is not known yet: reserve its place; space before a value is allowed.
    buffer.append("\r\nContent-Length: ")
    lengthAt = buffer.count
    buffer.append("          \r\n")
  }

  /// Ends the body that `begin` has started.
  public mutating func end() {
    setLength(buffer.count - bodyAt)
    if isHead { buffer.truncate(to: bodyAt) }
  }

  mutating func setLength(_ byteCount: Int) {
    var length = byteCount
    var index = lengthAt + 9
    repeat {
      buffer.replace(at: index, with: UInt8(ascii: "0") + UInt8(length % 10))
      length /= 10
      index -= 1
    } while length > 0
  }

  /// An error as `application/problem+json` (RFC 9457).
  public mutating func problem(
    status: Int, detail: StaticString, extraFields: StaticString = ""
  ) {
    begin(status: status, contentType: "application/problem+json", extraFields: extraFields)
    buffer.append("{\"type\":\"about:blank\",\"title\":\"")
    buffer.append(Status.reason(status))
    buffer.append("\",\"status\":")
    appendNumber(status)
    buffer.append(",\"detail\":\"")
    buffer.append(detail)
    buffer.append("\"}")
    end()
  }

  /// A responder that writes nothing is a bug of ours, and the client must not wait for it.
  @inline(never)
  mutating func unanswered() {
    problem(status: 500, detail: "the request was not answered")
  }

  /// A status code: three digits, without a `String`.
  private mutating func appendNumber(_ status: Int) {
    buffer.append(UInt8(truncatingIfNeeded: 48 + status / 100 % 10))
    buffer.append(UInt8(truncatingIfNeeded: 48 + status / 10 % 10))
    buffer.append(UInt8(truncatingIfNeeded: 48 + status % 10))
  }

  @inline(__always)
  private mutating func endFields() {
    if !isKeptAlive {
      buffer.append("Connection: close\r\n\r\n")
    } else if isHTTP10 {
      buffer.append("Connection: keep-alive\r\n\r\n")
    } else {
      buffer.append("\r\n")
    }
  }
}

/// Reason phrases, RFC 9110 §15.
public enum Status {
  /// The phrase for a code that this server sends, or `Unknown`.
  public static func reason(_ status: Int) -> StaticString {
    switch status {
    case 200: "OK"
    case 202: "Accepted"
    case 301: "Moved Permanently"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 417: "Expectation Failed"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    case 507: "Insufficient Storage"
    default: "Unknown"
    }
  }
}
