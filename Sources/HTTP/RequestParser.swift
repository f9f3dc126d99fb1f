import SidecarPlatform

/// Parses bytes into a request's head, by RFC 9112. Strict where leniency would allow request
/// smuggling: lines end in CRLF, lengths are digits, and each framing field occurs once.
enum RequestParser {
  enum Outcome {
    /// The head has not ended yet; search for its end from this offset next time.
    case incomplete(scanned: Int)
    case request(Request)
    case refused(Refusal)
  }

  @_optimize(speed)
  static func parse(
    _ bytes: RawSpan, scanned: Int, limits: HTTPLimits
  ) -> Outcome {
    // Empty lines before a request are skipped (RFC 9112 §2.2).
    var start = 0
    while start + 1 < bytes.byteCount, bytes.at(start) == 13, bytes.at(start + 1) == 10 {
      start += 2
    }
    if start > limits.requestLineByteCount { return .refused(.badRequest("only empty lines")) }
    guard let end = headEnd(bytes, from: max(start, scanned - 3)) else {
      return unfinished(bytes, start, limits)
    }
    var request = Request()
    request.headByteCount = end
    var line = start
    while bytes.at(line) != 13 {
      if bytes.at(line) == 10 { return .refused(.badRequest("a line that ends without CR")) }
      line += 1
    }
    // A recipient that accepts a bare CR as a line end would see another request (RFC 9112 §2.2).
    if bytes.at(line + 1) != 10 { return .refused(.bareCR) }
    if line - start > limits.requestLineByteCount { return .refused(.uriTooLong) }
    if let refusal = requestLine(bytes, start..<line, &request) { return .refused(refusal) }
    request.fields = (line + 2)..<(end - 2)
    if request.fields.count > limits.headerByteCount { return .refused(.headTooLarge) }
    if let refusal = fields(bytes, &request, limits) { return .refused(refusal) }
    return .request(request)
  }

  /// Right after the empty line that ends the head.
  @_optimize(speed)
  private static func headEnd(_ bytes: RawSpan, from start: Int) -> Int? {
    let count = bytes.byteCount
    var index = max(start, 0) + 3
    while index < count {
      let byte = bytes.at(index)
      if byte > 13 {
        index += 4
      } else if byte == 10 {
        if bytes.at(index - 1) == 13, bytes.at(index - 2) == 10, bytes.at(index - 3) == 13 {
          return index + 1
        }
        index += 1
      } else {
        index += 1
      }
    }
    return nil
  }

  private static func unfinished(
    _ bytes: RawSpan, _ start: Int, _ limits: HTTPLimits
  ) -> Outcome {
    let count = bytes.byteCount - start
    var lineEnd = start
    let stop = min(bytes.byteCount, start + limits.requestLineByteCount + 1)
    while lineEnd < stop, bytes.at(lineEnd) != 10 {
      lineEnd += 1
      if lineEnd < bytes.byteCount, bytes.at(lineEnd - 1) == 13, bytes.at(lineEnd) != 10 {
        return .refused(.bareCR)
      }
    }
    if lineEnd - start > limits.requestLineByteCount { return .refused(.uriTooLong) }
    // A head that ends by bare LFs is refused at once, not after a timeout.
    if lineEnd < stop, lineEnd > start, bytes.at(lineEnd - 1) != 13 {
      return .refused(.badRequest("a line that ends without CR"))
    }
    if count > limits.requestLineByteCount + limits.headerByteCount {
      return .refused(.headTooLarge)
    }
    return .incomplete(scanned: bytes.byteCount)
  }

  // MARK: Request line, RFC 9112 §3

  @_optimize(speed)
  private static func requestLine(
    _ bytes: RawSpan, _ line: Range<Int>, _ request: inout Request
  ) -> Refusal? {
    var index = line.lowerBound
    while index < line.upperBound, isToken(bytes.at(index)) { index += 1 }
    let method = line.lowerBound..<index
    guard !method.isEmpty, index < line.upperBound, bytes.at(index) == 32 else {
      return .badRequest("a malformed method")
    }
    request.method = self.method(bytes.extracting(method))
    let target = index + 1
    index = target
    while index < line.upperBound, isTarget(bytes.at(index)) { index += 1 }
    guard index > target, index < line.upperBound, bytes.at(index) == 32 else {
      return .badRequest("a malformed target")
    }
    if let refusal = version(bytes, index + 1..<line.upperBound, &request) { return refusal }
    return self.target(bytes, target..<index, &request)
  }

  /// A higher minor version is served as the highest one known (RFC 9110 §2.5).
  @_optimize(speed)
  private static func version(
    _ bytes: RawSpan, _ range: Range<Int>, _ request: inout Request
  ) -> Refusal? {
    let start = range.lowerBound
    guard range.count == 8, bytes.extracting(start..<start + 5).isEqual(to: "HTTP/"),
      isDigit(bytes.at(start + 5)), bytes.at(start + 6) == UInt8(ascii: "."),
      isDigit(bytes.at(start + 7))
    else { return .badRequest("a malformed version") }
    if bytes.at(start + 5) != UInt8(ascii: "1") { return .versionNotSupported }
    request.isHTTP10 = bytes.at(start + 7) == UInt8(ascii: "0")
    return nil
  }

  @_optimize(speed)
  private static func method(_ name: RawSpan) -> Request.Method {
    if name.isEqual(to: "GET") { return .get }
    if name.isEqual(to: "HEAD") { return .head }
    if name.isEqual(to: "POST") { return .post }
    if name.isEqual(to: "PUT") { return .put }
    if name.isEqual(to: "DELETE") { return .delete }
    if name.isEqual(to: "OPTIONS") { return .options }
    if name.isEqual(to: "PATCH") { return .patch }
    return .other
  }

  /// Origin-form and absolute-form become path and query; `*` stays as it is and matches no route
  /// (RFC 9112 §3.2). Nothing else is a target: this server has no tunnels.
  @_optimize(speed)
  private static func target(
    _ bytes: RawSpan, _ range: Range<Int>, _ request: inout Request
  ) -> Refusal? {
    var start = range.lowerBound
    if bytes.at(start) != UInt8(ascii: "/") {
      var scheme = 0
      if range.count > 7, FieldLine.matches("http://", in: bytes, at: start) { scheme = 7 }
      if range.count > 8, FieldLine.matches("https://", in: bytes, at: start) { scheme = 8 }
      if scheme > 0 {
        start += scheme
        let authority = start
        while start < range.upperBound, isHostByte(bytes.at(start)) { start += 1 }
        if start == authority { return .badRequest("a target without a host") }
        // `http://host` without a path means `/`: the second slash of `//` is one.
        if start == range.upperBound || bytes.at(start) == UInt8(ascii: "?") {
          request.path = (range.lowerBound + scheme - 1)..<(range.lowerBound + scheme)
          request.query = start < range.upperBound ? start + 1..<range.upperBound : 0..<0
          return nil
        }
      }
      let isAsterisk =
        request.method == .options && bytes.extracting(range).isEqual(to: "*")
      guard isAsterisk || bytes.at(start) == UInt8(ascii: "/") else {
        return .badRequest("a malformed target")
      }
    }
    var end = start
    while end < range.upperBound, bytes.at(end) != UInt8(ascii: "?") { end += 1 }
    request.path = start..<end
    request.query = end < range.upperBound ? end + 1..<range.upperBound : 0..<0
    return nil
  }

  // MARK: Fields, RFC 9112 §5

  @_optimize(speed)
  private static func fields(
    _ bytes: RawSpan, _ request: inout Request, _ limits: HTTPLimits
  ) -> Refusal? {
    var seen = Seen()
    var count = 0
    var line = request.fields.lowerBound
    while line < request.fields.upperBound {
      count += 1
      if count > limits.headerCount { return .headTooLarge }
      var index = line
      while isToken(bytes.at(index)) { index += 1 }
      // A missing name, a space before the colon, and a folded line all end up here.
      guard index > line, bytes.at(index) == UInt8(ascii: ":") else {
        return .badRequest("a malformed header line")
      }
      let colon = index
      index += 1
      while true {
        let byte = bytes.at(index)
        if byte < 32 && byte != 9 || byte == 127 { break }
        index += 1
      }
      guard bytes.at(index) == 13, bytes.at(index + 1) == 10 else {
        return .badRequest("a control character in a header")
      }
      let value = FieldLine.trimmed(bytes, colon + 1..<index)
      if let refusal = framing(bytes, line..<colon, value, &request, &seen) { return refusal }
      line = index + 2
    }
    request.isKeptAlive = !seen.close && (!request.isHTTP10 || seen.keepAlive)
    // RFC 9112 §3.2: exactly one Host in HTTP/1.1.
    if seen.host == 0, !request.isHTTP10 { return .badRequest("no Host") }
    if request.isChunked, seen.contentLength > 0 {
      return .badRequest("both Content-Length and Transfer-Encoding")
    }
    return nil
  }

  private struct Seen {
    var host = 0
    var contentLength = 0
    var transferEncoding = 0
    var close = false
    var keepAlive = false
  }

  /// The fields that decide where a request ends; the others are left to the handler.
  @inline(__always)
  @_optimize(speed)
  private static func framing(
    _ bytes: RawSpan, _ name: Range<Int>, _ value: Range<Int>, _ request: inout Request,
    _ seen: inout Seen
  ) -> Refusal? {
    switch name.count {
    case 4 where FieldLine.matches("host", in: bytes, at: name.lowerBound):
      seen.host += 1
      if seen.host > 1 { return .badRequest("more than one Host") }
      for index in value where !isHostByte(bytes.at(index)) {
        return .badRequest("a malformed Host")
      }
    case 6 where FieldLine.matches("expect", in: bytes, at: name.lowerBound):
      guard FieldLine.equals("100-continue", in: bytes, value) else { return .expectationFailed }
      request.expectsContinue = !request.isHTTP10
    case 10 where FieldLine.matches("connection", in: bytes, at: name.lowerBound):
      connection(bytes, value, &seen)
    case 14 where FieldLine.matches("content-length", in: bytes, at: name.lowerBound):
      seen.contentLength += 1
      if seen.contentLength > 1 { return .badRequest("more than one Content-Length") }
      return contentLength(bytes, value, &request)
    case 17 where FieldLine.matches("transfer-encoding", in: bytes, at: name.lowerBound):
      seen.transferEncoding += 1
      if seen.transferEncoding > 1 || request.isHTTP10 {
        return .badRequest("a Transfer-Encoding that has no place here")
      }
      guard FieldLine.equals("chunked", in: bytes, value) else { return .codingNotImplemented }
      request.isChunked = true
    default: break
    }
    return nil
  }

  /// Digits and nothing else: no sign, no list (RFC 9110 §8.6).
  private static func contentLength(
    _ bytes: RawSpan, _ value: Range<Int>, _ request: inout Request
  ) -> Refusal? {
    if value.isEmpty { return .badRequest("an empty Content-Length") }
    var length = 0
    for index in value {
      let byte = bytes.at(index)
      guard byte >= 48, byte <= 57 else { return .badRequest("a malformed Content-Length") }
      if length > 100_000_000 { return .bodyTooLarge }
      length = length * 10 + Int(byte - 48)
    }
    request.contentLength = length
    return nil
  }

  /// `close` and `keep-alive` in a list, where `close` wins (RFC 9112 §9.3).
  @_optimize(speed)
  private static func connection(_ bytes: RawSpan, _ value: Range<Int>, _ seen: inout Seen) {
    var start = value.lowerBound
    while start < value.upperBound {
      var end = start
      while end < value.upperBound, bytes.at(end) != UInt8(ascii: ",") { end += 1 }
      let option = FieldLine.trimmed(bytes, start..<end)
      if FieldLine.equals("close", in: bytes, option) {
        seen.close = true
      } else if FieldLine.equals("keep-alive", in: bytes, option) {
        seen.keepAlive = true
      }
      start = end + 1
    }
  }
}
