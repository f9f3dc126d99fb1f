import SidecarPlatform

/// What follows a head. A body of known length is handed out where it is, after its head; a chunked
/// one is decoded as it arrives, and its raw bytes are not kept; an unwanted one is skipped or ends
/// the connection.
extension Connection {
  /// The head is here and announces a body. Answers now if the body is not needed.
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
    if response.postponesBodies {
      input.append(bytes.extracting(0..<request.headByteCount))
      keepDecoded()
      return index
    }
    answerChunked(bytes, now, limits, responder, &response)
    return index
  }

  /// Answers from the head alone: the responder's answer, or 413. Skips the body if it is here
  /// already or short; otherwise does not wait for it and ends the connection.
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

  /// Answers a request whose body has a known length; `nil` until it has arrived.
  mutating func body<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int? {
    let end = request.headByteCount + request.contentLength
    guard !request.isChunked, bytes.byteCount >= end else { return nil }
    if response.postponesBodies {
      hasMore = true
      return nil
    }
    answer(bytes, bytes.extracting(request.headByteCount..<end), responder, &response)
    if phase == .body { phase = .head }
    rest(now, limits)
    return end
  }

  /// Continues a chunked body whose head is kept; returns how many bytes it has used up.
  mutating func chunkedBody<R: Responder>(
    _ bytes: RawSpan, _ now: UInt64, _ limits: HTTPLimits, _ responder: R,
    _ response: inout ResponseWriter
  ) -> Int {
    var index = 0
    guard isDecoded(bytes, &index, responder, &response) else { return bytes.byteCount }
    if response.postponesBodies {
      keepDecoded()
      return index
    }
    var head = ByteBuffer(capacity: 16)
    swap(&head, &input)
    answerChunked(head.bytes, now, limits, responder, &response)
    if phase == .closing, index < bytes.byteCount { mustLinger = true }
    return index
  }

  /// The request waits for its turn as one of known length; its head is the input so far.
  private mutating func keepDecoded() {
    var body = ByteBuffer(capacity: 16)
    swap(&body, &decoded)
    input.append(body.bytes)
    request.isChunked = false
    request.contentLength = body.count
    hasMore = true
  }

  /// Decodes from `index` on; returns whether the body is complete. Refuses what is malformed.
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
    // One-byte chunks cost six bytes each, so the raw bytes are bounded too.
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
