import SidecarHTTP

/// One endpoint of the API.
struct Route {
  let path: StaticString
  let summary: StaticString
  /// The answer's body, byte for byte.
  let body: String
  /// The name of its one property, for OpenAPI.
  let property: StaticString
  let example: StaticString
  let contentType: StaticString
  /// Part of the documentation, not of the API: left out of OpenAPI.
  var isDocumentation = false
  /// Header lines of the answer, each with its CRLF.
  var extraFields = ""
}

/// The one table: router, events, OpenAPI and docs follow from it. A new endpoint is one entry
/// here.
enum Routes {
  static let api: [Route] = [
    Route(
      path: "/", summary: "Says hello", body: #"{"message":"Hello World"}"#, property: "message",
      example: "Hello World", contentType: "application/json"),
    Route(
      path: "/health", summary: "Says whether the server is healthy", body: #"{"health": "ok"}"#,
      property: "health", example: "ok", contentType: "application/json"),
    Route(
      path: "/bye", summary: "Says goodbye", body: #"{"msg": "Bye Bye"}"#, property: "msg",
      example: "Bye Bye", contentType: "application/json"),
  ]

  /// The API with its documentation.
  static func all(_ docs: Docs) -> [Route] {
    api + [
      Route(
        path: documentation, summary: "This API as a page", body: docs.page(api), property: "",
        example: "", contentType: "text/html; charset=utf-8", isDocumentation: true,
        extraFields: docs.pageFields),
      Route(
        path: "/openapi.json", summary: "This API as OpenAPI 3.1",
        body: OpenAPI.document(api, docs.rootPath), property: "", example: "",
        contentType: "application/json", isDocumentation: true),
    ]
  }

  /// The page; the files that it loads count as its requests.
  static let documentation: StaticString = "/docs"
}
