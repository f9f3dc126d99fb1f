import SidecarPlatform

/// What follows a head. A body of known length is handed out as it lies behind its head; a chunked one
/// is decoded as it comes, and its raw bytes are not kept; one that nobody wants is skipped or ends
/// the connection.
extension Connection {
  /// The head is here and says that a body follows. What can be answered without it is.
  @inline(never)
  mutating func beginBody<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int? {
    bodyLimit = min(limits.bodyByteCount, responder.bodyLimit(of: request, head: bytes))
    if bodyLimit <= 0 || request.contentLength > bodyLimit {
      return answerWithoutBody(bytes, now, limits, responder, &response)
    }
    phase = .body
    deadline = now + limits.bodyMilliseconds * 1_000_000
    if request.expectsContinue, bytes.byteCount == request.headByteCount {
      response.buffer.append("HTTP/1.1 100 Continue\r\n\r\n")
    }
    guard request.isChunked else { return body(bytes, now, limits, responder, &response) }
    chunks = ChunkedDecoder()
    chunkedByteCount = 0
    var index = request.headByteCount
    guard isDecoded(bytes, &index, responder, &response) else {
      return phase == .closing ? bytes.byteCount : nil
    }
    answerChunked(bytes, now, limits, responder, &response)
    return index
  }

  /// Answers from the head alone: the responder, or 413. The body is skipped where it is here already
  /// or short; else nobody waits for it and the connection ends.
  private mutating func answerWithoutBody<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int {
    var end = request.headByteCount + request.contentLength
    var isSkipped = end <= bytes.byteCount
    if request.isChunked {
      end = request.headByteCount
      var chunks = ChunkedDecoder()
      let step = chunks.decode(bytes, from: &end, into: &decoded, limit: .max, keeps: false)
      if step == .malformed {
        refuse(.badRequest("a malformed chunk"), responder, &response)
        return bytes.byteCount
      }
      isSkipped = step == .done
    } else if !isSkipped, !request.expectsContinue,
      request.contentLength <= Self.skippedByteLimit
    {
      isSkipped = true
      unwantedByteCount = end - bytes.byteCount
      end = bytes.byteCount
    }
    if !isSkipped {
      request.isKeptAlive = false
      mustLinger = true
    }
    if bodyLimit > 0 {
      prepare(&response)
      problem(.bodyTooLarge, responder, &response)
      if !request.isKeptAlive { phase = .closing }
    } else {
      answer(bytes, RawSpan(), responder, &response)
    }
    rest(now, limits)
    if unwantedByteCount > 0, phase == .head {
      deadline = now + limits.bodyMilliseconds * 1_000_000
    }
    return isSkipped ? end : bytes.byteCount
  }

  /// Answers a request whose body has a known length; `nil` while it is not here.
  mutating func body<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int? {
    let end = request.headByteCount + request.contentLength
    guard !request.isChunked, bytes.byteCount >= end else { return nil }
    answer(bytes, bytes.extracting(request.headByteCount..<end), responder, &response)
    if phase == .body { phase = .head }
    rest(now, limits)
    return end
  }

  /// Goes on with a chunked body whose head is kept; how many bytes it has used up.
  mutating func chunkedBody<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int {
    var index = 0
    guard isDecoded(bytes, &index, responder, &response) else { return bytes.byteCount }
    var head = ByteBuffer(capacity: 16)
    swap(&head, &input)
    answerChunked(head.bytes, now, limits, responder, &response)
    if phase == .closing, index < bytes.byteCount { mustLinger = true }
    return index
  }

  /// Decodes from `index` on; whether the body is whole. What is wrong is refused.
  private mutating func isDecoded<R: Responder>(
    _ bytes: RawSpan, _ index: inout Int, _ responder: R, _ response: inout ResponseWriter
  ) -> Bool {
    let start = index
    let step = chunks.decode(bytes, from: &index, into: &decoded, limit: bodyLimit)
    chunkedByteCount += index - start
    switch step {
    case .done: return true
    case .malformed: refuse(.badRequest("a malformed chunk"), responder, &response)
    case .tooLarge: refuse(.bodyTooLarge, responder, &response)
    // Chunks of a byte each cost six: what has been taken in is bounded too.
    case .more where chunkedByteCount > bodyLimit * 8 + (1 << 16):
      refuse(.bodyTooLarge, responder, &response)
    case .more: break
    }
    return false
  }

  private mutating func answerChunked<R: Responder>(
    _ head: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) {
    var body = ByteBuffer(capacity: 16)
    swap(&body, &decoded)
    answer(head, body.bytes, responder, &response)
    if phase == .body { phase = .head }
    rest(now, limits)
  }
}
