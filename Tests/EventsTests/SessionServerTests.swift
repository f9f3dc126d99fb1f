import SidecarPlatform
import Testing

@testable import SidecarEvents

/// What a sidecar does with the steps of one connection: it keeps a position and the lines applied.
struct Store {
  var position: UInt64 = 0
  var lines: [String] = []

  /// Feeds `bytes`, keeps what is left over in `buffer`; a reason if the connection was closed.
  mutating func feed(
    _ server: inout SessionServer, _ buffer: inout ByteBuffer, _ bytes: [UInt8]
  ) -> SessionServer.Reason? {
    buffer.append(bytes)
    var reason: SessionServer.Reason?
    steps: while true {
      switch server.next(buffer.bytes, lastApplied: position) {
      case .needMore: break steps
      case .open: server.opened(lastApplied: position)
      case .apply(let start, let end, let number):
        if number > 0 { position = number }
        var reader = LineReader(start: start, end: end)
        while reader.next(buffer.bytes) { lines.append(text(buffer.bytes.extracting(reader.line))) }
      case .close(let why):
        reason = why
        break steps
      }
    }
    buffer.removeFirst(server.takeConsumed())
    server.committed(lastApplied: position)
    return reason
  }
}

func text(_ bytes: RawSpan) -> String {
  String(decoding: (0..<bytes.byteCount).map { bytes.at($0) }, as: UTF8.self)
}

func frame(_ text: String) -> [UInt8] {
  var buffer = ByteBuffer()
  let start = Frame.begin(&buffer)
  buffer.append(text)
  Frame.end(start, &buffer)
  return buffer.array
}

let hello = frame("_session|00112233445566778899aabbccddeeff")

@Test func `a session is answered with its position and each frame with its number`() {
  var store = Store(position: 0)
  var server = SessionServer()
  var buffer = ByteBuffer()
  #expect(store.feed(&server, &buffer, hello) == nil)
  #expect(server.output.array == frame("_ack|0"))
  server.output.removeAll()
  #expect(
    store.feed(&server, &buffer, frame("_seq|1\na:1|c\nb:2|c") + frame("_seq|2\nc:3|c")) == nil)
  #expect(server.output.array == frame("_ack|2"))
  #expect(store.lines == ["a:1|c", "b:2|c", "c:3|c"])
}

@Test func `a frame that comes again is acknowledged and not applied`() {
  var store = Store(position: 7)
  var server = SessionServer()
  var buffer = ByteBuffer()
  #expect(
    store.feed(&server, &buffer, hello + frame("_seq|7\na:1|c") + frame("_seq|8\nb:1|c")) == nil)
  #expect(server.output.array == frame("_ack|7") + frame("_ack|8"))
  #expect(store.lines == ["b:1|c"])
  #expect(server.duplicateFrames == 1)
}

@Test func `a missing frame closes the connection after the hello was answered`() {
  var store = Store(position: 3)
  var server = SessionServer()
  var buffer = ByteBuffer()
  #expect(store.feed(&server, &buffer, hello + frame("_seq|5\na:1|c")) == .gap)
  #expect(server.output.array == frame("_ack|3"))
  #expect(store.lines == [] && store.position == 3)
}

@Test(arguments: [
  (frame("_seq|1\na:1|c"), SessionServer.Reason.malformed),
  (frame("_session|" + "0123456789abcdef0123456789abcdef" + "\na:1|c"), .malformed),
  (hello + frame("a:1|c"), .malformed), (hello + frame("_seq|0\na:1|c"), .malformed),
  (hello + frame("_seq|x\na:1|c"), .malformed), (hello + hello, .malformed),
  (hello + frame("_seq|18446744073709551616\na:1|c"), .malformed),
  ([0, 0, 0x20, 0], .tooLong), ([0xff, 0xff, 0xff, 0xff], .tooLong),
])
func `what breaks the protocol closes the connection`(
  bytes: [UInt8], reason: SessionServer.Reason
) {
  var store = Store()
  var server = SessionServer()
  var buffer = ByteBuffer()
  #expect(store.feed(&server, &buffer, bytes) == reason)
  #expect(store.lines.isEmpty)
  #expect(store.feed(&server, &buffer, frame("a:1|c")) == reason)
}

@Test func `frames without a session and plain lines are applied`() {
  var store = Store()
  var framed = SessionServer()
  var buffer = ByteBuffer()
  #expect(
    store.feed(&framed, &buffer, frame("a:1|c\n\nb:1|c\n") + frame("") + frame("c:1|c")) == nil)
  var plain = SessionServer()
  #expect(store.feed(&plain, &buffer, Array("d:1|c\r\ne:1|c\nf:1".utf8)) == nil)
  #expect(store.feed(&plain, &buffer, Array("|c\n".utf8)) == nil)
  #expect(store.lines == ["a:1|c", "b:1|c", "c:1|c", "d:1|c", "e:1|c", "f:1|c"])
  #expect(framed.output.isEmpty && plain.output.isEmpty && plain.isPlain)
}

@Test func `a stream cut anywhere comes to the same`() {
  var stream = hello
  for number in 1...200 {
    stream += frame("_seq|\(number)\n" + String(repeating: "x:\(number)|c\n", count: number % 7))
  }
  var whole = Store()
  var server = SessionServer()
  var buffer = ByteBuffer()
  #expect(whole.feed(&server, &buffer, stream) == nil)
  #expect(whole.position == 200)
  var generator = SystemRandomNumberGenerator()
  for _ in 0..<50 {
    var cut = Store()
    var server = SessionServer()
    var buffer = ByteBuffer()
    var rest = stream[...]
    while !rest.isEmpty {
      let size = Int.random(in: 1...40, using: &generator)
      #expect(cut.feed(&server, &buffer, Array(rest.prefix(size))) == nil)
      rest = rest.dropFirst(size)
    }
    #expect(cut.lines == whole.lines && cut.position == 200)
  }
}

@Test func `a client that reads no acknowledgements is sent the newest only`() {
  var store = Store()
  var server = SessionServer()
  var buffer = ByteBuffer()
  _ = store.feed(&server, &buffer, hello)
  for number in 1...10_000 { _ = store.feed(&server, &buffer, frame("_seq|\(number)\na:1|c")) }
  #expect(server.output.count < 128)
  server.output.removeAll()
  server.committed(lastApplied: store.position)
  #expect(server.output.array == frame("_ack|10000"))
}

private func isPlain(_ bytes: [UInt8]) -> Bool { Frame.isPlainText(bytes.span.bytes) }

@Test(arguments: [
  "jobs", "\n\ta:", "é:1|", "作業:1", "a:€|",
])
func `four bytes of text, ASCII or not, are the start of plain lines`(_ text: String) {
  #expect(isPlain(Array(text.utf8)))
}

@Test func `no length of a frame that is allowed looks like text, nor do bytes that are none`() {
  for length in Array(0..<70_000) + stride(from: 0, through: 64 << 20, by: 4093) {
    let bytes = withUnsafeBytes(of: UInt32(length).littleEndian) { Array($0) }
    #expect(!isPlain(bytes), "\(length)")
  }
  for bytes: [UInt8] in [
    [255, 255, 255, 127], [0x80, 97, 97, 97], [97, 0xc0, 97, 97], [97, 127, 97, 97],
  ] {
    #expect(!isPlain(bytes), "\(bytes)")
  }
}

@Test func `a plain line beyond its limit is told once and skipped, wherever it is cut`() {
  let long = Array(repeating: UInt8(ascii: "a"), count: 300)
  let stream = long + Array("\nb:1|c\n".utf8)
  for cut in 1..<stream.count {
    var store = Store()
    var server = SessionServer(lineByteLimit: 100)
    var buffer = ByteBuffer()
    #expect(store.feed(&server, &buffer, Array(stream[..<cut])) == nil)
    #expect(buffer.count <= 101)
    #expect(store.feed(&server, &buffer, Array(stream[cut...])) == nil)
    #expect(store.lines.count == 2 && store.lines[0].utf8.count > 100, "\(cut)")
    #expect(store.lines.last == "b:1|c")
  }
}

@Test func `a line as long as the limit may end in CR LF`() {
  let line = Array(repeating: UInt8(ascii: "a"), count: 100)
  for cut in 1...101 {
    var store = Store()
    var server = SessionServer(lineByteLimit: 100)
    var buffer = ByteBuffer()
    let stream = line + [13, 10]
    #expect(store.feed(&server, &buffer, Array(stream[..<cut])) == nil)
    #expect(store.feed(&server, &buffer, Array(stream[cut...])) == nil)
    #expect(store.lines.count == 1, "\(cut)")
  }
}

@Test func `a refused session closes`() {
  var server = SessionServer()
  var buffer = ByteBuffer()
  buffer.append(hello)
  #expect(
    server.next(buffer.bytes, lastApplied: 0)
      == .open(SessionID(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff)))
  server.refused()
  #expect(server.next(buffer.bytes, lastApplied: 0) == .close(.sessionRefused))
}

@Test func `two connections of one session apply a frame once between them`() {
  var store = Store()
  var old = SessionServer()
  var new = SessionServer()
  var oldBuffer = ByteBuffer()
  var newBuffer = ByteBuffer()
  _ = store.feed(&old, &oldBuffer, hello)
  _ = store.feed(&new, &newBuffer, hello + frame("_seq|1\na:1|c"))
  _ = store.feed(&old, &oldBuffer, frame("_seq|1\na:1|c"))
  #expect(store.lines == ["a:1|c"])
}

@Test(arguments: [
  ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true), ("POST /a:1|c HTTP/1.1\njobs:1|c\n", true),
  ("OPTIONS * HTTP/1.0\njobs:1|c\n", true), ("PRI * HTTP/2.0\r\n", true),
  ("CONNECT a:80 HTTP/1.1\r\n", true), ("POST /" + String(repeating: "x", count: 100), true),
  ("GET http://a/" + String(repeating: "x", count: 100), true),
  ("GET /users:1|c\n", false), ("GET / HTTP/1.1:1|c\n", false), ("jobs HTTP/1.1\n", false),
  ("get / HTTP/1.1\n", false), ("jobs:1|c\nGET / HTTP/1.1\n", false), ("HTTP/1.1\n", false),
  ("A HTTP/1.1\n", false), ("GET x" + String(repeating: "x", count: 100) + ":1|c\n", false),
])
func `text that begins with a request of HTTP ends the connection, wherever it is cut`(
  _ text: String, _ isRequest: Bool
) {
  let bytes = Array(text.utf8)
  for isPlain in [false, true] {
    for cut in 4..<max(5, bytes.count) {
      var store = Store()
      var server = SessionServer(lineByteLimit: 64, isPlain: isPlain)
      var buffer = ByteBuffer()
      var reason = store.feed(&server, &buffer, Array(bytes[..<min(cut, bytes.count)]))
      if reason == nil { reason = store.feed(&server, &buffer, Array(bytes.dropFirst(cut))) }
      #expect((reason == .request) == isRequest, "\(text) cut at \(cut)")
      if isRequest { #expect(store.lines == []) }
    }
  }
}
