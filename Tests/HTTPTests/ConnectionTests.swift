import SidecarPlatform
import Testing

@testable import SidecarHTTP

private let get = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"

@Suite struct ConnectionTests {
  @Test func `a prepared answer is rendered to the byte`() {
    let wire = Wire()
    let date = String(decoding: wire.response.date.text.array, as: UTF8.self)
    #expect(
      wire.send(get)
        == "HTTP/1.1 200 OK\r\nDate: \(date)\r\nContent-Type: application/json\r\n"
        + "Content-Length: 16\r\n\r\n{\"health\": \"ok\"}")
  }

  @Test(arguments: [
    (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
    (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
  ])
  func `a date is as the RFC writes it`(seconds: Int64, expected: String) {
    var buffer = ByteBuffer()
    HTTPDate.append(seconds, to: &buffer)
    let text = String(decoding: buffer.array, as: UTF8.self)
    #expect(text == expected)
  }

  @Test func `requests sent together are answered together, in order`() {
    let wire = Wire()
    let answer = wire.send(get + "GET / HTTP/1.1\r\nHost: a\r\n\r\n" + get)
    #expect(answer.occurrences(of: "HTTP/1.1 200") == 3)
    #expect(wire.recorder.answers.map(\.route) == [1, 0, 1])
  }

  private func withoutDate(_ answer: String) -> String {
    answer.split(separator: "\r\n", omittingEmptySubsequences: false)
      .filter { !$0.hasPrefix("Date: ") }.joined(separator: "\r\n")
  }

  @Test func `an answer to HEAD has the length and no body`() {
    for path in ["/health", "/big", "/nothing"] {
      let head = Wire().send("HEAD \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
      let full = Wire().send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(head.hasSuffix("\r\n\r\n"))
      // The two may be a second apart.
      #expect(withoutDate(full).hasPrefix(withoutDate(head)))
      #expect(full.utf8.count > head.utf8.count)
    }
  }

  @Test func `a body of unknown length gets its length at the end`() {
    let answer = Wire().send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(answer.contains("Content-Length:    1000000\r\n"))
    #expect(answer.body.utf8.count == 1_000_000)
  }

  @Test func `extra fields are part of a problem's head`() {
    let answer = Wire().send("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(answer.status == 405)
    #expect(answer.contains("Allow: GET, HEAD\r\n"))
  }

  @Test func `a problem is a document`() {
    #expect(
      Wire().send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").body
        == #"{"type":"about:blank","title":"Not Found","status":404,"#
        + #""detail":"there is nothing at this path"}"#)
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true, "Connection: close"),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE , y\r\n\r\n", true, "Connection: close"),
    ("GET / HTTP/1.0\r\n\r\n", true, "Connection: close"),
    ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false, "Connection: keep-alive"),
    ("GET /x HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", true, "Connection: close"),
  ])
  func `the connection lives as long as the client wants`(
    request: String, isFinished: Bool, field: String
  ) {
    let wire = Wire()
    #expect(wire.send(request).contains(field + "\r\n"))
    #expect(wire.isFinished == isFinished)
  }

  @Test func `nothing is answered behind the last request`() {
    let wire = Wire()
    let answer = wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + get)
    #expect(answer.occurrences(of: "HTTP/1.1 ") == 1)
    #expect(wire.isFinished)
  }

  @Test func `100 Continue comes before the body, once`() {
    let wire = Wire()
    let head =
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    #expect(wire.send(head) == "HTTP/1.1 100 Continue\r\n\r\n")
    #expect(wire.send("h") == "")
    #expect(wire.send("i").body == "hi")
    #expect(wire.send(head + "hi").body == "hi")
  }

  @Test func `a body that is too large is refused before it is sent`() {
    let head =
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n"
    #expect(Wire().send(head).status == 413)
  }

  @Test func `a body ends where its length says`() {
    let wire = Wire()
    let post = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    let answer = wire.send(post + get + post + get)
    #expect(answer.occurrences(of: "HTTP/1.1 200") == 4)
    #expect(wire.recorder.bodies == ["hello", "", "hello", ""])
  }

  @Test func `deep pipelines pause at the limit and go on`() {
    let wire = Wire()
    var answer = wire.send(String(repeating: get, count: 5000))
    #expect(wire.isPaused)
    #expect(answer.utf8.count < Connection.outputLimit + 1000)
    while wire.isPaused { answer += wire.resume() }
    #expect(wire.recorder.answers.count == 5000)
    #expect(answer.hasSuffix("}"))
    #expect(wire.isAtRest)
  }

  @Test func `a request that nobody answers is answered 500`() {
    let wire = Wire()
    #expect(wire.send("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n").status == 500)
  }

  @Test func `while stopping each answer is the last`() {
    let wire = Wire()
    wire.stop()
    #expect(wire.send(get).contains("Connection: close\r\n"))
    #expect(wire.isFinished)
  }

  @Test func `time runs from the first byte of a request`() {
    let wire = Wire()
    let start = wire.now
    #expect(wire.deadline == start + wire.limits.headMilliseconds * 1_000_000)
    wire.now += 5_000_000_000
    wire.send("GET")
    wire.now += 5_000_000_000
    wire.send(" /")
    #expect(wire.deadline == start + 5_000_000_000 + wire.limits.headMilliseconds * 1_000_000)
    wire.send("health HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(wire.deadline == wire.now + wire.limits.idleMilliseconds * 1_000_000)
    #expect(wire.recorder.answers.first?.arrivedAt == start + 5_000_000_000)
  }

  @Test func `a slow request is told so and a silent client is not`() {
    for part in ["GET /", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhal"] {
      let slow = Wire()
      slow.send(part)
      #expect(slow.timeOut().status == 408)
      #expect(slow.isFinished)
    }
    let silent = Wire()
    #expect(silent.timeOut() == "")
    #expect(silent.isFinished)
    #expect(silent.recorder.answers.isEmpty)
  }
}
