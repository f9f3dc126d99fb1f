import SidecarPlatform
import Testing

@testable import SidecarHTTP

/// A request as it is sent, the status it must get, and what the row shows.
struct Row: CustomTestStringConvertible, Sendable {
  let request: String
  let status: Int
  let shows: String
  var testDescription: String { shows }

  init(_ request: String, _ status: Int, _ shows: String) {
    self.request = request
    self.status = status
    self.shows = shows
  }
}

let validRows = [
  Row("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, "the least that is a request"),
  Row("GET / HTTP/1.1\r\nhOsT:a\r\n\r\n", 200, "names in any case, no blank after the colon"),
  Row("GET / HTTP/1.1\r\nHost: \t a:80 \t\r\n\r\n", 200, "blanks around a value"),
  Row("GET / HTTP/1.1\r\nHost:\r\n\r\n", 200, "an empty Host"),
  Row("GET / HTTP/1.1\r\nHost: [::1]:8081\r\n\r\n", 200, "an IPv6 host"),
  Row("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, "empty lines before a request"),
  Row("GET /?a=b&c HTTP/1.1\r\nHost: a\r\n\r\n", 200, "a query"),
  Row("GET http://a/health HTTP/1.1\r\nHost: a\r\n\r\n", 200, "absolute form"),
  Row("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", 200, "absolute form without a path"),
  Row("GET HTTPS://a:443?q HTTP/1.1\r\nHost: a\r\n\r\n", 200, "absolute form, query, no path"),
  Row("GET / HTTP/1.0\r\n\r\n", 200, "HTTP/1.0 needs no Host"),
  Row("GET / HTTP/1.9\r\nHost: a\r\n\r\n", 200, "a higher minor version"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\t!\r\nEmpty:\r\n\r\n", 200, "bytes from 0x80, tabs"),
  Row("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 200, "a sized body"),
  Row("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 00\r\n\r\n", 200, "leading zeros"),
  Row(
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200,
    "a chunked body"),
  Row("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, "an unknown path"),
  Row("GET /health/ HTTP/1.1\r\nHost: a\r\n\r\n", 404, "a path is matched whole"),
  Row("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405, "another method"),
  Row("FROB / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "a method nobody knows"),
  Row("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404, "asterisk form"),
]

let refusedRows = [
  Row("GET / HTTP/1.1\r\n\r\n", 400, "no Host"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "two Hosts"),
  Row("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400, "two Hosts in HTTP/1.0"),
  Row("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "a Host with a blank"),
  Row("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, "a Host list"),
  Row("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "a Host with a user"),
  Row("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "a blank before the colon"),
  Row("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400, "a tab before the colon"),
  Row("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "a blank before the first field"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400, "a folded line"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\t2\r\n\r\n", 400, "a line folded by a tab"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n", 400, "a bare CR in a value"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nX: 12345678901\r23\r\n\r\n", 400, "a bare CR further in"),
  Row("GET / HTTP/1.1\rX: 1\r\nHost: a\r\n\r\n", 400, "a bare CR behind the version"),
  Row("GET / HTTP/1.1\r\rHost: a\r\n\r\n", 400, "CR CR behind the version"),
  Row("GET /\rHTTP/1.1\r\nHost: a\r\n\r\n", 400, "a bare CR in the request line"),
  Row("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a bare CR before the request"),
  Row("GET / HTTP/1.1\rX", 400, "a bare CR in a head that has not ended"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nX\r: 1\r\n\r\n", 400, "a bare CR in a name"),
  Row("GET / HTTP/1.1\nHost: a\n\n", 400, "bare LF for line ends"),
  Row("GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", 400, "one bare LF"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400, "NUL in a value"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nX: 1234567\u{7f}89\r\n\r\n", 400, "DEL in a value"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nX\0: 1\r\n\r\n", 400, "NUL in a name"),
  Row("GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", 400, "no name"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", 400, "no colon"),
  Row("GET / HTTP/1.1\r\nHost: a\r\n(x): 1\r\n\r\n", 400, "a name that is no token"),
  Row("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "two blanks in the request line"),
  Row("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "two blanks before the version"),
  Row("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "a blank behind the version"),
  Row(" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a blank before the method"),
  Row("GET /\r\n\r\n", 400, "HTTP/0.9"),
  Row("GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "NUL in the target"),
  Row("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a target that is not ASCII"),
  Row("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a fragment"),
  Row("GET health HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a relative target"),
  Row("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "asterisk form without OPTIONS"),
  Row("GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", 400, "absolute form without a host"),
  Row("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "absolute form with a user"),
  Row("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "another scheme"),
  Row("GET / http/1.1\r\nHost: a\r\n\r\n", 400, "the version in lower case"),
  Row("GET / HTTP/1\r\nHost: a\r\n\r\n", 400, "half a version"),
  Row("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "HTTP/2"),
  Row("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "the preface of HTTP/2"),
  Row("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "CONNECT"),
  Row("\u{16}\u{3}\u{1}\u{2}", 400, "TLS"),
  Row("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417, "an expectation nobody knows"),
  Row(lengths("5", "5"), 400, "two equal lengths"),
  Row(lengths("5", "6"), 400, "two lengths"),
  Row(lengths("5, 5"), 400, "a list of lengths"),
  Row(lengths("+5"), 400, "a signed length"),
  Row(lengths("-5"), 400, "a negative length"),
  Row(lengths("0x5"), 400, "a hexadecimal length"),
  Row(lengths("5 5"), 400, "a length with a blank inside"),
  Row(lengths(""), 400, "an empty length"),
  Row(lengths("5.0"), 400, "a fractional length"),
  Row(lengths("1048577"), 413, "one byte too many"),
  Row(lengths("99999999999999999999999999"), 413, "a length beyond 64 bits"),
  Row(lengths("5", coding: "chunked"), 400, "both lengths"),
  Row(coding("gzip"), 501, "another coding"),
  Row(coding("gzip, chunked"), 501, "two codings"),
  Row(coding("chunked, identity"), 501, "chunked not last"),
  Row(coding("xchunked"), 501, "nearly chunked"),
  Row(coding("\u{b}chunked"), 400, "a control character before chunked"),
  Row(coding("chunked", "chunked"), 400, "chunked twice"),
  Row("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "chunked in 1.0"),
  Row("GET /" + String(repeating: "a", count: 9000), 414, "a request line without an end"),
  Row(
    "GET /" + String(repeating: "a", count: 9000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414,
    "a long request line"),
  Row(
    "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 17_000), 431,
    "a field without an end"),
  Row(
    "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: 1\r\n", count: 100) + "\r\n", 431,
    "too many fields"),
]

func lengths(_ values: String..., coding: String? = nil) -> String {
  "POST /echo HTTP/1.1\r\nHost: a\r\n"
    + values.map { "Content-Length: \($0)\r\n" }.joined()
    + (coding.map { "Transfer-Encoding: \($0)\r\n" } ?? "") + "\r\nhello"
}

func coding(_ values: String...) -> String {
  "POST /echo HTTP/1.1\r\nHost: a\r\n"
    + values.map { "Transfer-Encoding: \($0)\r\n" }.joined() + "\r\n5\r\nhello\r\n0\r\n\r\n"
}

@Suite struct RequestParserTests {
  @Test(arguments: validRows)
  func `what is in order is answered and the connection lives on`(row: Row) {
    let wire = Wire()
    #expect(wire.send(row.request).status == row.status)
    #expect(wire.isFinished == row.request.contains("HTTP/1.0"))
    #expect(wire.isAtRest || wire.isFinished)
  }

  @Test(arguments: refusedRows)
  func `what could be read in two ways is refused and the connection ends`(row: Row) {
    let wire = Wire()
    let answer = wire.send(row.request + "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(answer.status == row.status)
    #expect(answer.occurrences(of: "HTTP/1.1 ") == 1)
    #expect(answer.contains("Connection: close\r\n"))
    #expect(answer.contains("Content-Type: application/problem+json\r\n"))
    #expect(wire.isFinished)
    #expect(wire.recorder.answers.map(\.status) == [row.status])
  }

  @Test(arguments: validRows + refusedRows)
  func `bytes that come one by one mean the same`(row: Row) {
    let whole = Wire()
    let pieces = Wire()
    let expected = whole.send(row.request)
    var answer = ""
    for byte in row.request.utf8 { answer += pieces.send([byte]) }
    #expect(answer.status == expected.status)
    #expect(answer.body == expected.body || row.status >= 400)
  }

  @Test func `names are tokens, and values have no control characters, of all bytes`() {
    let others = Array("!#$%&'*+-.^_`|~".utf8)
    for byte in UInt8.min...UInt8.max {
      let isAlphanumeric =
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
      let start = Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8)
      let inName = Wire().send(start + Array("x".utf8) + [byte] + Array("y: 1\r\n\r\n".utf8))
      let isName = isAlphanumeric || others.contains(byte) || byte == 58
      #expect(inName.status == (isName ? 200 : 400), "\(byte) in a name")
      let inValue = Wire().send(start + Array("x: a".utf8) + [byte] + Array("b\r\n\r\n".utf8))
      let isValue = byte == 9 || (byte >= 32 && byte != 127)
      #expect(inValue.status == (isValue ? 200 : 400), "\(byte) in a value")
    }
  }

  @Test func `a field is found by name`() throws {
    let bytes = Array("GET /a?b=c HTTP/1.1\r\nHost: h\r\nAccept:  text/html \r\n\r\n".utf8)
    let head = bytes.span.bytes
    guard
      case .request(let request) = RequestParser.parse(head, scanned: 0, limits: HTTPLimits())
    else {
      Issue.record("no request")
      return
    }
    let path = text(head.extracting(request.path))
    let query = text(head.extracting(request.query))
    var accept = ""
    if let value = request.field("accept", in: head) { accept = text(value) }
    var hasCookie = false
    if request.field("cookie", in: head) != nil { hasCookie = true }
    #expect(path == "/a")
    #expect(query == "b=c")
    #expect(accept == "text/html")
    #expect(!hasCookie)
  }

  @Test func `empty lines without end are refused, not kept`() {
    let wire = Wire()
    #expect(wire.send(String(repeating: "\r\n", count: 10_000)).status == 400)
    #expect(wire.isFinished)
  }
}
