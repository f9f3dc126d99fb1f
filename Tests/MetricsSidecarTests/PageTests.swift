import Foundation
import Platform
import Testing

@testable import MetricsSidecar

@Suite struct PageTests {
  @Test(arguments: [
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
    ("text/html", true), ("application/xml, text/html;q=0.9", true),
    ("*/*", false), ("", false), ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", false),
    ("application/openmetrics-text;version=1.0.0,text/plain", false), ("text/htmlx", false),
    ("application/json;x=text/html", false),
  ])
  func `a browser gets the page, anything else the metrics`(accept: String, isWanted: Bool) {
    let bytes = Array(accept.utf8)
    let answer = Page.isWanted(bytes.span.bytes)
    #expect(answer == isWanted)
  }

  @Test func `without Accept it is the metrics`() {
    let isWanted = Page.isWanted(nil)
    #expect(!isWanted)
  }

  @Test func `the page is under 60 KB, loads nothing, and has no handler or markup from strings`() {
    let text = "\(PageText.before)\(PageText.after)"
    #expect(text.utf8.count < 60_000)
    for part in [
      "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " src=", "@import",
      "url(", " style=\"", " onclick=",
    ] { #expect(!text.contains(part), "\(part)") }
  }

  @Test func `the page is what its files say`() throws {
    let folder = URL(filePath: #filePath).appending(
      path: "../../../Sources/MetricsSidecar/Page"
    ).standardized
    func read(_ name: String) throws -> String {
      try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    }
    let scripts = try ["store.js", "format.js", "list.js", "detail.js", "main.js"].map(read)
    let page = try read("page.html")
      .replacingOccurrences(of: "STYLE", with: "\n" + read("page.css"))
      .replacingOccurrences(
        of: "SCRIPT", with: "\n'use strict'\n" + scripts.joined(separator: "\n")
      )
      .replacingOccurrences(of: "FLAGS", with: "")
    #expect("\(PageText.before)\(PageText.after)" == page)
  }
}
