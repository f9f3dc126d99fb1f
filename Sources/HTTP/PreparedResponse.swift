import Platform

/// A response rendered once and sent many times: only its date changes.
///
///     HTTP/1.1 200 OK␍␊Date: [29 bytes]␍␊Content-Type: …␍␊Content-Length: 25␍␊␍␊{"message":…}
///                            ^ dateOffset                            headByteCount ^
public struct PreparedResponse: Sendable {
  public let status: Status
  let bytes: [UInt8]
  let headByteCount: Int
  let dateOffset: Int

  /// Renders a response. `fields` are whole further field lines, such as `"Allow: GET\r\n"`.
  public init(
    _ status: Status, contentType: StaticString, fields: String = "", body: String
  ) {
    self.init(status, contentType: contentType, fields: fields, bodyBytes: Array(body.utf8))
  }

  public init(
    _ status: Status, contentType: StaticString, fields: String = "", bodyBytes body: [UInt8]
  ) {
    self.status = status
    var buffer = ByteBuffer(capacity: 256 + body.count)
    buffer.appendStatusLine(status)
    buffer.append("Date: ")
    dateOffset = buffer.count
    buffer.append("Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: ")
    buffer.append(contentType)
    buffer.append("\r\n")
    buffer.append(fields)
    buffer.append("Content-Length: ")
    buffer.appendDecimal(body.count)
    buffer.append("\r\n\r\n")
    headByteCount = buffer.count
    buffer.append(body)
    bytes = buffer.array
  }
}
