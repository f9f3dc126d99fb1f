import SidecarHTTP
import SidecarPlatform

/// A request of OTLP that takes several turns, since it is long and has new points: its points are
/// checked, then prepared, which finds or makes their series and streams; then all of it is applied
/// in one commit. Other clients are read between the turns of the first two.
///
/// What must stay true: before it is applied nothing of it counts. A series or stream that has been
/// made has 0, or the base from which its stream is counted: a worker that is killed leaves these,
/// and the same request finds them. Only what may be done twice is done earlier: gauges are set.
final class OTLPTask {
  enum Phase { case waiting, checking, preparing, applying }

  /// What preparing has found for a point.
  struct Prepared {
    /// Its targets among `targets`.
    var first: UInt32 = 0
    var count: UInt16 = 0
    /// It is applied already, or means nothing.
    var isDone = false
    var refusal: Registry.Rejection?
  }

  var phase = Phase.waiting
  /// The client that waits for the answer.
  var ticket: Ticket?
  var isProtobuf = false
  /// The request in protobuf.
  fileprivate var wire: ByteBuffer
  fileprivate var metrics: [OTLPMetric] = []
  fileprivate var points: [OTLPPoint] = []
  fileprivate var generation: UInt32 = 0
  fileprivate var hasDelta = false
  fileprivate var hasUnknown = false
  fileprivate var digest: (UInt64, UInt64) = (0, 0)
  /// The next point of this phase.
  fileprivate var next = 0
  fileprivate var prepared: [Prepared] = []
  fileprivate var targets: [LineTable.Target] = []
  /// `Registry.removals` when preparing began, and how often it began.
  fileprivate var removals: UInt32 = 0
  fileprivate var attempts = 0

  fileprivate init(_ bytes: RawSpan) {
    wire = ByteBuffer(capacity: bytes.byteCount)
    wire.append(bytes)
  }

  /// How often preparing begins again because others have removed series meanwhile.
  fileprivate static let attemptLimit = 8
}

extension OTLPIntake {
  /// Requests up to this length are applied in one turn.
  static let longByteCount = 128 << 10
  /// Resources of a request that is applied in one turn.
  static let resourceLimit = 1000

  /// Whether a request waits for its turn.
  var isBusy: Bool { current != nil || !waiting.isEmpty }
  /// Whether one is half applied.
  var isHalfApplied: Bool { current?.phase == .applying }
  /// The last request that waits.
  var newest: OTLPTask? { waiting.last ?? current }

  /// Keeps a request: as the current one, if it has just been read, or behind it.
  func wait(_ bytes: RawSpan, isRead: Bool) -> OTLPAnswer {
    guard isRead || waitingByteCount + bytes.byteCount <= settings.byteCount else {
      return refuse(503, "long requests are waiting: try again in a second")
    }
    let task = OTLPTask(bytes)
    memory?.change(by: bytes.byteCount)
    if isRead {
      begin(task)
    } else {
      waitingByteCount += bytes.byteCount
      waiting.append(task)
    }
    return .later
  }

  /// Has `task` be the current request, which has just been read.
  private func begin(_ task: OTLPTask) {
    swap(&task.metrics, &metrics)
    swap(&task.points, &points)
    task.generation = registry.lineGeneration
    task.hasDelta = hasDelta
    task.hasUnknown = hasUnknown
    task.phase = .checking
    current = task
  }

  /// Continues until `end`. Returns a request that is answered. With `mayBegin` the next one may
  /// begin.
  func goOn(until end: UInt64, mayBegin: Bool) -> (task: OTLPTask, answer: OTLPAnswer)? {
    if current == nil, !mayBegin || waiting.isEmpty { return nil }
    let task = current ?? waiting.removeFirst()
    if current == nil { waitingByteCount -= task.wire.count }
    // Moved out, so that it can be borrowed while this changes.
    var wire = ByteBuffer(capacity: 16)
    swap(&wire, &task.wire)
    defer { swap(&wire, &task.wire) }
    let answer = work(task, wire.bytes, until: end)
    guard let answer else { return nil }
    memory?.change(by: -wire.count)
    current = nil
    return (task, answer)
  }

  private func work(_ task: OTLPTask, _ bytes: RawSpan, until end: UInt64) -> OTLPAnswer? {
    guard InFlight.begin(bytes) else { return poisoned(bytes) }
    defer {
      InFlight.end()
      trim()
    }
    if task.phase == .waiting {
      if let answer = take(now: bytes) { return answer }
      begin(task)
    }
    swap(&task.metrics, &metrics)
    swap(&task.points, &points)
    defer {
      swap(&task.metrics, &metrics)
      swap(&task.points, &points)
    }
    names = OTLPIdentity()
    nowSeconds = registry.now / 1000
    return unsafe bytes.withUnsafeBytes { memory in
      let request = unsafe WireCursor(memory)
      if task.phase == .checking {
        guard let isSound = check(task, request, until: end) else { return nil }
        if !isSound { return malformed() }
        if let answer = beginPreparing(task, bytes) { return answer }
      }
      while task.phase == .preparing {
        guard prepare(task, request, until: end) else { return nil }
        if task.removals == registry.removals {
          task.phase = .applying
          break
        }
        // Targets may be gone.
        if task.attempts == OTLPTask.attemptLimit {
          return refuse(503, "series go as fast as they come: try again in a second")
        }
        if let answer = beginPreparing(task, bytes) { return answer }
      }
      return apply(task, request, bytes, until: end)
    }
  }

  /// Whether the points are valid; `nil` while some are left.
  private func check(_ task: OTLPTask, _ request: WireCursor, until end: UInt64) -> Bool? {
    while task.next < points.count {
      let point = points[task.next]
      let metric = metrics[point.metric]
      if !isValid(point, metric),
        !OTLPSchema.isSound(request.over(point.message), metric.kind.point, depth: 5)
      {
        return false
      }
      task.next += 1
      if isOver(task, end) { return nil }
    }
    return true
  }

  private func isOver(_ task: OTLPTask, _ end: UInt64) -> Bool {
    task.next & 15 == 0 && Clock.monotonicNanoseconds >= end
  }

  private func beginPreparing(_ task: OTLPTask, _ bytes: RawSpan) -> OTLPAnswer? {
    hasDelta = task.hasDelta
    hasUnknown = task.hasUnknown
    if let answer = begin(bytes, &task.digest) { return answer }
    task.phase = .preparing
    task.attempts += 1
    task.removals = registry.removals
    task.next = 0
    task.targets.removeAll(keepingCapacity: true)
    if task.prepared.isEmpty {
      task.prepared = [OTLPTask.Prepared](repeating: OTLPTask.Prepared(), count: points.count)
    }
    return nil
  }

  // MARK: Preparing

  /// Finds or makes what the points feed; returns whether that is done.
  private func prepare(_ task: OTLPTask, _ request: WireCursor, until end: UInt64) -> Bool {
    while task.next < points.count {
      let index = task.next
      task.next += 1
      if !task.prepared[index].isDone { prepare(index, task, request) }
      if isOver(task, end) { return false }
    }
    task.next = 0
    return true
  }

  private func prepare(_ index: Int, _ task: OTLPTask, _ request: WireCursor) {
    var point = points[index]
    let metric = metrics[point.metric]
    if registry.lineGeneration != task.generation { point.targets = nil }
    var prepared = OTLPTask.Prepared(first: UInt32(task.targets.count))
    defer { task.prepared[index] = prepared }
    do throws(Registry.Rejection) {
      if metric.kind == .summary {
        if try applySummary(point, metric, request) { applied(metric, request) }
        prepared.isDone = true
        return
      }
      var feed = try feed(point, metric, request)
      if feed.count == 0 || isRepeatable(feed, metric) {
        prepared.isDone = true
        if feed.count > 0 { try add(point, metric, &feed, request) }
        if feed.count > 0 || isEmpty(point, metric) { applied(metric, request) }
      } else {
        seen(feed)
        if feed.stream != 0 { streams.heard(Record(unit: UInt32(feed.stream)), nowSeconds) }
        prepared.count = UInt16(truncatingIfNeeded: feed.count)
        for index in 0..<feed.count { task.targets.append(feed[index]) }
      }
      if feed.count > 0 { showResource(metric, request) }
    } catch {
      prepared.refusal = error
      prepared.isDone = false
    }
  }

  /// Whether a point may be applied twice: it only says what gauges are now.
  private func isRepeatable(_ feed: Feed, _ metric: OTLPMetric) -> Bool {
    if feed.stream != 0 { return false }
    for index in 0..<feed.count {
      let kind = feed[index].kind
      let isSet = metric.kind == .gauge || metric.kind == .level
      guard isSet && kind == .gauge || (isSet || metric.kind == .sum) && kind == .clientGauge
      else { return false }
    }
    return true
  }

  // MARK: Applying

  /// Applies what is prepared; `nil` while some is left: until then nothing may be committed.
  private func apply(
    _ task: OTLPTask, _ request: WireCursor, _ bytes: RawSpan, until end: UInt64
  ) -> OTLPAnswer? {
    if task.next == 0 {
      hasDelta = task.hasDelta
      // The same request may have come and gone meanwhile.
      if let answer = begin(bytes, &task.digest) { return answer }
    }
    while task.next < points.count {
      let index = task.next
      task.next += 1
      if !task.prepared[index].isDone { apply(index, task, request) }
      if isOver(task, end) { return nil }
    }
    return self.end(task.digest)
  }

  private func apply(_ index: Int, _ task: OTLPTask, _ request: WireCursor) {
    let prepared = task.prepared[index]
    var point = points[index]
    let metric = metrics[point.metric]
    do throws(Registry.Rejection) {
      if let refusal = prepared.refusal { throw refusal }
      let first = Int(prepared.first)
      var feed = Feed(fresh: Array(task.targets[first..<first + Int(prepared.count)]))
      if feed.stream != 0, !registry.state.isInUse(Record(unit: UInt32(feed.stream))) {
        // An earlier point of this stream has given it another record.
        point.targets = nil
        feed = try self.feed(point, metric, request)
      } else if metric.kind.point != .numberPoint {
        var shape: UInt32 = 0
        _ = readNumbers(point, metric, request, &shape)
      }
      try add(point, metric, &feed, request)
      applied(metric, request)
    } catch { refuse(error, metric, request) }
  }
}
