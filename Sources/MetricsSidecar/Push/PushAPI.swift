import SidecarHTTP
import SidecarPlatform

/// Pushgateway's API: `PUT`, `POST` and `DELETE` of `/metrics/job/<job>{/<label>/<value>}`.
/// https://github.com/prometheus/pushgateway#api
///
/// A small change is applied and answered at once. A larger one is applied between the turns of the
/// loop (`PushAPI+Turns`), and its answer is postponed; changes that arrive meanwhile wait for it.
final class PushAPI {
  let store: PushStore
  let settings: PushSettings
  var counts = PushCounts()
  /// Damaged files of groups that were set aside since startup, or since the supervisor's.
  let stateResets: UInt64
  let startSeconds = Double(Clock.unixNanoseconds) / 1e9
  var log = Log()
  /// Records refused pushes.
  var refusals: Refusals?
  /// The password file; without one everybody may push.
  var auth: PushAuth?
  /// Requests whose password is not known yet.
  var asked: [AskedPush] = []
  /// A number for the address of the client with a ticket.
  var peer: (Ticket) -> UInt64 = { _ in 0 }
  let batch = PushBatch()
  /// The decompressed body of the current change; empty if it is the request's own.
  var plain = ByteBuffer(capacity: 4096)
  var parser = PushParsing()
  /// The current change, and those that wait for it.
  var current: PushTask?
  var waiting: [PushTask] = []
  var waitingByteCount = 0
  /// What clients hold by all ways in: heads and bodies that wait are part of it.
  var memory: ClientMemory?
  /// Those that were refused because clients held too much, and still need their answer.
  var turnedAway: [Ticket] = []
  /// Groups whose time has come are left over from the last turn.
  var isExpiring = false
  /// Grouping keys of recent paths.
  private var keys: [ByteKey: GroupingKey] = [:]
  private static let keyLimit = 1024
  /// The longest path that is kept with its key.
  private static let keptPathByteCount = 512

  init(store: PushStore, settings: PushSettings, auth: PushAuth? = nil, stateResets: UInt64 = 0) {
    self.stateResets = stateResets
    self.store = store
    self.settings = settings
    self.auth = auth
  }

  /// Answers a request for one of its paths; returns whether it was one.
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

  // MARK: Changes

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
        return make(PushTask(.delete, key), RawSpan(), &response)
      }
      let task = PushTask(.push, key)
      task.options = try PushOptions(
        query: head.extracting(request.query), field: request.field("push-ttl", in: head),
        isPut: request.method == .put, settings)
      if let field = request.field("idempotency-key", in: head) {
        task.pushedKey = try pushedKey(field, key, task.options)
      }
      task.encoding = try encoding(request, head)
      if let type = request.field("content-type", in: head) {
        task.isProtobuf = type.isMetricFamily(needsEncoding: true)
      }
      make(task, body, &response)
    } catch { refuse(error, &response) }
  }

  /// The key of an aggregating push; others may be repeated anyway.
  private func pushedKey(
    _ field: RawSpan, _ group: GroupingKey, _ options: PushOptions
  ) throws(PushError) -> ByteKey? {
    guard options.mode.rule != nil, !options.isDryRun else { return nil }
    let key = SeriesKey.array(field)
    guard !key.isEmpty, key.count <= PushedKeys.byteLimit,
      !key.contains(where: { $0 < 32 || $0 == 127 })
    else { throw PushError("Idempotency-Key is 1 to 255 bytes of printable text") }
    return PushedKeys.record(group.identity, key)
  }

  private func encoding(
    _ request: Request, _ head: RawSpan
  ) throws(PushError) -> PushTask.Encoding {
    guard let encoding = request.field("content-encoding", in: head), encoding.byteCount > 0,
      !encoding.equalsIgnoringCase("identity")
    else { return .plain }
    if encoding.equalsIgnoringCase("snappy") { return .snappy }
    guard encoding.equalsIgnoringCase("gzip") else {
      throw PushError("a body is plain, gzip or snappy", status: 415)
    }
    return .gzip
  }

  private func groupingKey(_ path: RawSpan) throws(PushError) -> GroupingKey {
    guard path.byteCount <= Self.keptPathByteCount else {
      return try GroupingKey(path: path, limits: settings.limits)
    }
    let bytes = ByteKey(SeriesKey.array(path))
    if let known = keys[bytes] { return known }
    let key = try GroupingKey(path: path, limits: settings.limits)
    if keys.count >= Self.keyLimit { keys.removeAll(keepingCapacity: true) }
    keys[bytes] = key
    return key
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
    make(PushTask(.wipe, GroupingKey()), RawSpan(), &response)
  }
}

/// The results of pushes.
struct PushCounts {
  var applied: UInt64 = 0
  var deleted: UInt64 = 0
  /// Answered but not added, since their `Idempotency-Key` was known.
  var repeated: UInt64 = 0
  var malformed: UInt64 = 0
  /// Over `--max-push-size`, by the server's count of its answers.
  var tooLarge: UInt64 = 0
  /// Over `--max-push-groups`, `--max-push-series` or `--max-push-group-size`, or too many at once.
  var limited: UInt64 = 0
  var unauthorized: UInt64 = 0
  /// Skipped since they had killed two workers in a row.
  var poisoned: UInt64 = 0

  /// Counts one; returns the reason to show.
  @discardableResult
  mutating func refuse(_ status: Int) -> StaticString {
    switch status {
    case 401, 429:
      unauthorized += 1
      return "push_unauthorized"
    // By the server's count of its answers.
    case 413: return ""
    case 422:
      poisoned += 1
      return "poisoned"
    case 503, 507:
      limited += 1
      return "push_limited"
    default:
      malformed += 1
      return "push_rejected"
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
