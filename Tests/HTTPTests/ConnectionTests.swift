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

  @Test func `of a chunked body only the head and what is decoded is kept`() {
    let wire = Wire()
    wire.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r")
    let chunks = Array(String(repeating: "\nA\r\n1\r", count: 10_000).utf8)
    for start in stride(from: 0, to: chunks.count, by: 997) {
      wire.send(Array(chunks[start..<min(start + 997, chunks.count)]))
    }
    // 10,000 bytes in chunks of one came as 60,000.
    #expect(wire.heldByteCount < 20_000 + 1024)
    let answer = wire.send("\nB\r\n0\r\n\r\n" + get)
    #expect(answer.occurrences(of: "HTTP/1.1 200") == 2)
    #expect(wire.recorder.bodies[0] == String(repeating: "A", count: 10_000) + "B")
    #expect(wire.isAtRest && wire.heldByteCount == 0)
  }

  @Test func `a body of known length takes no more memory than it has bytes`() {
    let wire = Wire()
    wire.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    for _ in 0..<99 { wire.send(String(repeating: "x", count: 10_000)) }
    #expect(wire.heldByteCount < 1_000_200)
    #expect(wire.send(String(repeating: "x", count: 10_000)).status == 200)
    #expect(wire.heldByteCount == 0)
  }

  @Test(arguments: [
    // What comes behind the head, whether it is skipped and the connection kept.
    ("Content-Length: 5\r\n\r\nhello", true), ("Content-Length: 65536\r\n\r\nhel", true),
    ("Content-Length: 65537\r\n\r\nhel", false),
    ("Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", false),
    ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true),
    ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false),
  ])
  func `what needs no body is answered from the head`(rest: String, isKept: Bool) {
    for (line, status) in [("POST /health", 405), ("PUT /none", 404), ("GET /health", 200)] {
      let wire = Wire()
      wire.recorder.skipsBodies = true
      let answer = wire.send("\(line) HTTP/1.1\r\nHost: a\r\n" + rest)
      #expect(answer.status == status)
      #expect(answer.contains("Connection: close\r\n") != isKept)
      #expect(wire.isFinished != isKept && wire.mustLinger != isKept)
      #expect(wire.heldByteCount == 0)
      #expect(wire.recorder.bodies.allSatisfy { $0 == "" })
    }
  }

  @Test func `what is left of a body that nobody wants is no request`() {
    let wire = Wire()
    wire.recorder.skipsBodies = true
    #expect(
      wire.send("POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" + get).status
        == 405)
    #expect(!wire.isAtRest)
    let left = 100 - get.utf8.count
    #expect(wire.send(String(repeating: "x", count: left - 1)) == "")
    #expect(wire.send("x" + get).status == 200)
    #expect(wire.isAtRest && wire.recorder.answers.map(\.status) == [405, 200])
  }

  @Test func `a body that nobody wants and that never comes is no slow request`() {
    let wire = Wire()
    wire.recorder.skipsBodies = true
    wire.send("POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    #expect(wire.timeOut() == "")
    #expect(wire.isFinished)
  }

  @Test func `a short body over the limit is told so and skipped`() {
    let wire = Wire { $0.bodyByteCount = 1000 }
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n"
    #expect(wire.send(head).status == 413)
    #expect(wire.send(String(repeating: "x", count: 2000) + get).status == 200)
  }

  @Test func `a refused chunked body leaves no memory behind`() {
    let wire = Wire { $0.bodyByteCount = 5000 }
    wire.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    wire.send("1000\r\n" + String(repeating: "x", count: 4096) + "\r\n")
    #expect(wire.send("1000\r\n").status == 413)
    #expect(wire.isFinished && wire.heldByteCount == 0)
  }

  @Test func `in a place that is kept for probes only those are answered, once`() {
    let probe = Wire()
    probe.beGuest()
    let answer = probe.send(get + get)
    #expect(answer.occurrences(of: "HTTP/1.1 200") == 1)
    #expect(answer.contains("Connection: close\r\n") && probe.isFinished)
    let other = Wire()
    other.beGuest()
    #expect(other.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 503)
    #expect(other.isFinished && other.recorder.bodies.isEmpty)
  }

  @Test func `a connection that has had its share of a turn pauses after a request`() {
    let wire = Wire()
    wire.response.visitEnd = 0
    wire.recorder.bigByteCount = 10
    let request = "GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
    var answer = wire.send(request + request + request)
    #expect(wire.recorder.answers.count == 1 && wire.isPaused)
    answer += wire.resume()
    #expect(wire.recorder.answers.count == 2 && wire.isPaused)
    answer += wire.resume()
    #expect(answer.occurrences(of: "HTTP/1.1 200") == 3 && wire.isAtRest)
  }

  @Test func `of prepared answers sixteen are a share at least`() {
    let wire = Wire()
    wire.response.visitEnd = 0
    wire.send(String(repeating: get, count: 100))
    #expect(wire.recorder.answers.count == 16)
    while wire.isPaused { _ = wire.resume() }
    #expect(wire.recorder.answers.count == 100)
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

  @Test func `a chunked body that waits for its turn stays before what follows it`() {
    let wire = Wire()
    wire.response.spare = ByteBuffer(capacity: 64 << 10)
    wire.response.postponesBodies = true
    let body = String(repeating: "x", count: 0x5000)
    var answer = wire.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5000\r\n\(body)\r\n"
        + "0\r\n\r\n" + get)
    let hasTaken = !wire.response.spare.isEmpty
    #expect(!hasTaken)
    wire.response.postponesBodies = false
    while wire.isPaused { answer += wire.resume() }
    answer += wire.resume()
    #expect(wire.recorder.bodies.first == body)
    #expect(answer.hasSuffix(#"{"health": "ok"}"#))
  }
}
