import SidecarPlatform
import Testing

@testable import SidecarHTTP

private let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

@Suite struct ChunkedDecoderTests {
  static let valid = [
    ("0\r\n\r\n", "", "an empty body"),
    ("5\r\nhello\r\n0\r\n\r\n", "hello", "one chunk"),
    ("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello", "two chunks"),
    ("00005;a=b;c=\"d\"\r\nhello\r\n000\r\n\r\n", "hello", "extensions and leading zeros"),
    ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789", "a size in upper case"),
    ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789", "a size in lower case"),
    ("1\r\na\r\n0\r\nX: 1\r\nY: 2\r\n\r\n", "a", "trailer fields"),
  ]

  static let refused = [
    ("\r\n", 400, "no size"),
    ("+5\r\nhello\r\n0\r\n\r\n", 400, "a signed size"),
    ("0x5\r\nhello\r\n0\r\n\r\n", 400, "a prefixed size"),
    ("5 \r\nhello\r\n0\r\n\r\n", 400, "a blank behind the size"),
    (" 5\r\nhello\r\n0\r\n\r\n", 400, "a blank before the size"),
    ("g\r\n", 400, "no digit"),
    ("5\nhello\r\n0\r\n\r\n", 400, "a bare LF"),
    ("5\rhello\r\n0\r\n\r\n", 400, "a bare CR"),
    ("5\r\nhello0\r\n\r\n", 400, "no end of a chunk"),
    ("4\r\nhello\r\n0\r\n\r\n", 400, "a chunk longer than its size"),
    ("5;\u{1}\r\nhello\r\n0\r\n\r\n", 400, "a control character in an extension"),
    ("5;a\nb\r\nhello\r\n0\r\n\r\n", 400, "a bare LF in an extension"),
    ("0\r\n fold\r\n\r\n", 400, "a folded trailer"),
    ("100001\r\n", 413, "one byte too many"),
    ("FFFFFFFFFFFFFFFF\r\n", 413, "all of 64 bits"),
    ("10000000000000005\r\nhello\r\n0\r\n\r\n", 413, "a size that wraps around"),
    ("5;" + String(repeating: "a", count: 20_000), 413, "an extension without an end"),
    (String(repeating: "0", count: 20_000), 413, "zeros without an end"),
    ("0\r\n" + String(repeating: "X: 1\r\n", count: 5000), 413, "trailers without an end"),
  ]

  @Test(arguments: valid)
  func `a chunked body is decoded, wherever it is cut`(coded: String, body: String, _: String) {
    #expect(Wire().send(head + coded).body == body)
    for cut in 0...coded.utf8.count {
      let wire = Wire()
      let bytes = Array(coded.utf8)
      var answer = wire.send(Array(head.utf8) + bytes[..<cut])
      answer += wire.send(Array(bytes[cut...]))
      #expect(answer.body == body)
      #expect(!wire.isFinished)
    }
  }

  @Test(arguments: refused)
  func `a malformed chunk ends the connection`(coded: String, status: Int, _: String) {
    let wire = Wire()
    #expect(wire.send(head + coded).status == status)
    #expect(wire.isFinished)
  }

  @Test func `the request behind a chunked body is the next one`() {
    let wire = Wire()
    let answer = wire.send(
      head + "2\r\nhi\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n" + head + "0\r\n\r\n")
    #expect(answer.occurrences(of: "HTTP/1.1 200") == 3)
    #expect(wire.recorder.bodies == ["hi", "", ""])
  }

  @Test func `many small chunks are one body`() {
    let wire = Wire()
    let coded = String(repeating: "1\r\nx\r\n", count: 50_000) + "0\r\n\r\n"
    #expect(wire.send(head + coded).body.utf8.count == 50_000)
  }
}
