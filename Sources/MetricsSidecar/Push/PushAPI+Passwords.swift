import SidecarHTTP
import SidecarPlatform

/// A request that waits until its password is known.
struct AskedPush {
  /// Of its password in `PushAuth`.
  let number: Int
  let ticket: Ticket
  let request: Request
  let head: [UInt8]
  let body: [UInt8]
  /// Since when it waits, in monotonic nanoseconds.
  let since: UInt64

  var byteCount: Int { head.count + body.count }
}

/// Authentication of pushes. A request whose password is not known yet waits for its slow hash, a
/// little of which is done each turn; then it is handled as if it had just arrived.
extension PushAPI {
  private static let askedLimit = 256
  /// The limit of bodies that wait for passwords, in bytes over all of them.
  private var askedByteLimit: Int { 4 * settings.limits.bodyByteCount }

  /// Whether the request may change something; otherwise it is answered, or waits.
  func isAllowed(
    _ request: Request, _ head: RawSpan, _ body: RawSpan, _ response: inout ResponseWriter
  ) -> Bool {
    guard auth != nil else { return true }
    let ticket = response.ticket
    switch auth!.check(request.field("authorization", in: head), from: peer(ticket)) {
    case .allowed: return true
    case .refused:
      note(counts.refuse(401), "401: no name and password that --push-auth knows")
      response.problem(
        status: 401, detail: "a name and a password that --push-auth knows are needed",
        extraFields: "WWW-Authenticate: Basic realm=\"push\"\r\n")
    case .waits(let number):
      let byteCount = asked.reduce(head.byteCount + body.byteCount) { $0 + $1.byteCount }
      guard asked.count < Self.askedLimit, byteCount <= askedByteLimit else {
        return tooMany(&response)
      }
      asked.append(
        AskedPush(
          number: number, ticket: response.postpone(), request: request,
          head: SeriesKey.array(head.extracting(0..<request.headByteCount)),
          body: SeriesKey.array(body), since: Clock.monotonicNanoseconds))
      memory?.change(by: asked[asked.count - 1].byteCount)
    case .tooMany: return tooMany(&response)
    }
    return false
  }

  private func tooMany(_ response: inout ResponseWriter) -> Bool {
    note(counts.refuse(429), "429: too many unknown passwords at once")
    response.problem(
      status: 429, detail: "too many unknown passwords; try again in a second",
      extraFields: "Retry-After: 1\r\n")
    return false
  }

  /// Takes the requests that waited for a password.
  func takeAsked(_ number: Int) -> [AskedPush] {
    let found = asked.filter { $0.number == number }
    asked.removeAll { $0.number == number }
    return released(found)
  }

  /// Takes all of them.
  func takeAsked() -> [AskedPush] {
    let found = asked
    asked = []
    return released(found)
  }

  private func released(_ found: [AskedPush]) -> [AskedPush] {
    for each in found { memory?.change(by: -each.byteCount) }
    return found
  }
}
