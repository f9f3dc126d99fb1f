/// A status code of RFC 9110 §15, with its reason phrase.
public struct Status: Equatable, Sendable {
  public let code: UInt16

  @inlinable
  public init(_ code: UInt16) { self.code = code }

  public static var ok: Status { Status(200) }
  public static var accepted: Status { Status(202) }
  public static var noContent: Status { Status(204) }
  public static var badRequest: Status { Status(400) }
  public static var notFound: Status { Status(404) }
  public static var methodNotAllowed: Status { Status(405) }
  public static var requestTimeout: Status { Status(408) }
  public static var contentTooLarge: Status { Status(413) }
  public static var uriTooLong: Status { Status(414) }
  public static var expectationFailed: Status { Status(417) }
  public static var fieldsTooLarge: Status { Status(431) }
  public static var internalError: Status { Status(500) }
  public static var notImplemented: Status { Status(501) }
  public static var unavailable: Status { Status(503) }
  public static var versionNotSupported: Status { Status(505) }

  public var reason: StaticString {
    switch code {
    case 200: "OK"
    case 202: "Accepted"
    case 204: "No Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 304: "Not Modified"
    case 307: "Temporary Redirect"
    case 400: "Bad Request"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 417: "Expectation Failed"
    case 422: "Unprocessable Content"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    default: "Unknown"
    }
  }
}
