import SidecarPlatform

/// Why a request was refused, and the text for its sender.
public enum Refusal: Sendable {
  case badRequest(StaticString)
  case uriTooLong, headTooLarge, bodyTooLarge, timedOut, expectationFailed
  case codingNotImplemented, versionNotSupported
  /// Every place is taken, and the one it got is reserved for probes.
  case noPlace

  static var bareCR: Refusal { .badRequest("a CR that does not end a line") }

  /// The status code of the answer.
  public var status: Int {
    switch self {
    case .badRequest: 400
    case .timedOut: 408
    case .bodyTooLarge: 413
    case .uriTooLong: 414
    case .expectationFailed: 417
    case .headTooLarge: 431
    case .codingNotImplemented: 501
    case .noPlace: 503
    case .versionNotSupported: 505
    }
  }

  var detail: StaticString {
    switch self {
    case .badRequest(let reason): reason
    case .timedOut: "the request took too long to arrive"
    case .bodyTooLarge: "the body is too large"
    case .uriTooLong: "the request line is too long"
    case .expectationFailed: "only 100-continue can be expected"
    case .headTooLarge: "the header is too large or has too many fields"
    case .codingNotImplemented: "the only transfer coding is chunked"
    case .noPlace: "every connection is taken: try again later, or raise the limit of connections"
    case .versionNotSupported: "the versions are HTTP/1.0 and HTTP/1.1"
    }
  }
}
