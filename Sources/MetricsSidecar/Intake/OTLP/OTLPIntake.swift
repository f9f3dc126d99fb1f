import SidecarEvents
import SidecarPlatform

/// Requests of OTLP: parsed completely, then applied completely, in the turn's single commit,
/// before the answer. A long request with new points takes several turns: see `OTLPTask`.
///
/// What must stay true: parsing has no effect, so nothing of a malformed request is kept; a known
/// point of a sum or gauge allocates nothing, and no known point but a summary's consults a rule.
final class OTLPIntake {
  let processor: LineProcessor
  let settings: OTLPSettings
  var registry: Registry { processor.registry }
  var streams: Streams { processor.registry.streams }
  var counts = OTLPCounts()

  // The state of the current request; reused for the next one.
  var metrics: [OTLPMetric] = []
  var points: [OTLPPoint] = []
  var hasDelta = false
  var hasUnknown = false
  /// Whether it is long, and has so much to check that it takes several turns.
  var isLong = false
  var needsTurns = false
  private var resourceCount = 0
  /// The long request whose turn it is, and those that wait: their bodies' bytes.
  var current: OTLPTask?
  var waiting: [OTLPTask] = []
  var waitingByteCount = 0
  /// Whether something is half applied, so that a request has to wait.
  var mustWait = false
  /// What these requests hold is charged here.
  var memory: ClientMemory?
  /// The number of refused points, and why the first one was refused.
  var refusedCount = 0
  var refusal = ""
  /// What has been parsed of the resource and scope around the last new point.
  var names = OTLPIdentity()
  var buckets = OTLPBuckets()
  var exponential = OTLPExponential()
  /// The time of the request, in Unix seconds and milliseconds.
  var nowSeconds: UInt64 = 0
  /// When each family, by its index, had its last point, in Unix seconds: while it has points its
  /// type cannot change.
  var seenFamilies: [UInt64] = []
  /// Resources whose `target_info` is up to date.
  var seenResources: Set<UInt64> = []
  /// The series of `target_info` for each service, by the hash of its name, and
  /// `Registry.removals` when they were looked up.
  var shownResources: [UInt32: UInt32] = [:]
  var shownRemovals: UInt32 = .max
  /// The service of a series' last point, by the digest of its name.
  var services: [UInt32: UInt32] = [:]
  /// What has already been logged.
  private var told: Set<UInt64> = []
  private var plain = ByteBuffer(capacity: 16)
  private var wire = ByteBuffer(capacity: 16)

  init(_ processor: LineProcessor, _ settings: OTLPSettings) {
    self.processor = processor
    self.settings = settings
  }

  enum Encoding { case plain, gzip }

  // MARK: A request

  /// Handles a request's body. Its effect comes with the next commit.
  func take(_ body: RawSpan, isJSON: Bool, _ encoding: Encoding) -> OTLPAnswer {
    guard InFlight.begin(body) else { return poisoned(body) }
    defer {
      InFlight.end()
      trim()
    }
    if encoding == .plain { return take(plain: body, isJSON) }
    var plain = ByteBuffer(capacity: 16)
    swap(&plain, &self.plain)
    defer { swap(&plain, &self.plain) }
    plain.removeAll()
    do throws(Inflate.Failure) {
      try Inflate.gunzip(body, limit: settings.byteCount, into: &plain)
    } catch {
      if error == .tooLarge {
        return refuse(413, "decompressed, the body is longer than --max-otlp-size")
      }
      return refuse(400, "the body is not what its Content-Encoding says")
    }
    return take(plain: plain.bytes, isJSON)
  }

  private func take(plain bytes: RawSpan, _ isJSON: Bool) -> OTLPAnswer {
    guard isJSON else { return take(wire: bytes) }
    var wire = ByteBuffer(capacity: 16)
    swap(&wire, &self.wire)
    defer { swap(&wire, &self.wire) }
    wire.removeAll()
    do throws(OTLPJSON.Failure) {
      try OTLPJSON.rewrite(bytes, limit: settings.byteCount, into: &wire)
    } catch {
      switch error {
      case .tooLarge: return refuse(413, "the request says more than --max-otlp-size allows")
      case .tooDeep: return refuse(400, "the request is nested too deep")
      case .malformed: return refuse(400, "the body is no ExportMetricsServiceRequest in JSON")
      }
    }
    return take(wire: wire.bytes)
  }

  private func take(wire bytes: RawSpan) -> OTLPAnswer {
    if mustWait || current != nil && bytes.byteCount > Self.longByteCount {
      return wait(bytes, isRead: false)
    }
    return take(now: bytes) ?? wait(bytes, isRead: true)
  }

  /// Applies a request, unless it takes several turns.
  func take(now bytes: RawSpan) -> OTLPAnswer? {
    unsafe bytes.withUnsafeBytes { memory in
      let request = unsafe WireCursor(memory)
      if let refusal = read(request) { return refusal }
      if needsTurns { return nil }
      var digest: (UInt64, UInt64) = (0, 0)
      if let answer = begin(bytes, &digest) { return answer }
      applyPoints(request)
      return end(digest)
    }
  }

  /// Before anything is applied, since it cannot be undone later: the answer, where there is no
  /// room, or where it was applied before.
  func begin(_ bytes: RawSpan, _ digest: inout (UInt64, UInt64)) -> OTLPAnswer? {
    nowSeconds = registry.now / 1000
    refusedCount = 0
    refusal = ""
    registry.loss = nil
    if hasUnknown, registry.state.retryGrowth() != nil { return noRoom() }
    do throws(Errno) {
      try streams.begin()
      if hasDelta {
        digest = streams.digest(bytes)
        if let refused = streams.answered(digest) {
          counts.repeated += 1
          return .accepted(refused: Int(refused), refused == 0 ? "" : "as answered before")
        }
        try streams.reserveRequest()
      }
    } catch { return noRoom() }
    return nil
  }

  /// After everything is applied, in the same transaction.
  func end(_ digest: (UInt64, UInt64)) -> OTLPAnswer {
    if hasDelta, streams.keep(digest, refused: refusedCount, now: nowSeconds) {
      tell(
        1,
        "OTLP: more than 4096 requests with deltas came within two minutes: a client that sends "
          + "one again after that is counted twice. Cumulative temporality has no such limit")
    }
    counts.applied += 1
    return .accepted(refused: refusedCount, refusal)
  }

  func poisoned(_ body: RawSpan) -> OTLPAnswer {
    Poison.report(body, "OTLP request", processor.log)
    return refuse(400, "this request has ended the sidecar's worker twice in a row")
  }

  private func noRoom() -> OTLPAnswer {
    refuse(503, "the state file has no room: see the sidecar's log")
  }

  /// Counts a request with an unread body.
  func refuseLong() {
    counts.refused += 1
    var text = ByteBuffer(capacity: 64)
    text.append("a body was longer than --max-otlp-size")
    processor.refusals.note(other: "otlp_request", "otlp", text.bytes)
  }

  func refuse(_ status: Int, _ message: StaticString) -> OTLPAnswer {
    counts.refused += 1
    return .refused(status: status, message)
  }

  /// Releases the memory of a large request.
  func trim() {
    plain.removeAll()
    plain.shrink(to: 64 << 10)
    wire.removeAll()
    wire.shrink(to: 64 << 10)
    if points.capacity > 4096 { points = [] }
    if metrics.capacity > 4096 { metrics = [] }
    metrics.removeAll(keepingCapacity: true)
    points.removeAll(keepingCapacity: true)
  }

  /// Logs once for each `key`.
  func tell(_ key: UInt64, _ message: @autoclosure () -> String) {
    guard told.count < 1000, told.insert(key).inserted else { return }
    processor.log.warning(message())
  }

  // MARK: Reading

  enum ReadFailure: Error { case malformed, tooMany }

  /// Reads a request, or says why it cannot be read.
  private func read(_ request: WireCursor) -> OTLPAnswer? {
    do throws(ReadFailure) { try read(all: request) } catch {
      if error == .tooMany { return refuse(413, "too many points in one request") }
      return malformed()
    }
    return nil
  }

  func malformed() -> OTLPAnswer { refuse(400, "the body is no ExportMetricsServiceRequest") }

  /// Finds all metrics and points, and checks that each known field has its type and each length
  /// fits; the points' own fields are checked later where they take several turns.
  private func read(all request: WireCursor) throws(ReadFailure) {
    metrics.removeAll(keepingCapacity: true)
    points.removeAll(keepingCapacity: true)
    hasDelta = false
    hasUnknown = false
    isLong = request.end > Self.longByteCount
    needsTurns = false
    resourceCount = 0
    var cursor = request
    while cursor.next() {
      guard cursor.number == 1 else { continue }
      try need(cursor, WireCursor.bytes)
      try readResource(cursor.inside)
    }
    if cursor.isMalformed { throw .malformed }
  }

  @inline(__always)
  private func need(_ cursor: WireCursor, _ type: UInt8) throws(ReadFailure) {
    if cursor.type != type { throw .malformed }
  }

  private func readResource(_ message: WireCursor) throws(ReadFailure) {
    resourceCount += 1
    if isLong, resourceCount > Self.resourceLimit { needsTurns = true }
    var metric = OTLPMetric()
    metric.resource = try part(1, of: message, .resource)
    var cursor = message
    while cursor.next() {
      guard cursor.number == 2 else { continue }
      try need(cursor, WireCursor.bytes)
      metric.scope = try part(1, of: cursor.inside, .scope)
      var context = message.hash(metric.resource, registry.lines.key, registry.lines.key.start)
      context = message.hash(metric.scope, registry.lines.key, context)
      var metrics = cursor.inside
      while metrics.next() {
        guard metrics.number == 2 else { continue }
        try need(metrics, WireCursor.bytes)
        metric.context = context
        try readMetric(metrics.inside, metric)
      }
      if metrics.isMalformed { throw .malformed }
    }
    if cursor.isMalformed { throw .malformed }
  }

  /// The last field with that number, a valid message.
  private func part(
    _ number: Int, of message: WireCursor, _ kind: OTLPMessage
  ) throws(ReadFailure) -> Range<Int> {
    var found = message.end..<message.end
    var cursor = message
    while cursor.next() {
      if cursor.number != number { continue }
      try need(cursor, WireCursor.bytes)
      found = cursor.content
      if !OTLPSchema.isSound(cursor.inside, kind, depth: 2) { throw .malformed }
    }
    if cursor.isMalformed { throw .malformed }
    return found
  }

  private func readMetric(_ message: WireCursor, _ around: OTLPMetric) throws(ReadFailure) {
    var metric = around
    var data = message.over(message.end..<message.end)
    var type = 0
    var cursor = message
    while cursor.next() {
      switch cursor.number {
      case 1, 2, 3, 5, 7, 9, 10, 11: try need(cursor, WireCursor.bytes)
      default: continue
      }
      switch cursor.number {
      case 1: metric.name = cursor.content
      case 2: metric.description = cursor.content
      case 3: metric.unit = cursor.content
      default:
        data = cursor.inside
        type = cursor.number
      }
    }
    if cursor.isMalformed { throw .malformed }
    if type == 0 { return }
    metric.kind = try kind(type, data)
    for range in [metric.name, metric.description, metric.unit] {
      metric.context = message.hash(range, registry.lines.key, metric.context)
    }
    metric.context = registry.lines.key.fold(metric.context, UInt64(metric.kind.rawValue))
    metrics.append(metric)
    try readPoints(data, metric)
    if self.points.last?.metric != metrics.count - 1 { metrics.removeLast() }
  }

  @_optimize(speed)
  private func kind(_ type: Int, _ data: WireCursor) throws(ReadFailure) -> OTLPKind {
    var temporality: UInt64 = 0
    var isMonotonic = false
    var cursor = data
    while cursor.advance() {
      guard cursor.number == 2 || cursor.number == 3, type != 5, type != 11 else { continue }
      try need(cursor, WireCursor.varint)
      if cursor.number == 2 { temporality = cursor.bits } else { isMonotonic = cursor.bits != 0 }
    }
    if cursor.isMalformed { throw .malformed }
    if type == 5 { return .gauge }
    if type == 11 { return .summary }
    guard temporality == 1 || temporality == 2 else {
      return type == 7 ? .unknown : type == 9 ? .unknownHistogram : .unknownExponential
    }
    let isDelta = temporality == 1
    switch type {
    case 7: return isMonotonic ? (isDelta ? .deltaSum : .sum) : isDelta ? .deltaLevel : .level
    case 9: return isDelta ? .deltaHistogram : .histogram
    default: return isDelta ? .deltaExponential : .exponential
    }
  }
}

/// The results of requests.
struct OTLPCounts {
  var applied: UInt64 = 0
  var repeated: UInt64 = 0
  var refused: UInt64 = 0
}

/// The message for a client.
enum OTLPAnswer {
  /// It comes later: see `OTLPTask.ticket`.
  case later
  /// This many points were refused, for this reason.
  case accepted(refused: Int, String)
  case refused(status: Int, StaticString)
}

/// The flags of OTLP.
struct OTLPSettings: Sendable {
  /// Where it listens.
  var addresses: [NetworkAddress] = []
  /// Attributes of the resource that become labels of each series.
  var resourceLabels: [[UInt8]] = []
  var hasScopeLabels = false
  var byteCount = 4 << 20

  init() {}

  init(_ options: Options, _ limits: inout Limits) throws(Options.Mistake) {
    byteCount = try options.byteCount("max-otlp-size", in: 1024...(64 << 20))
    hasScopeLabels = try options.flag("otlp-scope-labels")
    var name: [UInt8] = []
    for byte in options.text("otlp-resource-labels").utf8 where byte != UInt8(ascii: " ") {
      if byte != UInt8(ascii: ",") {
        name.append(byte)
      } else if !name.isEmpty {
        resourceLabels.append(name)
        name = []
      }
    }
    if !name.isEmpty { resourceLabels.append(name) }
    limits.otlpStreams = try options.number("max-otlp-streams", in: 1...1_000_000)
    if options.text("otlp").isEmpty { return }
    guard byteCount * 2 <= limits.clientMemoryByteCount else {
      throw options.mistake("max-otlp-size", "is at most half of --max-client-memory")
    }
    limits.otlpByteCount = byteCount
    let address = try options.address("otlp")
    addresses = [address]
    if address.host == "localhost" {
      addresses = [
        NetworkAddress(host: "127.0.0.1", port: address.port),
        NetworkAddress(host: "::1", port: address.port),
      ]
    }
  }
}

extension WireCursor {
  /// Mixes a part of the bytes into a hash.
  func hash(_ range: Range<Int>, _ key: HashKey, _ state: UInt64) -> UInt64 {
    key.fold(state, key.hash(span(range)))
  }
}
