import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct DashboardTests {
  @Test(arguments: [
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
    ("text/html", true), ("application/xml, text/html;q=0.9", true),
    ("*/*", false), ("", false), ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", false),
    ("application/openmetrics-text;version=1.0.0,text/plain", false), ("text/htmlx", false),
    ("application/json;x=text/html", false),
  ])
  func `a browser gets the page, anything else the metrics`(accept: String, isWanted: Bool) {
    let bytes = Array(accept.utf8)
    let answer = Dashboard.isWanted(bytes.span.bytes)
    #expect(answer == isWanted)
  }

  @Test func `without Accept it is the metrics`() {
    let isWanted = Dashboard.isWanted(nil)
    #expect(!isWanted)
  }

  private var text: String {
    var buffer = ByteBuffer()
    Dashboard(flags: "push-admin").write(into: &buffer)
    return String(decoding: buffer.array, as: UTF8.self)
  }

  @Test func `the page is under 60 KB, loads nothing, and has no handler or markup from strings`() {
    #expect(text.utf8.count < Dashboard.maximumByteCount)
    #expect(text.hasPrefix("<!--push-admin-->\n<!doctype html>\n"))
    #expect(text.hasSuffix("</html>\n"))
    for part in [
      "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " src=", "@import",
      "url(", " style=\"", " onclick=",
    ] { #expect(!text.contains(part), "\(part)") }
  }

  @Test(arguments: ["script", "style"])
  func `the policy names its one script and its one style by their hashes`(
    element: String
  ) throws {
    let parts = text.split(separator: "<\(element)>", omittingEmptySubsequences: false)
    try #require(parts.count == 2)
    let content = try #require(parts[1].range(of: "</\(element)>")).lowerBound
    let digest = SHA256.hash(Array(parts[1][..<content].utf8))
    var fields = ByteBuffer()
    Dashboard.appendPolicy(to: &fields)
    let policy = String(decoding: fields.array, as: UTF8.self)
    #expect(policy.contains("\(element)-src 'sha256-\(Base64.encodeStandard(digest))'"))
  }
}
