import Platform

/// Small pieces of messages.
extension ByteBuffer {
  mutating func appendDecimal(_ value: Int) {
    precondition(value >= 0)
    if value >= 10 { appendDecimal(value / 10) }
    append(ASCII.zero + UInt8(truncatingIfNeeded: value % 10))
  }

  /// `HTTP/1.1 200 OK` and the line's end. The version is the server's, not the request's
  /// (RFC 9110 §6.2).
  mutating func appendStatusLine(_ status: Status) {
    append("HTTP/1.1 ")
    appendDecimal(Int(status.code))
    append(" ")
    append(status.reason)
    append("\r\n")
  }

  /// A problem document up to its detail (RFC 9457 §3); `detail` and `"}` follow.
  mutating func appendProblem(_ status: Status) {
    append("{\"type\":\"about:blank\",\"title\":\"")
    append(status.reason)
    append("\",\"status\":")
    appendDecimal(Int(status.code))
    append(",\"detail\":\"")
  }

  mutating func appendJSONEscaped(_ text: StaticString) {
    for index in 0..<text.utf8CodeUnitCount { appendJSONEscaped(text.byte(index)) }
  }

  /// A byte of UTF-8 as it may stand in a JSON string (RFC 8259 §7).
  mutating func appendJSONEscaped(_ byte: UInt8) {
    switch byte {
    case 0x22, 0x5C:
      append(0x5C)
      append(byte)
    case 0..<32:
      append("\\u00")
      append(ASCII.zero + byte >> 4)
      append(byte & 15 < 10 ? ASCII.zero + byte & 15 : 87 + byte & 15)
    default: append(byte)
    }
  }
}
