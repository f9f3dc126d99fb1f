import SidecarPlatform

/// The routes table as OpenAPI 3.1. https://spec.openapis.org/oas/v3.1.0
enum OpenAPI {
  static func document(_ routes: [Route], _ rootPath: RootPath) -> String {
    var paths: [String] = []
    for route in routes {
      paths.append("\"\(route.path)\":{\"get\":\(operation(route))}")
    }
    let servers = rootPath.text.isEmpty ? "" : "\"servers\":[{\"url\":\"\(rootPath.text)\"}],"
    return #"{"openapi":"3.1.0","info":{"title":"simple-server","#
      + #""description":"An API that counts its requests without knowing what Prometheus is","#
      + "\"version\":\"\(Version.number)\"},\(servers)\"paths\":{"
      + join(paths) + "},\"components\":{\"schemas\":{\"Problem\":\(problem)}}}"
  }

  private static func operation(_ route: Route) -> String {
    let name = "\(route.property)"
    let schema =
      #"{"type":"object","properties":{""# + name + #"":{"type":"string","examples":[""#
      + "\(route.example)" + #""]}},"required":[""# + name + #""]}"#
    let operation = identifier(route)
    return
      "{\"tags\":[\"API\"],\"summary\":\"\(route.summary)\",\"operationId\":\"get_\(operation)\","
      + #""responses":{"200":{"description":"OK","content":{"application/json":{"schema":"#
      + schema + ",\"example\":\(route.body)}}},"
      + #""default":{"description":"An error","content":{"application/problem+json":"#
      + ##"{"schema":{"$ref":"#/components/schemas/Problem"}}}}}}"##
  }

  /// RFC 9457.
  private static let problem =
    #"{"type":"object","properties":{"type":{"type":"string"},"title":{"type":"string"},"#
    + #""status":{"type":"integer"},"detail":{"type":"string"}},"#
    + #""required":["type","title","status","detail"]}"#

  private static func identifier(_ route: Route) -> String {
    let path = "\(route.path)".utf8.dropFirst()
    return path.isEmpty ? "root" : String(decoding: Array(path), as: UTF8.self)
  }

  private static func join(_ items: [String]) -> String {
    var text = ""
    for (index, item) in items.enumerated() { text += index == 0 ? item : "," + item }
    return text
  }
}
