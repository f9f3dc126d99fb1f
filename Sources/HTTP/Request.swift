import Platform

/// A stretch of bytes inside a message, by position; it holds no memory.
public struct ByteRange: Equatable, Sendable {
  public let start: Int
  public let end: Int

  @inlinable
  public init(_ start: Int, _ end: Int) {
    self.start = start
    self.end = end
  }

  @inlinable public var count: Int { end - start }
  @inlinable public var isEmpty: Bool { end == start }

  /// The bytes themselves. `bytes` is the span that this range was made for.
  @inlinable
  @_lifetime(copy bytes)
  public func of(_ bytes: RawSpan) -> RawSpan { bytes.extracting(start..<end) }

  /// Whether the bytes are exactly `text`.
  public func equals(_ text: StaticString, in bytes: RawSpan) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    for index in 0..<count
    where bytes.byte(start + index) != text.byte(index) { return false }
    return true
  }

  /// Whether the bytes are `text`, which is in lower case, in any case (RFC 9110 §5.1).
  public func equalsIgnoringCase(_ text: StaticString, in bytes: RawSpan) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    for index in 0..<count
    where ASCII.lowercased(bytes.byte(start + index)) != text.byte(index) {
      return false
    }
    return true
  }

  /// Whether `text`, which is in lower case, occurs in the bytes in any case.
  public func containsIgnoringCase(_ text: StaticString, in bytes: RawSpan) -> Bool {
    let length = text.utf8CodeUnitCount
    guard count >= length else { return false }
    for offset in start...(end - length)
    where ByteRange(offset, offset + length).equalsIgnoringCase(text, in: bytes) { return true }
    return false
  }
}

/// Request methods that servers of this kind tell apart (RFC 9110 §9).
public enum Method: UInt8, Sendable {
  case get, head, post, put, delete, patch, options, connect, trace, other

  /// As it is written in a request line; `other` has many names and gives none.
  public var name: StaticString {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .patch: "PATCH"
    case .options: "OPTIONS"
    case .connect: "CONNECT"
    case .trace: "TRACE"
    case .other: ""
    }
  }
}

/// A request's head, as positions in the bytes it came in. It is plain numbers: copying it is free,
/// and it is of use only together with the `head` span that the responder gets beside it.
public struct Request: Sendable {
  public internal(set) var method = Method.other
  /// The path without the query, starting with `/` (or `*`), not percent-decoded.
  public internal(set) var path = ByteRange(0, 0)
  /// What follows `?`, empty if there is none.
  public internal(set) var query = ByteRange(0, 0)
  /// The minor version of HTTP/1: 0 or 1.
  public internal(set) var minorVersion: UInt8 = 1
  /// Whether the client lets the connection live after this request (RFC 9112 §9.3).
  public internal(set) var keepsAlive = true
  /// `Expect: 100-continue` (RFC 9110 §10.1.1).
  public internal(set) var expectsContinue = false
  public internal(set) var isChunked = false
  /// The body's length if it is known beforehand, else 0.
  public internal(set) var contentLength = 0
  /// All field lines, each ended by CR LF, without the empty line.
  public internal(set) var fields = ByteRange(0, 0)
  /// Where the body starts.
  public internal(set) var headByteCount = 0

  public init() {}

  /// The first field named `name` (given in lower case), without the blanks around its value.
  ///
  /// It looks through the head again: for the few fields that a responder needs, now and then.
  public func field(_ name: StaticString, in head: RawSpan) -> ByteRange? {
    var position = fields.start
    while position < fields.end {
      let line = FieldLine(at: position, in: head)
      if line.name.equalsIgnoringCase(name, in: head) { return line.value }
      position = line.next
    }
    return nil
  }
}

/// One field line of a head that the parser has found in order.
struct FieldLine {
  let name: ByteRange
  let value: ByteRange
  let next: Int

  init(at start: Int, in head: RawSpan) {
    var position = start
    while head.byte(position) != ASCII.colon { position += 1 }
    name = ByteRange(start, position)
    var from = position + 1
    while head.byte(position) != ASCII.carriageReturn { position += 1 }
    next = position + 2
    while from < position && ASCII.isBlank(head.byte(from)) { from += 1 }
    while position > from && ASCII.isBlank(head.byte(position - 1)) { position -= 1 }
    value = ByteRange(from, position)
  }
}
