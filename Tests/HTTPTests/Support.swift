import SidecarPlatform

@testable import SidecarHTTP

/// Answers `/`, `/health`, `/echo` and `/big`, and remembers its calls.
final class Recorder: Responder {
  let paths = ["/", "/health", "/echo", "/big", "/silent"]
  let hello = PreparedResponse(
    status: 200, contentType: "application/json", body: Array(#"{"message":"Hello"}"#.utf8))
  let health = PreparedResponse(
    status: 200, contentType: "application/json", body: Array(#"{"health": "ok"}"#.utf8))
  var answers: [Answer] = []
  var bodies: [String] = []
  var bigByteCount = 1_000_000

  func respond(
    to request: Request, head: RawSpan, body: RawSpan, into response: inout ResponseWriter
  ) {
    guard let index = paths.firstIndex(of: text(head.extracting(request.path))) else {
      return response.problem(status: 404, detail: "there is nothing at this path")
    }
    let isRead = request.method == .get || request.method == .head
    guard isRead == (index != 2) else {
      return response.problem(
        status: 405, detail: "another method", extraFields: "Allow: GET, HEAD\r\n")
    }
    response.route = UInt32(index)
    bodies.append(text(body))
    switch index {
    case 0: response.send(hello)
    case 1: response.send(health)
    case 2:
      response.begin(status: 200, contentType: "text/plain")
      response.buffer.append(body)
      response.end()
    case 3:
      response.begin(status: 200, contentType: "text/plain")
      for _ in 0..<bigByteCount { response.buffer.append(0x78) }
      response.end()
    default: break
    }
  }

  func answered(_ answer: Answer) { answers.append(answer) }

  /// Whether only `/echo` wants a body, as in the programs; else every path takes one.
  var skipsBodies = false
  func bodyLimit(of request: Request, head: RawSpan) -> Int {
    skipsBodies && text(head.extracting(request.path)) != "/echo" ? 0 : .max
  }

  func isProbe(_ request: Request, head: RawSpan) -> Bool {
    text(head.extracting(request.path)) == "/health"
  }
}

func text(_ span: RawSpan) -> String {
  var buffer = ByteBuffer()
  buffer.append(span)
  return String(decoding: buffer.array, as: UTF8.self)
}

/// One connection without a socket, and what a client would see of it.
final class Wire {
  let recorder = Recorder()
  var limits = HTTPLimits()
  var machine: Connection
  var response = ResponseWriter()
  var now: UInt64 = 1_000_000_000

  init(_ change: (inout HTTPLimits) -> Void = { _ in }) {
    change(&limits)
    machine = Connection(now: now, limits: limits)
    response.date.update(now: now)
  }

  /// Delivers bytes and returns what is answered.
  @discardableResult
  func send(_ text: String) -> String { send(Array(text.utf8)) }

  @discardableResult
  func send(_ bytes: [UInt8]) -> String {
    machine.receive(
      bytes.span.bytes, now: now, limits: limits, responder: recorder, into: &response)
    return take()
  }

  func resume() -> String {
    machine.resume(now: now, limits: limits, responder: recorder, into: &response)
    return take()
  }

  func timeOut() -> String {
    machine.expire(recorder, into: &response)
    return take()
  }

  func stop() { machine.isStopping = true }
  var isFinished: Bool { machine.phase == .closing }
  var isAtRest: Bool { machine.isAtRest }
  var isPaused: Bool { machine.hasMore }
  var deadline: UInt64 { machine.deadline }
  var heldByteCount: Int { machine.heldByteCount }
  var mustLinger: Bool { machine.mustLinger }
  func beGuest() { machine.beGuest(until: now + 2_000_000_000) }

  private func take() -> String {
    let text = String(decoding: response.buffer.array, as: UTF8.self)
    response.buffer.removeAll()
    return text
  }
}

extension String {
  /// The status of the response that this text starts with.
  var status: Int? { Int(dropFirst(9).prefix(3)) }
  /// What follows the first empty line.
  var body: String {
    let parts = bytesAfterEmptyLine
    return String(decoding: parts, as: UTF8.self)
  }
  private var bytesAfterEmptyLine: ArraySlice<UInt8> {
    let bytes = Array(utf8)
    for index in bytes.indices
    where bytes[index...].starts(with: [13, 10, 13, 10]) { return bytes[(index + 4)...] }
    return []
  }
  func occurrences(of part: String) -> Int {
    let bytes = Array(utf8)
    let wanted = Array(part.utf8)
    return bytes.indices.filter { bytes[$0...].starts(with: wanted) }.count
  }
}
