import SidecarPlatform

/// One connection's life as a machine without sockets: bytes and time in, bytes out.
///
/// What must stay true: answers go out in the order of their requests; after a refusal or the last
/// request nothing more is read as one; a connection at rest keeps no bytes.
public struct Connection: ~Copyable {
  enum Phase {
    /// Between requests, or in the middle of a head.
    case head
    /// The head is here, the body is not.
    case body
    /// A request's answer is postponed; those after it wait.
    case waiting
    /// The last answer is written; what else comes is thrown away.
    case closing
  }

  private(set) var phase = Phase.head
  /// Bytes that came and are not used up yet.
  private var input = ByteBuffer(capacity: 16)
  private var scanned = 0
  private var request = Request()
  private var chunks = ChunkedDecoder()
  private var decoded = ByteBuffer(capacity: 16)
  private var bodyIndex = 0
  private var arrivedAt: UInt64 = 0
  /// When this phase has lasted too long, in monotonic nanoseconds.
  private(set) var deadline: UInt64

  /// The end is ours, not the client's wish, so it may still be sending: a plain close could then
  /// take our answer with it (RFC 9112 §9.6).
  private(set) var mustLinger = false
  /// Each answer is the last one of its connection: the server is about to end.
  var isStopping = false

  /// Answers of one connection in one turn: beyond, its next requests wait.
  static var outputLimit: Int { 256 << 10 }

  init(now: UInt64, limits: HTTPLimits) {
    deadline = now + limits.headMilliseconds * 1_000_000
  }

  /// Whether it is between requests, with nothing of the next one here.
  var isAtRest: Bool { phase == .head && input.isEmpty }
  /// Whether requests may be waiting in what has already been read.
  private(set) var hasMore = false

  /// Takes bytes as they came and writes the answers to all requests that are whole.
  @inline(__always)
  mutating func receive<R: Responder>(
    _ bytes: RawSpan, now: UInt64, limits: HTTPLimits, responder: R,
    into response: inout ResponseWriter
  ) {
    if phase == .closing { return }
    if input.isEmpty {
      arrivedAt = now
      let used = process(bytes, now, limits, responder, &response)
      if used < bytes.byteCount, phase != .closing {
        input.append(bytes.extracting(used..<bytes.byteCount))
      }
    } else {
      input.append(bytes)
      resume(now: now, limits: limits, responder: responder, into: &response)
    }
  }

  /// Goes on with what is already here.
  mutating func resume<R: Responder>(
    now: UInt64, limits: HTTPLimits, responder: R, into response: inout ResponseWriter
  ) {
    // Moved out for the time being, so that its bytes can be borrowed while this value changes.
    var input = ByteBuffer(capacity: 16)
    swap(&input, &self.input)
    let used = process(input.bytes, now, limits, responder, &response)
    if phase == .closing {
      return
    }
    input.removeFirst(used)
    if input.isEmpty { input.shrink(to: 16) }
    swap(&input, &self.input)
  }

  /// Answers every whole request in `bytes` and says how many bytes are used up.
  private mutating func process<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int {
    let outputStart = response.buffer.count
    var start = 0
    hasMore = false
    while start < bytes.byteCount || phase == .body {
      if response.buffer.count - outputStart > Self.outputLimit {
        hasMore = true
        return start
      }
      let rest = bytes.extracting(start..<bytes.byteCount)
      guard let used = one(rest, now, limits, responder, &response) else { return start }
      start += used
      if phase == .waiting { return start }
      if phase == .closing {
        if start < bytes.byteCount { mustLinger = true }
        return start
      }
      arrivedAt = now
    }
    return start
  }

  /// Answers the first request in `bytes`; `nil` when it is not whole.
  private mutating func one<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int? {
    if phase == .head {
      switch RequestParser.parse(bytes, scanned: scanned, limits: limits) {
      case .incomplete(let scanned):
        if self.scanned == 0 { deadline = arrivedAt + limits.headMilliseconds * 1_000_000 }
        self.scanned = scanned
        return nil
      case .refused(let refusal):
        refuse(refusal, responder, &response)
        return bytes.byteCount
      case .request(let head):
        scanned = 0
        request = head
        request.arrivedAt = arrivedAt
        if request.contentLength > limits.bodyByteCount {
          refuse(.bodyTooLarge, responder, &response)
          return bytes.byteCount
        }
        if !request.isChunked && request.contentLength == 0 {
          answer(bytes, RawSpan(), responder, &response)
          rest(now, limits)
          return request.headByteCount
        }
        phase = .body
        deadline = now + limits.bodyMilliseconds * 1_000_000
        bodyIndex = request.headByteCount
        chunks = ChunkedDecoder()
        if request.expectsContinue, bytes.byteCount == request.headByteCount {
          response.buffer.append("HTTP/1.1 100 Continue\r\n\r\n")
        }
      }
    }
    return body(bytes, now, limits, responder, &response)
  }

  private mutating func body<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int? {
    let end: Int
    if request.isChunked {
      let step = chunks.decode(bytes, from: &bodyIndex, into: &decoded, limit: limits.bodyByteCount)
      // Chunks of a byte each cost six: what has been taken in is bounded too.
      if step == .tooLarge || step == .more && bodyIndex > limits.bodyByteCount * 8 + (1 << 16) {
        refuse(.bodyTooLarge, responder, &response)
        return bytes.byteCount
      }
      if step == .malformed {
        refuse(.badRequest("a malformed chunk"), responder, &response)
        return bytes.byteCount
      }
      guard step == .done else { return nil }
      end = bodyIndex
      var body = ByteBuffer(capacity: 16)
      swap(&body, &decoded)
      answer(bytes, body.bytes, responder, &response)
    } else {
      end = request.headByteCount + request.contentLength
      guard bytes.byteCount >= end else { return nil }
      answer(bytes, bytes.extracting(request.headByteCount..<end), responder, &response)
    }
    if phase == .body { phase = .head }
    rest(now, limits)
    return end
  }

  /// A request is done with. One that waits for its answer has no deadline: that is the responder's.
  @inline(__always)
  private mutating func rest(_ now: UInt64, _ limits: HTTPLimits) {
    deadline = phase == .waiting ? .max : now + limits.idleMilliseconds * 1_000_000
  }

  @inline(__always)
  private mutating func answer<R: Responder>(
    _ bytes: RawSpan, _ body: RawSpan, _ responder: R, _ response: inout ResponseWriter
  ) {
    prepare(&response)
    response.route = Answer.noRoute
    response.isPostponed = false
    let start = response.buffer.count
    responder.respond(to: request, head: bytes, body: body, into: &response)
    if response.isPostponed, response.buffer.count == start {
      request.route = response.route
      phase = .waiting
      return
    }
    if response.buffer.count == start { response.unanswered() }
    responder.answered(
      Answer(
        route: response.route, method: request.method, status: response.status,
        arrivedAt: request.arrivedAt))
    if !request.isKeptAlive { phase = .closing }
  }

  /// Has the writer answer as this request asks for.
  @inline(__always)
  private mutating func prepare(_ response: inout ResponseWriter) {
    if isStopping && request.isKeptAlive {
      request.isKeptAlive = false
      mustLinger = true
    }
    response.isHead = request.method == .head
    response.isKeptAlive = request.isKeptAlive
    response.isHTTP10 = request.isHTTP10
  }

  /// Writes the head of an answer that was postponed. Whether its body is to be sent.
  mutating func answer<R: Responder>(
    _ head: PostponedHead, bodyByteCount: Int, now: UInt64, limits: HTTPLimits, responder: R,
    into response: inout ResponseWriter
  ) -> Bool {
    prepare(&response)
    response.begin(
      status: head.status, contentType: head.contentType, extraFields: head.extraFields)
    response.setLength(bodyByteCount)
    responder.answered(
      Answer(
        route: request.route, method: request.method, status: head.status,
        arrivedAt: request.arrivedAt))
    phase = request.isKeptAlive ? .head : .closing
    if phase == .closing, !input.isEmpty { mustLinger = true }
    hasMore = phase == .head && !input.isEmpty
    arrivedAt = now
    rest(now, limits)
    return !response.isHead
  }

  /// Answers with an error of ours and takes no more requests: where one was not understood, nobody
  /// knows where the next one starts.
  private mutating func refuse<R: Responder>(
    _ refusal: Refusal, _ responder: R, _ response: inout ResponseWriter
  ) {
    response.isHead = false
    response.isKeptAlive = false
    response.isHTTP10 = false
    response.problem(status: refusal.status, detail: refusal.detail)
    responder.answered(
      Answer(
        route: Answer.noRoute, method: request.method, status: refusal.status,
        arrivedAt: arrivedAt))
    phase = .closing
    mustLinger = true
  }

  /// The deadline has passed: a request that has begun is answered with 408, one at rest with nothing.
  mutating func expire<R: Responder>(_ responder: R, into response: inout ResponseWriter) {
    if !isAtRest, phase != .closing { refuse(.timedOut, responder, &response) }
    phase = .closing
  }

  /// Takes no more requests after what is written.
  mutating func close() { phase = .closing }
}
