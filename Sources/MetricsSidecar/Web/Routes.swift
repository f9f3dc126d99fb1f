import SidecarHTTP
import SidecarPlatform

/// The paths of the sidecar's port, each with its handler. A new one is a case here and a function
/// in a file of its own, as an extension of `Sidecar`.
extension Sidecar {
  func respond(
    to request: Request, head: RawSpan, body: RawSpan, into response: inout ResponseWriter
  ) {
    Phase.request.enter()
    guard isAllowed(request, head, &response) else { return }
    if request.port == Self.otlpPort {
      return respondOTLP(request, head, body, into: &response)
    }
    let path = head.extracting(request.path)
    if path.isEqual(to: "/metrics") || path.isEqual(to: "/") {
      guard isRead(request, &response) else { return }
      if path.byteCount == 1, Dashboard.isWanted(request.field("accept", in: head)) {
        return dashboard.send(into: &response)
      }
      scrape(request, head, into: &response)
    } else if path.isEqual(to: "/-/healthy") {
      guard isRead(request, &response) else { return }
      say("healthy\n", &response)
    } else if path.isEqual(to: "/-/ready") {
      guard isRead(request, &response) else { return }
      answerReady(&response)
    } else if path.isEqual(to: "/api/v1/rejected") {
      guard isRead(request, &response) else { return }
      answerRejected(&response)
    } else if path.isEqual(to: "/api/v1/history") {
      guard isRead(request, &response) else { return }
      answerHistory(head.extracting(request.query), &response)
    } else if path.isEqual(to: "/api/v1/rules") {
      guard isRead(request, &response) else { return }
      answerRules(&response)
    } else if path.isEqual(to: "/api/v1/tail") {
      guard isRead(request, &response) else { return }
      answerTail(head.extracting(request.query), &response)
    } else if path.isEqual(to: "/-/reload") {
      answerReload(request, &response)
    } else if push != nil, path.isEqual(to: "/api/v1/metrics"),
      request.method == .get || request.method == .head
    {
      groups(into: &response)
    } else if let push, push.respond(to: request, head: head, body: body, into: &response) {
      // A push, or another of its paths: answered, or its password is checked first.
      expectPasswords(push)
    } else {
      response.problem(
        status: 404,
        detail: "the paths are /metrics, /, /api/v1/rejected, /-/healthy, /-/ready and /-/reload")
    }
  }

  /// Pushes have a body; other requests are answered from the head alone.
  func bodyLimit(of request: Request, head: RawSpan) -> Int {
    if request.port == Self.otlpPort { return otlpBodyLimit(request, head) }
    let isPush =
      push != nil && (request.method == .put || request.method == .post)
      && head.extracting(request.path).starts(with: "/metrics/job")
    guard isPush, settings.browsers.check(request, head) == .allowed else { return 0 }
    return settings.push.limits.bodyByteCount
  }

  func isProbe(_ request: Request, head: RawSpan) -> Bool {
    let path = head.extracting(request.path)
    return path.isEqual(to: "/-/healthy") || path.isEqual(to: "/-/ready")
  }

  /// Counts what is too long here: most is refused before it is known whose it is.
  func answered(_ answer: Answer) {
    guard answer.status == 413 else { return }
    if answer.port == Self.otlpPort {
      if answer.route == Answer.noRoute { otlp?.refuseLong() }
    } else if let push {
      push.counts.tooLarge += 1
      push.note("push_too_large", "a body was longer than --max-push-size")
    }
  }

  /// Whether it may be answered; 403 if a foreign page made a browser send it.
  private func isAllowed(
    _ request: Request, _ head: RawSpan, _ response: inout ResponseWriter
  ) -> Bool {
    switch settings.browsers.check(request, head) {
    case .allowed: return true
    case .foreignOrigin:
      selfMetrics.foreignOriginCount += 1
      response.problem(
        status: 403,
        detail: """
          a page of another origin may not write: Origin has to be this Host, which a proxy in \
          between has to pass on
          """)
    case .unknownHost:
      selfMetrics.unknownHostCount += 1
      response.problem(
        status: 403,
        detail: """
          a browser comes by an address in numbers or localhost: to let it come by this name, add \
          it to --allowed-hosts
          """)
    }
    return false
  }

  /// Whether it is GET or HEAD; answers any other method with 405.
  func isRead(_ request: Request, _ response: inout ResponseWriter) -> Bool {
    if request.method == .get || request.method == .head { return true }
    response.problem(
      status: 405, detail: "GET and HEAD only", extraFields: "Allow: GET, HEAD\r\n")
    return false
  }

  /// Answers with a line of plain text.
  func say(_ text: StaticString, _ response: inout ResponseWriter) {
    response.begin(status: 200, contentType: "text/plain; charset=utf-8")
    response.buffer.append(text)
    response.end()
  }
}
