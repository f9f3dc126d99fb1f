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
    var methods: [(Request.Method, Int)]
    var refusal: PreparedResponse
  }

  private var paths: [Path] = []
  private let notFound: PreparedResponse

  public init(_ routes: [(method: Request.Method, path: String)]) {
    notFound = PreparedResponse(problem: 404, detail: "there is nothing at this path")
    for index in routes.indices { add(routes[index].method, routes[index].path, index) }
  }

  private mutating func add(_ method: Request.Method, _ path: String, _ index: Int) {
    let bytes = Array(path.utf8)
    var position = 0
    while position < paths.count && paths[position].bytes != bytes { position += 1 }
    if position == paths.count {
      paths.append(Path(bytes: bytes, methods: [], refusal: notFound))
    }
    paths[position].methods.append((method, index))
    paths[position].refusal = PreparedResponse(
      problem: 405, detail: "this path has other methods: see Allow",
      extraFields: "Allow: " + Self.allow(paths[position].methods) + "\r\n")
  }

  private static func allow(_ methods: [(Request.Method, Int)]) -> String {
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
      if Self.equals(paths[position].bytes, head.extracting(request.path)) {
        return match(request.method, at: position)
      }
    }
    return .notFound
  }

  @inline(__always)
  private func match(_ method: Request.Method, at position: Int) -> Match {
    let wanted: Request.Method = method == .head ? .get : method
    for (method, index) in paths[position].methods where method == wanted { return .route(index) }
    return .methodNotAllowed(position)
  }

  @inline(__always)
  private static func equals(_ bytes: [UInt8], _ span: RawSpan) -> Bool {
    for index in 0..<bytes.count where bytes[index] != span[byte: index] { return false }
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

extension Request.Method {
  /// As it is written in a request line; `other` has many names and gives none.
  public var text: String {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .options: "OPTIONS"
    case .patch: "PATCH"
    case .other: ""
    }
  }
}

extension PreparedResponse {
  /// An error as `application/problem+json` (RFC 9457), rendered beforehand. `detail` is plain ASCII
  /// without quotes; `extraFields` are whole lines.
  public init(problem status: Int, detail: String, extraFields: String = "") {
    var body = ByteBuffer()
    body.append("{\"type\":\"about:blank\",\"title\":\"")
    body.append(Status.reason(status))
    body.append("\",\"status\":\(status),\"detail\":\"\(detail)\"}")
    self.init(
      status: status, contentType: "application/problem+json", body: body.array,
      extraFields: extraFields)
  }
}
