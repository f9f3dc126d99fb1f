import SidecarHTTP
import SidecarPlatform

/// Changes between the turns of the loop: one at a time, some work per turn.
///
/// What must stay true: they are applied in the order of arrival; the batch, the writer and the
/// decompressed body are those of `current`; a change is stored before it is answered.
extension PushAPI {
  /// The work per turn, in series: some milliseconds if each is new.
  static let turnWork = 8192
  /// Bytes parsed in the time that a series takes.
  static let unitByteCount = 64

  /// The limit of waiting bodies, in bytes over all of them: four of the longest.
  private var waitingLimit: Int { 4 * settings.limits.bodyByteCount }
  private static let waitingCountLimit = 1024

  /// Whether there is something to do in the next turn.
  var isBusy: Bool {
    current != nil || isExpiring || store.file.move != nil || !turnedAway.isEmpty
  }

  /// Applies a change, or a part of a large one, or lets it wait.
  func make(_ task: PushTask, _ body: RawSpan, _ response: inout ResponseWriter) {
    guard current == nil else { return wait(task, body, &response) }
    var left = Self.turnWork
    begin(task)
    guard let answer = work(task, body, &left) else {
      if !task.isDecoded { plain.append(body) }
      task.ticket = response.postpone()
      current = task
      return
    }
    ended()
    response.begin(status: answer.status, contentType: Self.contentType)
    response.buffer.append(answer.text)
    response.end()
  }

  private static let contentType: StaticString = "text/plain; charset=utf-8"

  private func wait(_ task: PushTask, _ body: RawSpan, _ response: inout ResponseWriter) {
    guard waiting.count < Self.waitingCountLimit,
      waitingByteCount + body.byteCount <= waitingLimit
    else {
      return refuse(Self.tooMany, &response, extraFields: Self.retryField)
    }
    task.body.reserve(body.byteCount)
    task.body.append(body)
    task.since = Clock.monotonicNanoseconds
    waitingByteCount += body.byteCount
    memory?.change(by: body.byteCount)
    task.ticket = response.postpone()
    waiting.append(task)
  }

  private static var tooMany: PushError {
    PushError("too many pushes at once; try again in a second", status: 503)
  }
  private static let retryField: StaticString = "Retry-After: 1\r\n"

  func refuse(
    _ error: PushError, _ response: inout ResponseWriter, extraFields: StaticString = ""
  ) {
    note(counts.refuse(error.status), error.message)
    response.begin(status: error.status, contentType: Self.contentType, extraFields: extraFields)
    response.buffer.append(error.message)
    response.buffer.append("\n")
    response.end()
  }

  /// A turn's work. `answer` is called for each change that is made or refused.
  func goOn(_ answer: (Ticket, Int, String, StaticString) -> Void) {
    while let ticket = turnedAway.popLast() {
      let (status, text) = refused(Self.tooMany)
      answer(ticket, status, text, Self.retryField)
    }
    var left = Self.turnWork
    repeat {
      if current == nil, !waiting.isEmpty { beginNext() }
      guard let task = current else { break }
      guard let made = work(task, RawSpan(), &left) else { return }
      current = nil
      ended()
      if let ticket = task.ticket { answer(ticket, made.status, made.text, "") }
    } while left > 0
    guard current == nil, left > 0 else { return }
    if isExpiring { expire(.now) }
    store.file.goOnMoving(left * PushFile.unitByteCount)
  }

  /// Removes expired groups, as far as a turn allows.
  func expire(_ now: PushMoment) {
    // A change has its own look.
    guard current == nil else { return }
    var left = Self.turnWork
    isExpiring = !store.expire(now.steady, &left)
  }

  private func beginNext() {
    let task = takeWaiting(0)
    begin(task)
    if task.encoding == .plain {
      swap(&plain, &task.body)
      task.phase = .parsing
    }
    current = task
  }

  /// It waits no more: its body is given back, or is that of the current change.
  func takeWaiting(_ index: Int) -> PushTask {
    let task = waiting.remove(at: index)
    waitingByteCount -= task.body.count
    memory?.change(by: -task.body.count)
    return task
  }

  private func begin(_ task: PushTask) {
    plain.removeAll()
    parser = PushParsing()
    if task.kind == .push { batch.begin(task.key, adds: task.options.mode.rule) }
    task.phase = task.encoding == .plain ? .parsing : .decoding
  }

  /// Releases the memory of a large change.
  private func ended() {
    batch.trim()
    store.writer.trim()
    plain.removeAll()
    plain.shrink(to: 64 << 10)
    if waiting.isEmpty { waiting = [] }
  }

  // MARK: The work

  private typealias Answer = (status: Int, text: String)

  /// Continues a task; `nil` if it has to continue later. `body` is the request's, while it is
  /// here.
  private func work(_ task: PushTask, _ body: RawSpan, _ left: inout Int) -> Answer? {
    switch task.kind {
    case .delete:
      left -= store.group(task.key.identity)?.seriesCount ?? 0
      store.delete(task.key.identity)
      counts.deleted += 1
      return (202, "")
    case .wipe: return store.deleteAll(&left) ? (202, "") : nil
    case .push:
      do throws(PushError) {
        guard beginFlight(task, body) else { throw poisoned(task, body) }
        defer { InFlight.end() }
        return try push(task, body, &left)
      } catch {
        let isNoted = task.phase == .applying && !task.options.isDryRun
        guard isNoted else { return refused(error) }
        task.refusal = error
        task.phase = .failing
        return push(failed: task, &left)
      }
    }
  }

  /// Passes the input on: the body as received, or decompressed.
  private func beginFlight(_ task: PushTask, _ body: RawSpan) -> Bool {
    guard task.isDecoded || task.ticket != nil else { return InFlight.begin(body) }
    if !plain.isEmpty { return Self.beginFlight(plain) }
    return Self.beginFlight(task.body)
  }

  private static func beginFlight(_ bytes: borrowing ByteBuffer) -> Bool {
    InFlight.begin(bytes.bytes)
  }

  private func poisoned(_ task: PushTask, _ body: RawSpan) -> PushError {
    if task.phase == .applying { store.abandon() }
    task.phase = .parsing
    Poison.report(body.byteCount > 0 ? body : RawSpan(), "push", log)
    return PushError("this body has ended the sidecar's worker twice in a row", status: 422)
  }

  /// Records a refused push with the sentence of its answer.
  func note(_ reason: StaticString, _ message: String) {
    if reason.utf8CodeUnitCount == 0 { return }
    let text = Array(message.utf8)
    unsafe refusals?.note(other: reason, "http", text.span.bytes)
  }

  private func refused(_ error: PushError) -> Answer {
    note(counts.refuse(error.status), error.message)
    return (error.status, error.message + "\n")
  }

  private func push(
    _ task: PushTask, _ body: RawSpan, _ left: inout Int
  ) throws(PushError) -> Answer? {
    // Checked when it is its turn: the same push may have waited before it.
    let isBefore = task.phase == .decoding || task.phase == .parsing
    if let key = task.pushedKey, isBefore, store.file.has(key) {
      counts.repeated += 1
      return (200, "")
    }
    if task.phase == .decoding {
      try decode(task, body)
      left -= plain.count / Self.unitByteCount
      task.phase = .parsing
    }
    if task.phase == .parsing {
      guard try parse(task, body, &left) else { return nil }
      task.phase = .applying
      store.begin(
        task.key, mode: task.options.mode, timeToLive: task.options.timeToLive, now: .now,
        isDryRun: task.options.isDryRun, pushedKey: task.pushedKey)
    }
    if task.phase == .failing { return push(failed: task, &left) }
    guard try store.goOn(batch, &left) else { return nil }
    guard task.options.isDryRun else {
      counts.applied += 1
      return (200, "")
    }
    return (
      200,
      joined(
        "ok: ", batch.families.count.description, " families, ", batch.metrics.count.description,
        " series\n")
    )
  }

  private func push(failed task: PushTask, _ left: inout Int) -> Answer? {
    guard
      store.fail(task.key, timeToLive: task.options.timeToLive, now: .now, &left)
    else { return nil }
    return refused(task.refusal ?? PushError("the push is refused"))
  }

  /// Decompresses the body.
  private func decode(_ task: PushTask, _ body: RawSpan) throws(PushError) {
    // A waiting task has it; it is not needed afterwards.
    var kept = ByteBuffer(capacity: 16)
    swap(&kept, &task.body)
    if kept.isEmpty {
      try decode(task.encoding, body)
    } else {
      try decode(task.encoding, kept.bytes)
    }
    task.isDecoded = true
  }

  private func decode(_ encoding: PushTask.Encoding, _ body: RawSpan) throws(PushError) {
    let limit = settings.limits.bodyByteCount
    do throws(Inflate.Failure) {
      if encoding == .snappy {
        try Snappy.decode(body, limit: limit, into: &plain)
      } else {
        try Inflate.gunzip(body, limit: limit, into: &plain)
      }
    } catch {
      switch error {
      case .malformed: throw PushError("the body is not what its Content-Encoding says")
      case .tooLarge:
        throw PushError(
          joined("decompressed, the body has more than ", limit.description, " bytes"), status: 413)
      }
    }
  }

  private func parse(
    _ task: PushTask, _ body: RawSpan, _ left: inout Int
  ) throws(PushError) -> Bool {
    guard task.isDecoded || task.ticket != nil else {
      return try parser.goOn(
        body, isProtobuf: task.isProtobuf, into: batch, settings.limits, &left)
    }
    // Moved out temporarily, so that it can be borrowed while this changes.
    var own = ByteBuffer(capacity: 16)
    swap(&own, &plain)
    defer { swap(&own, &plain) }
    return try parser.goOn(
      own.bytes, isProtobuf: task.isProtobuf, into: batch, settings.limits, &left)
  }
}

/// The progress of parsing a body.
struct PushParsing {
  var text = TextParser.Place()
  var protobuf = ProtobufParser.Place()

  /// Continues: about `left` series, which it counts down. Returns whether the body is parsed.
  mutating func goOn(
    _ body: RawSpan, isProtobuf: Bool, into batch: PushBatch, _ limits: PushLimits,
    _ left: inout Int
  ) throws(PushError) -> Bool {
    if isProtobuf {
      return try ProtobufParser.parse(body, &protobuf, into: batch, limits: limits, &left)
    }
    return try TextParser.parse(body, &text, into: batch, limits: limits, &left)
  }
}
