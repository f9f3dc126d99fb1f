import SidecarEvents
import SidecarHTTP
import SidecarPlatform

/// The paths of `--otlp`: OTLP over HTTP, for metrics alone. An answer has its request's encoding.
/// https://opentelemetry.io/docs/specs/otlp/#otlphttp
extension Sidecar {
  /// Connections of that listener, as `Request.port` has it.
  static let otlpPort: UInt8 = 1

  func respondOTLP(
    _ request: Request, _ head: RawSpan, _ body: RawSpan, into response: inout ResponseWriter
  ) {
    // As one that was read: see `answered`.
    response.route = 0
    var isProtobuf = false
    var isJSON = false
    if let type = request.field("content-type", in: head) {
      isProtobuf = type.itemValue.equalsIgnoringCase("application/x-protobuf")
      isJSON = type.itemValue.equalsIgnoringCase("application/json")
    }
    let path = head.extracting(request.path)
    guard path.isEqual(to: "/v1/metrics") else {
      return refuse(404, Self.unknown(path), isProtobuf, &response)
    }
    guard request.method == .post else {
      return refuse(405, "POST only", isProtobuf, &response, extraFields: "Allow: POST\r\n")
    }
    guard isProtobuf || isJSON else {
      return refuse(
        415, "the body is application/x-protobuf or application/json", isProtobuf, &response)
    }
    var encoding = OTLPIntake.Encoding.plain
    if let field = request.field("content-encoding", in: head), field.byteCount > 0,
      !field.equalsIgnoringCase("identity")
    {
      guard field.equalsIgnoringCase("gzip") else {
        return refuse(415, "a body is plain or gzip", isProtobuf, &response)
      }
      encoding = .gzip
    }
    guard let otlp else { return refuse(404, "--otlp switches this on", isProtobuf, &response) }
    otlp.mustWait = turn.half != .nothing
    answer(otlp.take(body, isJSON: isJSON, encoding), isProtobuf, &response)
  }

  private func answer(
    _ answer: OTLPAnswer, _ isProtobuf: Bool, _ response: inout ResponseWriter
  ) {
    switch answer {
    case .later:
      otlp?.newest?.isProtobuf = isProtobuf
      otlp?.newest?.ticket = response.postpone()
    case .accepted(let refused, let message):
      accept(refused, message, isProtobuf, &response)
    case .refused(let status, let message):
      refuse(
        status, message, isProtobuf, &response,
        extraFields: status == 503 ? "Retry-After: 1\r\n" : "")
    }
  }

  /// Continues with requests that take several turns, or that wait.
  func continueOTLP(_ now: UInt64, until end: UInt64) {
    guard let otlp else { return }
    while let (task, answer) = otlp.goOn(until: end, mayBegin: !scrapes.isWaiting) {
      if let ticket = task.ticket {
        server?.answer(ticket, now: now) { self.answer(answer, task.isProtobuf, &$0) }
      }
      if Clock.monotonicNanoseconds >= end { break }
    }
    turn.half = otlp.isHalfApplied ? .otlp : .nothing
  }

  /// How long the body of a request there may be.
  func otlpBodyLimit(_ request: Request, _ head: RawSpan) -> Int {
    guard request.method == .post, head.extracting(request.path).isEqual(to: "/v1/metrics"),
      settings.browsers.check(request, head) == .allowed
    else { return 0 }
    return settings.otlp.byteCount
  }

  private static func unknown(_ path: RawSpan) -> StaticString {
    if path.isEqual(to: "/v1/traces") {
      return "only metrics are taken: OTEL_TRACES_EXPORTER=none switches traces off"
    }
    if path.isEqual(to: "/v1/logs") {
      return "only metrics are taken: OTEL_LOGS_EXPORTER=none switches logs off"
    }
    return "the path is /v1/metrics"
  }

  // MARK: Answers

  private static let protobuf: StaticString = "application/x-protobuf"
  private static let json: StaticString = "application/json"

  /// `ExportMetricsServiceResponse`, with `partial_success` where points were refused.
  private func accept(
    _ refused: Int, _ message: String, _ isProtobuf: Bool, _ response: inout ResponseWriter
  ) {
    response.begin(status: 200, contentType: isProtobuf ? Self.protobuf : Self.json)
    if refused > 0 {
      var text = ByteBuffer(capacity: 256)
      text.append(message)
      if isProtobuf {
        var partial = ByteBuffer(capacity: 300)
        Self.append(8, UInt64(refused), &partial)
        Self.append(18, text.bytes, &partial)
        Self.append(10, partial.bytes, &response.buffer)
      } else {
        response.buffer.append("{\"partialSuccess\":{\"rejectedDataPoints\":\"")
        Decimal.append(UInt64(refused), to: &response.buffer)
        response.buffer.append("\",\"errorMessage\":\"")
        OTLPText.appendEscaped(text.bytes, to: &response.buffer)
        response.buffer.append("\"}}")
      }
    } else if !isProtobuf {
      response.buffer.append("{}")
    }
    response.end()
  }

  /// `google.rpc.Status`.
  private func refuse(
    _ status: Int, _ message: StaticString, _ isProtobuf: Bool,
    _ response: inout ResponseWriter, extraFields: StaticString = ""
  ) {
    response.begin(
      status: status, contentType: isProtobuf ? Self.protobuf : Self.json,
      extraFields: extraFields)
    // UNAVAILABLE, NOT_FOUND or INVALID_ARGUMENT.
    let code: UInt64 = status == 503 ? 14 : status == 404 ? 5 : 3
    var text = ByteBuffer(capacity: 128)
    text.append(message)
    noteRefused(text.bytes)
    if isProtobuf {
      Self.append(8, code, &response.buffer)
      Self.append(18, text.bytes, &response.buffer)
    } else {
      response.buffer.append("{\"code\":")
      Decimal.append(code, to: &response.buffer)
      response.buffer.append(",\"message\":\"")
      OTLPText.appendEscaped(text.bytes, to: &response.buffer)
      response.buffer.append("\"}")
    }
    response.end()
  }

  /// Shows a request that was refused whole where refused lines are shown.
  func noteRefused(_ message: RawSpan) {
    processor.refusals.note(other: "otlp_request", "otlp", message)
  }

  private static func append(_ key: UInt8, _ number: UInt64, _ output: inout ByteBuffer) {
    output.append(key)
    ProtobufFields.varint(number, to: &output)
  }

  private static func append(_ key: UInt8, _ bytes: RawSpan, _ output: inout ByteBuffer) {
    append(key, UInt64(bytes.byteCount), &output)
    output.append(bytes)
  }

  // MARK: Connections

  /// Takes connections that wait at the listeners of OTLP.
  func acceptOTLP(_ now: UInt64) {
    for index in sockets.otlp.indices {
      let listener = sockets.otlp[index].raw
      for _ in 0..<64 {
        guard let socket = next(listener, .otlp) else { break }
        server?.take(socket, port: Self.otlpPort, now: now)
      }
    }
  }
}
