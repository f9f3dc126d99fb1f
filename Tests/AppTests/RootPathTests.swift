import Foundation
import Testing

@testable import SidecarApp

@Suite struct RootPathTests {
  @Test(arguments: [
    ("", ""), ("/", ""), ("/api", "/api"), ("/api/", "/api"), ("/a.b/c_d~e-1", "/a.b/c_d~e-1"),
  ])
  func `a path is taken without its last slash`(text: String, kept: String) {
    #expect(RootPath(text)?.text == kept)
  }

  @Test(arguments: [
    "api", "//", "//api", "/api//v1", "/api//", "/a b", "/\"", "/<script>", "/é", "/a?b", "/a\r\n",
    "https://example.com/api",
  ])
  func `what would need escaping is no path`(text: String) {
    #expect(RootPath(text) == nil)
  }

  @Test(arguments: [
    ("/api/bye", 200), ("/api/", 200), ("/bye", 200), ("/api/docs", 200),
    ("/api/openapi.json", 200),
    ("/api/docs/start.js", 200), ("/api", 404), ("/apibye", 404), ("/api/api/bye", 404),
    ("/API/bye", 404), ("/api/none", 404),
  ])
  func `requests come with the prefix or without`(path: String, status: Int) throws {
    let docs = Docs(rootPath: try #require(RootPath("/api")), swaggerUI: .remote)
    #expect(Wire(docs).get(path).text.hasPrefix("HTTP/1.1 \(status) "))
  }

  @Test func `a request with the prefix counts as its endpoint`() throws {
    let docs = Docs(rootPath: try #require(RootPath("/api")), swaggerUI: .remote)
    let wire = Wire(docs)
    #expect(wire.get("/api/bye").route == wire.get("/bye").route)
  }

  @Test func `OpenAPI names the prefix as its server, and is JSON`() throws {
    for (text, servers) in [("", nil), ("/api", "/api")] {
      let document = OpenAPI.document(Routes.api, try #require(RootPath(text)))
      let parsed = try JSONSerialization.jsonObject(with: Data(document.utf8)) as? [String: Any]
      let list = parsed?["servers"] as? [[String: String]]
      #expect(list?.first?["url"] == servers)
      #expect((parsed?["paths"] as? [String: Any])?.count == Routes.api.count)
    }
  }
}
