import SidecarHTTP
import SidecarPlatform

/// Pushgateway's API: `PUT`, `POST` and `DELETE` of `/metrics/job/<job>{/<label>/<value>}`.
/// https://github.com/prometheus/pushgateway#api
final class PushAPI {
  let store: PushStore
  let settings: PushSettings
  var counts = PushCounts()
  /// Damaged files of groups that were set aside at the start, or since the supervisor's.
  let stateResets: UInt64
  let startSeconds = Double(Clock.unixNanoseconds) / 1e9
  var log = Log()
  /// Who may push; everybody where there is none.
  var auth: PushAuth?
  /// Requests whose password is not known yet.
  var asked: [AskedPush] = []
  /// A number for the address of the client with a ticket.
  var peer: (Ticket) -> UInt64 = { _ in 0 }
  private let batch = PushBatch()
  private var plain = ByteBuffer(capacity: 4096)
  /// Grouping keys of paths that came lately.
  private var keys: [ByteKey: GroupingKey] = [:]
  private static let keyLimit = 4096
  private static let applied = PreparedResponse(
    status: 200, contentType: "text/plain; charset=utf-8", body: [])
  private static let accepted = PreparedResponse(
    status: 202, contentType: "text/plain; charset=utf-8", body: [])

  init(store: PushStore, settings: PushSettings, auth: PushAuth? = nil, stateResets: UInt64 = 0) {
    self.stateResets = stateResets
    self.store = store
    self.settings = settings
    self.auth = auth
  }

  /// Answers a request for one of its paths; whether it was one.
  func respond(
    to request: Request, head: RawSpan, body: RawSpan, into response: inout ResponseWriter
  ) -> Bool {
    let path = head.extracting(request.path)
    if path.starts(with: "/metrics/job") {
      change(request, path.extracting(12..<path.byteCount), head, body, &response)
    } else if path.isEqual(to: "/api/v1/admin/wipe") {
      wipe(request, head, &response)
    } else if path.isEqual(to: "/-/quit") {
      response.problem(status: 403, detail: "a signal ends the sidecar, no request does")
    } else {
      return query(request, path, into: &response)
    }
    return true
  }

  // MARK: Pushes

  private static let methods: StaticString = "Allow: DELETE, OPTIONS, POST, PUT\r\n"

  private func change(
    _ request: Request, _ path: RawSpan, _ head: RawSpan, _ body: RawSpan,
    _ response: inout ResponseWriter
  ) {
    guard request.method == .put || request.method == .post || request.method == .delete else {
      if request.method == .options {
        response.begin(status: 200, contentType: "text/plain", extraFields: Self.methods)
        return response.end()
      }
      return response.problem(
        status: 405, detail: "PUT, POST and DELETE only", extraFields: Self.methods)
    }
    guard isAllowed(request, head, body, &response) else { return }
    do throws(PushError) {
      let key = try groupingKey(path)
      if request.method == .delete {
        store.delete(key.identity)
        counts.deleted += 1
        return response.send(Self.accepted)
      }
      try push(key, request, head, body, &response)
    } catch { refuse(error, &response) }
  }

  private func push(
    _ key: GroupingKey, _ request: Request, _ head: RawSpan, _ body: RawSpan,
    _ response: inout ResponseWriter
  ) throws(PushError) {
    let options = try PushOptions(
      query: head.extracting(request.query), field: request.field("push-ttl", in: head),
      isPut: request.method == .put, settings)
    guard InFlight.begin(body) else {
      Poison.report(body, "push", log)
      throw PushError("this body has ended the sidecar's worker twice in a row", status: 422)
    }
    defer { InFlight.end() }
    batch.begin(key, adds: options.mode.rule)
    try read(request, head, body)
    let now = Double(Clock.unixNanoseconds) / 1e9
    do throws(PushError) {
      try store.push(
        key, batch, mode: options.mode, timeToLive: options.timeToLive, now: now,
        isDryRun: options.isDryRun)
    } catch {
      if !options.isDryRun { store.fail(key, timeToLive: options.timeToLive, now: now) }
      throw error
    }
    guard options.isDryRun else {
      counts.applied += 1
      return response.send(Self.applied)
    }
    response.begin(status: 200, contentType: "text/plain; charset=utf-8")
    response.buffer.append(
      "ok: \(batch.families.count) families, \(batch.metrics.count) series\n")
    response.end()
  }

  /// Decompresses and parses the body into the batch.
  private func read(
    _ request: Request, _ head: RawSpan, _ body: RawSpan
  ) throws(PushError) {
    guard let encoding = request.field("content-encoding", in: head), encoding.byteCount > 0,
      !encoding.equalsIgnoringCase("identity")
    else { return try parse(request, head, body) }
    let isSnappy = encoding.equalsIgnoringCase("snappy")
    guard isSnappy || encoding.equalsIgnoringCase("gzip") else {
      throw PushError("a body is plain, gzip or snappy", status: 415)
    }
    plain.removeAll()
    plain.shrink(to: 1 << 20)
    do throws(Inflate.Failure) {
      let limit = settings.limits.bodyByteCount
      if isSnappy {
        try Snappy.decode(body, limit: limit, into: &plain)
      } else {
        try Inflate.gunzip(body, limit: limit, into: &plain)
      }
    } catch {
      switch error {
      case .malformed: throw PushError("the body is not what its Content-Encoding says")
      case .tooLarge:
        throw PushError(
          "decompressed, the body has more than \(settings.limits.bodyByteCount) bytes", status: 413
        )
      }
    }
    var body = ByteBuffer(capacity: 16)
    swap(&body, &plain)
    defer { swap(&body, &plain) }
    try parse(request, head, body.bytes)
  }

  private func parse(
    _ request: Request, _ head: RawSpan, _ body: RawSpan
  ) throws(PushError) {
    if let type = request.field("content-type", in: head), MediaType.isProtobuf(type) {
      try ProtobufParser.parse(body, into: batch, limits: settings.limits)
    } else {
      try TextParser.parse(body, into: batch, limits: settings.limits)
    }
  }

  private func groupingKey(_ path: RawSpan) throws(PushError) -> GroupingKey {
    let bytes = ByteKey(SeriesKey.array(path))
    if let known = keys[bytes] { return known }
    let key = try GroupingKey(path: path, limits: settings.limits)
    if keys.count >= Self.keyLimit { keys.removeAll(keepingCapacity: true) }
    keys[bytes] = key
    return key
  }

  private func refuse(_ error: PushError, _ response: inout ResponseWriter) {
    counts.refuse(error.status)
    response.begin(status: error.status, contentType: "text/plain; charset=utf-8")
    response.buffer.append(error.message)
    response.buffer.append("\n")
    response.end()
  }

  // MARK: Administration

  private func wipe(_ request: Request, _ head: RawSpan, _ response: inout ResponseWriter) {
    guard settings.isAdmin else {
      return response.problem(status: 404, detail: "--push-admin switches this on")
    }
    guard request.method == .put else {
      return response.problem(status: 405, detail: "PUT only", extraFields: "Allow: PUT\r\n")
    }
    guard isAllowed(request, head, RawSpan(), &response) else { return }
    store.deleteAll()
    response.send(Self.accepted)
  }
}

/// What became of pushes.
struct PushCounts {
  var applied: UInt64 = 0
  var deleted: UInt64 = 0
  var malformed: UInt64 = 0
  /// Over `--max-push-size`, by the server's count of its answers.
  var tooLarge: UInt64 = 0
  /// Over `--max-push-groups` or `--max-push-series`.
  var limited: UInt64 = 0
  var unauthorized: UInt64 = 0
  /// Left out since they had ended two workers in a row.
  var poisoned: UInt64 = 0

  mutating func refuse(_ status: Int) {
    switch status {
    case 401, 429: unauthorized += 1
    case 413: break
    case 422: poisoned += 1
    case 507: limited += 1
    default: malformed += 1
    }
  }
}

extension RawSpan {
  @inline(__always)
  func starts(with text: StaticString) -> Bool {
    byteCount >= text.utf8CodeUnitCount
      && extracting(0..<text.utf8CodeUnitCount).isEqual(to: text)
  }
}
