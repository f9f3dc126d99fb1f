import Platform

/// Static routes: exact paths to indices, 404 and 405 with `Allow`, HEAD wherever GET is.
///
/// Paths are compared as they came, without percent-decoding. For tens of routes: each lookup
/// compares with every path of the same length.
public struct Router: Sendable {
  /// Where a request leads.
  public enum Match: Equatable, Sendable {
    /// The index of the route in the order given to `init`.
    case route(Int)
    case notFound
    /// The path exists, not with this method. The number is for `refuse`.
    case methodNotAllowed(Int)
  }

  private struct Path: Sendable {
    let bytes: [UInt8]
    /// Pairs of a method and a route's index.
    var methods: [(Method, Int)]
    var refusal: PreparedResponse
  }

  private var paths: [Path] = []
  private let notFound: PreparedResponse

  public init(_ routes: [(method: Method, path: String)]) {
    notFound = PreparedResponse(problem: .notFound, detail: "There is nothing at this path.")
    for index in routes.indices { add(routes[index].method, routes[index].path, index) }
  }

  private mutating func add(_ method: Method, _ path: String, _ index: Int) {
    let bytes = Array(path.utf8)
    var position = 0
    while position < paths.count && paths[position].bytes != bytes { position += 1 }
    if position == paths.count {
      paths.append(Path(bytes: bytes, methods: [], refusal: notFound))
    }
    paths[position].methods.append((method, index))
    paths[position].refusal = PreparedResponse(
      problem: .methodNotAllowed, detail: "This path has other methods; see Allow.",
      fields: "Allow: " + Self.allow(paths[position].methods) + "\r\n")
  }

  private static func allow(_ methods: [(Method, Int)]) -> String {
    var text = ""
    for (method, _) in methods {
      if !text.isEmpty { text += ", " }
      text += method.text
      if method == .get { text += ", HEAD" }
    }
    return text
  }

  @inline(__always)
  public func match(_ request: Request, in head: RawSpan) -> Match {
    let count = request.path.count
    for position in paths.indices where paths[position].bytes.count == count {
      if Self.equals(paths[position].bytes, request.path.of(head)) {
        return match(request.method, at: position)
      }
    }
    return .notFound
  }

  @inline(__always)
  private func match(_ method: Method, at position: Int) -> Match {
    let wanted = method == .head ? .get : method
    for (method, index) in paths[position].methods where method == wanted { return .route(index) }
    return .methodNotAllowed(position)
  }

  @inline(__always)
  private static func equals(_ bytes: [UInt8], _ span: RawSpan) -> Bool {
    for index in 0..<bytes.count where bytes[index] != span.byte(index) { return false }
    return true
  }

  /// Answers a request that no route took: 404, or 405 with `Allow` (RFC 9110 §15.5.6).
  public func refuse(_ match: Match, into response: inout ResponseWriter) {
    if case .methodNotAllowed(let position) = match {
      response.send(paths[position].refusal)
    } else {
      response.send(notFound)
    }
  }
}

extension Method {
  /// The name as a `String`, for what is rendered once.
  public var text: String {
    let name = self.name
    var text = ""
    for index in 0..<name.utf8CodeUnitCount {
      text.unicodeScalars.append(Unicode.Scalar(name.byte(index)))
    }
    return text
  }
}

extension PreparedResponse {
  /// Renders a problem document (RFC 9457).
  public init(problem status: Status, detail: String, fields: String = "") {
    var body = ByteBuffer(capacity: 256)
    body.appendProblem(status)
    for byte in detail.utf8 { body.appendJSONEscaped(byte) }
    body.append("\"}")
    self.init(
      status, contentType: "application/problem+json", fields: fields, bodyBytes: body.array)
  }
}
