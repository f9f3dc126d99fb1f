import SidecarPlatform

/// Answers, and what follows them.
extension Connection {
  /// A request is finished. If its answer is postponed, there is no deadline: that is the
  /// responder's.
  @inline(__always)
  mutating func rest(_ now: UInt64, _ limits: HTTPLimits) {
    let idle = port == 0 ? limits.idleMilliseconds : limits.takenIdleMilliseconds
    deadline = phase == .waiting ? .max : now + idle * 1_000_000
  }

  @inline(__always)
  @_optimize(speed)
  mutating func answer<R: Responder>(
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
        arrivedAt: request.arrivedAt, port: port))
    if !request.isKeptAlive { phase = .closing }
  }

  /// Prepares the writer for this request's protocol version and method.
  @inline(__always)
  mutating func prepare(_ response: inout ResponseWriter) {
    if isStopping || isGuest, request.isKeptAlive {
      request.isKeptAlive = false
      mustLinger = true
    }
    response.isHead = request.method == .head
    response.isKeptAlive = request.isKeptAlive
    response.isHTTP10 = request.isHTTP10
  }

  /// Writes the head of a postponed answer. Returns whether its body is to be sent.
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
        arrivedAt: request.arrivedAt, port: port))
    isAnswered(now, limits)
    return !response.isHead
  }

  /// Calls `write` to answer the postponed request; it may postpone it again.
  mutating func answer<R: Responder>(
    now: UInt64, limits: HTTPLimits, responder: R, into response: inout ResponseWriter,
    _ write: (inout ResponseWriter) -> Void
  ) {
    prepare(&response)
    response.route = request.route
    response.isPostponed = false
    let start = response.buffer.count
    write(&response)
    if response.isPostponed, response.buffer.count == start { return }
    if response.buffer.count == start { response.unanswered() }
    responder.answered(
      Answer(
        route: response.route, method: request.method, status: response.status,
        arrivedAt: request.arrivedAt, port: port))
    isAnswered(now, limits)
  }

  /// The postponed request has its answer: continues with what follows it.
  @_optimize(speed)
  mutating func isAnswered(_ now: UInt64, _ limits: HTTPLimits) {
    phase = request.isKeptAlive ? .head : .closing
    if phase == .closing, !input.isEmpty { mustLinger = true }
    hasMore = phase == .head && !input.isEmpty
    arrivedAt = now
    rest(now, limits)
  }

  /// Answers with an error of ours and accepts no more requests: after one that was not understood,
  /// nobody knows where the next one starts.
  mutating func refuse<R: Responder>(
    _ refusal: Refusal, _ responder: R, _ response: inout ResponseWriter
  ) {
    response.isHead = false
    response.isKeptAlive = false
    response.isHTTP10 = false
    problem(refusal, responder, &response)
    phase = .closing
    mustLinger = true
    input = ByteBuffer(capacity: 16)
    decoded = ByteBuffer(capacity: 16)
  }

  func problem<R: Responder>(
    _ refusal: Refusal, _ responder: R, _ response: inout ResponseWriter
  ) {
    response.problem(status: refusal.status, detail: refusal.detail)
    responder.answered(
      Answer(
        route: Answer.noRoute, method: request.method, status: refusal.status,
        arrivedAt: arrivedAt, port: port))
  }

  /// The deadline has passed: an unfinished request gets 408; an idle connection, or one that has
  /// its answer already, gets nothing.
  mutating func expire<R: Responder>(_ responder: R, into response: inout ResponseWriter) {
    if !isAtRest, unwantedByteCount == 0, phase != .closing {
      refuse(.timedOut, responder, &response)
    }
    phase = .closing
  }

  /// Accepts no more requests after what is written.
  mutating func close() { phase = .closing }

  /// Takes a place reserved for probes, until `deadline` at the latest.
  mutating func beGuest(until deadline: UInt64) {
    isGuest = true
    self.deadline = deadline
  }
}
