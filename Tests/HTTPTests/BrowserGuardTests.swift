import SidecarPlatform
import Testing

@testable import SidecarHTTP

/// What a request is worth that has these lines beside its method.
private func verdict(
  _ method: String, _ lines: String..., allowing names: String = ""
) -> BrowserGuard.Verdict? {
  let bytes = Array("\(method) /x HTTP/1.1\r\n\(lines.joined(separator: "\r\n"))\r\n\r\n".utf8)
  let head = bytes.span.bytes
  guard case .request(let request) = RequestParser.parse(head, scanned: 0, limits: HTTPLimits())
  else { return nil }
  return BrowserGuard(allowing: names).check(request, head)
}

private let chrome = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0"

@Suite struct BrowserGuardTests {
  @Test(arguments: [
    ("10.0.0.7:8000", "http://10.0.0.7:8000"), ("localhost:8000", "http://localhost:8000"),
    ("localhost", "http://localhost:80"), ("LOCALHOST:80", "http://localhost"),
    ("[::1]:8000", "http://[::1]:8000"), ("m.example", "https://M.example"),
    ("m.example:443", "https://m.example"),
  ])
  func `a page of this server may write`(host: String, origin: String) {
    #expect(verdict("POST", "Host: \(host)", "Origin: \(origin)") == .allowed)
  }

  @Test(arguments: [
    ("10.0.0.7:8000", "http://evil.example"), ("10.0.0.7:8000", "null"), ("10.0.0.7:8000", ""),
    ("localhost:8000", "http://localhost"), ("localhost:80", "https://localhost"),
    ("localhost:8000", "http://localhost:8000.evil.example"),
    ("localhost:8000", "localhost:8000"), ("localhost:8000", "ftp://localhost:8000"),
    ("", "http://"), ("localhost", "http://localhost:8080"),
  ])
  func `a page of another origin may not`(host: String, origin: String) {
    for method in ["POST", "PUT", "DELETE", "PATCH", "FROB"] {
      #expect(verdict(method, "Host: \(host)", "Origin: \(origin)") == .foreignOrigin)
    }
  }

  @Test(arguments: [
    "127.0.0.1", "127.0.0.1:8000", "10.1.2.3:8000", "[::1]", "[fd00::7]:8000", "localhost",
    "LocalHost:8000", "m.example", "M.EXAMPLE:8000", "other",
  ])
  func `a browser reads by a number, localhost or an allowed name`(host: String) {
    for line in [chrome, "Accept-Language: de", "Sec-Fetch-Site: none", "sec-fetch-mode: cors"] {
      #expect(verdict("GET", "Host: \(host)", line, allowing: "m.example, Other") == .allowed)
      #expect(verdict("GET", line, "Host: \(host)", allowing: "*") == .allowed)
    }
  }

  @Test(arguments: [
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example",
    "1e1", "m.example.", "xm.example", "", ":8000", "a-1.2.3.4",
  ])
  func `a name that anybody can own is not read by in a browser`(host: String) {
    for line in [chrome, "Accept-Language: de", "Sec-Fetch-Site: none", "SEC-FETCH-DEST: empty"] {
      #expect(verdict("GET", "Host: \(host)", line, allowing: "m.example") == .unknownHost)
    }
    // Its own origin is the Host's, so this alone tells.
    if !host.isEmpty, host != ":8000" {
      #expect(
        verdict("POST", "Host: \(host)", "Origin: http://\(host)", chrome) == .unknownHost)
    }
  }

  @Test(arguments: [
    "User-Agent: Prometheus/2.42.0", "User-Agent: curl/8.0", "User-Agent: kube-probe/1.33",
    "Accept: text/html", "X-Mozilla: Mozilla/5.0", "User-Agent: x Mozilla/5.0", "Secret: x",
  ])
  func `programs are not touched`(line: String) {
    for method in ["GET", "POST", "PUT", "DELETE"] {
      #expect(verdict(method, "Host: sidecar.svc:8000", line) == .allowed)
    }
  }
}
