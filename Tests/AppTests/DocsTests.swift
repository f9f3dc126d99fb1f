import Foundation
import Testing

@testable import SidecarApp

@Suite struct DocsTests {
  @Test func `the folder's two files are served with their types, and nothing else of it`() throws {
    try withSwaggerFolder { folder in
      let wire = Wire(Docs(rootPath: RootPath(), swaggerUI: try SwaggerUI(folder: folder)))
      let style = wire.get("/docs/swagger-ui.css").text
      #expect(style.contains("Content-Type: text/css; charset=utf-8\r\n"))
      #expect(style.hasSuffix("\r\n\r\n/* swagger-ui.css */"))
      let script = wire.get("/docs/swagger-ui-bundle.js").text
      #expect(script.contains("Content-Type: text/javascript; charset=utf-8\r\n"))
      #expect(script.contains("X-Content-Type-Options: nosniff\r\n"))
      for path in [
        "/docs/secret.txt", "/docs/../docs/secret.txt", "/docs/", "/docs/swagger-ui.css/",
        "/docs/%2e%2e/secret.txt", "/docs//swagger-ui.css",
      ] { #expect(wire.get(path).text.hasPrefix("HTTP/1.1 404 "), "\(path)") }
    }
  }

  @Test func `with the folder's files the page loads nothing from elsewhere`() throws {
    try withSwaggerFolder { folder in
      let docs = Docs(rootPath: RootPath(), swaggerUI: try SwaggerUI(folder: folder))
      let answer = Wire(docs).get("/docs").text
      #expect(!answer.contains("https://"))
      #expect(answer.contains("script-src 'self'; "))
    }
  }

  @Test func `without them every foreign file has a hash`() {
    let answer = Wire().get("/docs").text
    let links = answer.components(separatedBy: "https://cdn.jsdelivr.net/npm/").dropFirst()
    #expect(links.count == 2)
    for link in links {
      #expect(link.hasPrefix("swagger-ui-dist@5.34.0/"))
      let element = link.prefix { $0 != ">" }
      #expect(element.contains("integrity=\"sha384-"))
      #expect(element.contains("crossorigin=\"anonymous\""))
    }
    #expect(answer.contains("script-src 'self' https://cdn.jsdelivr.net; "))
    #expect(Wire().get("/docs/swagger-ui.css").text.hasPrefix("HTTP/1.1 404 "))
  }

  @Test func `a folder without a file is told with the file's path`() throws {
    try withSwaggerFolder(["swagger-ui.css"]) { folder in
      let failure = #expect(throws: SwaggerUI.Failure.self) { try SwaggerUI(folder: folder) }
      #expect(failure?.path == folder + "/swagger-ui-bundle.js")
      #expect(failure?.reason == .noSuchFile)
    }
  }

  @Test func `the page lists every endpoint for whom the script does not run`() {
    let page = Wire().get("/docs").text
    for route in Routes.api {
      #expect(page.contains(">\(route.path)</a>"))
      #expect(page.contains("<td>\(route.summary)</td>"))
    }
  }

  @Test func `what the page loads counts as a request of the page`() {
    let wire = Wire()
    let page = wire.get("/docs").route
    #expect(page == UInt32(Routes.api.count))
    #expect(wire.get("/docs/start.js").route == page)
    #expect(wire.get("/docs/page.css").route == page)
  }

  @Test(arguments: ["/docs", "/docs/start.js", "/bye"])
  func `what can be read only says so`(path: String) {
    let answer = Wire().get(path, method: "POST").text
    #expect(answer.hasPrefix("HTTP/1.1 405 "))
    #expect(answer.contains("Allow: GET, HEAD\r\n"))
    #expect(Wire().get(path, method: "HEAD").text.hasSuffix("\r\n\r\n"))
  }
}
