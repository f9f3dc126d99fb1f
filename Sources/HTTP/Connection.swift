import SidecarPlatform

/// One connection as a state machine without sockets: bytes and time in, bytes out.
///
/// What must stay true: answers go out in the order of their requests; after a refusal or the last
/// request nothing more is parsed as a request; an idle connection keeps no bytes; of a chunked
/// body it keeps only the head and the decoded bytes, and of an unwanted body nothing.
public struct Connection: ~Copyable {
  enum Phase {
    /// Between requests, or in the middle of a head.
    case head
    /// The head is here, the body is not.
    case body
    /// A request's answer is postponed; those after it wait.
    case waiting
    /// The last answer is written; further bytes are discarded.
    case closing
  }

  var phase = Phase.head
  /// Bytes received and not used up yet; in the middle of a chunked body only the head.
  var input = ByteBuffer(capacity: 16)
  var scanned = 0
  var request = Request()
  var chunks = ChunkedDecoder()
  var decoded = ByteBuffer(capacity: 16)
  /// The largest allowed size of the decoded body.
  var bodyLimit = 0
  /// Raw bytes of a chunked body so far.
  var chunkedByteCount = 0
  /// The remaining bytes of an unwanted body.
  var unwantedByteCount = 0
  var arrivedAt: UInt64 = 0
  /// As `Request.port` has it.
  var port: UInt8 = 0
  /// The deadline of this phase, in monotonic nanoseconds.
  var deadline: UInt64

  /// We end the connection, not the client, so it may still be sending: a plain close could then
  /// destroy our answer (RFC 9112 §9.6).
  var mustLinger = false
  /// Each answer is the last one of its connection: the server is about to end.
  var isStopping = false
  /// Has one of the places reserved for probes: any other request is refused.
  var isGuest = false
  /// A guest whose request was not a probe's.
  private(set) var isTurnedAway = false

  /// Answers of one connection in one turn: beyond, its next requests wait.
  static var outputLimit: Int { 256 << 10 }

  /// An unwanted body up to this length is skipped and the connection kept.
  static var skippedByteLimit: Int { 64 << 10 }

  init(now: UInt64, limits: HTTPLimits) {
    deadline = now + limits.headMilliseconds * 1_000_000
  }

  /// Whether it is between requests, with nothing of the next one here.
  var isAtRest: Bool { phase == .head && input.isEmpty && unwantedByteCount == 0 }
  /// Whether requests may be waiting among the bytes already read.
  var hasMore = false
  /// The memory that it uses beyond that of an idle connection, in bytes.
  var heldByteCount: Int { input.capacity + decoded.capacity - 32 }

  /// Accepts bytes as they arrive and writes the answers to all complete requests.
  @inline(__always)
  @_optimize(speed)
  mutating func receive<R: Responder>(
    _ bytes: RawSpan, now: UInt64, limits: HTTPLimits, responder: R,
    into response: inout ResponseWriter
  ) {
    if phase == .closing { return }
    if input.isEmpty {
      arrivedAt = now
      take(bytes, now, limits, responder, &response)
    } else if phase == .body, request.isChunked {
      let used = chunkedBody(bytes, now, limits, responder, &response)
      if hasMore {
        input.append(bytes.extracting(used..<bytes.byteCount))
      } else if used < bytes.byteCount, phase != .closing {
        arrivedAt = now
        take(bytes.extracting(used..<bytes.byteCount), now, limits, responder, &response)
      }
    } else {
      // A body of known length gets exactly that much room.
      input.append(bytes, within: bodyEnd)
      resume(now: now, limits: limits, responder: responder, into: &response)
    }
  }

  /// Answers the complete requests in bytes that follow no kept ones, and keeps the rest.
  @inline(__always)
  private mutating func take<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) {
    let used = phase == .waiting ? 0 : process(bytes, now, limits, responder, &response)
    if used < bytes.byteCount, phase != .closing {
      takeSpare(&response)
      input.append(bytes.extracting(used..<keptEnd(used, bytes.byteCount)))
    }
  }

  /// The bytes up to the end of a body of known length; 0 without one.
  private var bodyEnd: Int {
    phase == .body ? request.headByteCount + request.contentLength : 0
  }

  @inline(never)
  private mutating func takeSpare(_ response: inout ResponseWriter) {
    // A chunked body that waits is in `input` already, and this is what follows it.
    if input.isEmpty, bodyEnd > Self.spareByteLeast, bodyEnd <= response.spare.capacity {
      swap(&input, &response.spare)
    }
  }

  @inline(never)
  private static func keepSpare(_ input: inout ByteBuffer, _ response: inout ResponseWriter) {
    if input.isEmpty, input.capacity > max(response.spare.capacity, spareByteLeast),
      input.capacity <= spareByteLimit
    {
      swap(&input, &response.spare)
    }
  }

  /// One buffer for bodies of up to so many bytes is kept for the next one: memory that the kernel
  /// provides page by page, costs more than what most bodies say.
  private static var spareByteLimit: Int { 256 << 10 }
  private static var spareByteLeast: Int { 16 << 10 }

  /// Continues with what is already here.
  mutating func resume<R: Responder>(
    now: UInt64, limits: HTTPLimits, responder: R, into response: inout ResponseWriter
  ) {
    if phase == .waiting { return }
    // Moved out temporarily, so that its bytes can be borrowed while this value changes.
    var input = ByteBuffer(capacity: 16)
    swap(&input, &self.input)
    let used = process(input.bytes, now, limits, responder, &response)
    if phase == .closing {
      return
    }
    // A chunked body that waits for its turn is there already.
    if !self.input.isEmpty {
      return self.input.append(input.bytes.extracting(used..<input.count))
    }
    input.truncate(to: keptEnd(used, input.count))
    input.removeFirst(used)
    Self.keepSpare(&input, &response)
    if input.isEmpty || input.capacity > 4 * input.count + 1024 {
      input.shrink(to: max(input.count, 16))
    }
    swap(&input, &self.input)
  }

  /// Where the bytes end that have to be kept from `start` on.
  private func keptEnd(_ start: Int, _ end: Int) -> Int {
    phase == .body && request.isChunked ? start + request.headByteCount : end
  }

  /// Answers every complete request in `bytes` and returns how many bytes are used up.
  @_optimize(speed)
  private mutating func process<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int {
    let outputStart = response.buffer.count
    var start = 0
    hasMore = false
    while start < bytes.byteCount {
      if unwantedByteCount > 0 {
        start += skip(bytes.byteCount - start, now, limits)
        continue
      }
      if response.buffer.count - outputStart > Self.outputLimit {
        hasMore = true
        return start
      }
      let rest = bytes.extracting(start..<bytes.byteCount)
      guard let used = one(rest, now, limits, responder, &response) else { return start }
      start += used
      if phase == .waiting || hasMore { return start }
      if phase == .closing {
        if start < bytes.byteCount { mustLinger = true }
        return start
      }
      arrivedAt = now
      // Other connections' requests must not wait for all of this one's.
      if start < bytes.byteCount, response.isVisitOver() {
        hasMore = true
        return start
      }
    }
    return start
  }

  /// Skips up to `count` bytes of an unwanted body; returns how many.
  private mutating func skip(_ count: Int, _ now: UInt64, _ limits: HTTPLimits) -> Int {
    let skipped = min(count, unwantedByteCount)
    unwantedByteCount -= skipped
    if unwantedByteCount == 0 { rest(now, limits) }
    return skipped
  }

  /// Answers the first request in `bytes`; `nil` if it is not complete.
  @_optimize(speed)
  private mutating func one<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int? {
    if phase == .head {
      switch RequestParser.parse(bytes, scanned: scanned, limits: limits) {
      case .incomplete(let scanned):
        if self.scanned == 0, !isGuest {
          deadline = arrivedAt + limits.headMilliseconds * 1_000_000
        }
        self.scanned = scanned
        return nil
      case .refused(let refusal):
        refuse(refusal, responder, &response)
        return bytes.byteCount
      case .request(let head):
        scanned = 0
        request = head
        request.arrivedAt = arrivedAt
        request.port = port
        if isGuest, !responder.isProbe(request, head: bytes) {
          isTurnedAway = true
          refuse(.noPlace, responder, &response)
          return bytes.byteCount
        }
        if !request.isChunked && request.contentLength == 0 {
          answer(bytes, RawSpan(), responder, &response)
          rest(now, limits)
          return request.headByteCount
        }
        return beginBody(bytes, now, limits, responder, &response)
      }
    }
    return body(bytes, now, limits, responder, &response)
  }
}
