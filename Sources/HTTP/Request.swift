import SidecarPlatform

/// A request as ranges of the bytes it arrived in; the handler gets those bytes as well.
public struct Request {
  /// The methods that the server distinguishes; `other` is every other token.
  public enum Method: UInt8, Sendable {
    case get, head, post, put, delete, options, patch, other
  }

  /// The request's method.
  public internal(set) var method = Method.other
  /// The path without the query, as it was sent.
  public internal(set) var path = 0..<0
  /// What follows the `?`, without it.
  public internal(set) var query = 0..<0
  /// All header lines.
  public internal(set) var fields = 0..<0
  /// Whether the client speaks HTTP/1.0, and so may know neither chunks nor kept connections.
  public internal(set) var isHTTP10 = false
  /// Whether the connection stays open after the answer (RFC 9112 §9.3).
  public internal(set) var isKeptAlive = true
  /// Which listener its connection came to: 0 for the server's own, else as `Server.take` has it.
  public internal(set) var port: UInt8 = 0
  /// When its first byte was read, in monotonic nanoseconds.
  public internal(set) var arrivedAt: UInt64 = 0

  /// The responder's number for the route of an answer that it postponed.
  var route = Answer.noRoute

  // The framing of its body (RFC 9112 §6.3).
  var contentLength = 0
  var isChunked = false
  var expectsContinue = false
  /// Bytes of the head, with the empty line.
  public internal(set) var headByteCount = 0

  /// The value of the first field called `name`, which is given in lower case.
  @_lifetime(copy bytes)
  @_optimize(speed)
  public func field(_ name: StaticString, in bytes: RawSpan) -> RawSpan? {
    var line = fields.lowerBound
    while line < fields.upperBound {
      var end = line
      while bytes.at(end) != 13 { end += 1 }
      if let value = FieldLine.value(of: name, in: bytes, line..<end) {
        return bytes.extracting(value)
      }
      line = end + 2
    }
    return nil
  }
}

/// One header line: `name: value`.
enum FieldLine {
  /// The value's range, without the space around it, if the line's name is `name` in any case.
  static func value(
    of name: StaticString, in bytes: RawSpan, _ line: Range<Int>
  ) -> Range<Int>? {
    let count = name.utf8CodeUnitCount
    guard line.count > count, bytes.at(line.lowerBound + count) == UInt8(ascii: ":"),
      matches(name, in: bytes, at: line.lowerBound)
    else { return nil }
    return trimmed(bytes, line.lowerBound + count + 1..<line.upperBound)
  }

  @inline(__always)
  @_optimize(speed)
  static func matches(_ name: StaticString, in bytes: RawSpan, at start: Int) -> Bool {
    for index in 0..<name.utf8CodeUnitCount {
      let wanted = unsafe name.utf8Start[index]
      let byte = bytes.at(start + index)
      if byte != wanted && !(byte >= 65 && byte <= 90 && byte | 0x20 == wanted) { return false }
    }
    return true
  }

  static func trimmed(_ bytes: RawSpan, _ range: Range<Int>) -> Range<Int> {
    var start = range.lowerBound
    var end = range.upperBound
    while start < end, bytes.at(start) == 32 || bytes.at(start) == 9 { start += 1 }
    while end > start, bytes.at(end - 1) == 32 || bytes.at(end - 1) == 9 { end -= 1 }
    return start..<end
  }

  /// Whether the whole of `range` is `text`, in any case.
  @_optimize(speed)
  static func equals(_ text: StaticString, in bytes: RawSpan, _ range: Range<Int>) -> Bool {
    range.count == text.utf8CodeUnitCount && matches(text, in: bytes, at: range.lowerBound)
  }
}
