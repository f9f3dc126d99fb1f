import SidecarPlatform
import Testing

@testable import SidecarEvents

/// The client's end with a peer that answers by hand.
private final class Client {
  var session = EventSession(
    id: SessionID(high: 1, low: 2), windowByteCount: 4096, pending: PendingEvents())
  let counter: Int

  init() { counter = session.pending.register("a", "", isTiming: false) }

  func add(_ count: UInt64) { session.pending.add(counter, count) }

  /// Everything that wants to be sent, as the lines of its frames.
  func send() -> [String] {
    session.fill()
    var bytes = ByteBuffer()
    while session.unsent.byteCount > 0 {
      bytes.append(session.unsent)
      let count = session.unsent.byteCount
      session.sent(count)
    }
    var frames: [String] = []
    var start = 0
    while case .frame(let range) = Frame.next(in: bytes.bytes, from: start, limit: 1 << 20) {
      frames.append(text(bytes.bytes.extracting(range)))
      start = range.upperBound
    }
    return frames
  }

  func answer(_ number: UInt64) -> Bool {
    session.received(frame("_ack|\(number)").span.bytes, now: 0)
  }
}

private let greeting = "_session|00000000000000010000000000000002"

@Test func `increments of a turn add up to one line of one frame`() {
  let client = Client()
  client.add(1)
  client.add(2)
  client.session.connected()
  #expect(client.send() == [greeting, "_seq|1\na:3|c"])
  client.add(4)
  #expect(client.send() == ["_seq|2\na:4|c"])
  #expect(client.answer(0) && client.answer(2))
  let isDrained = client.session.isDrained
  #expect(isDrained)
}

@Test func `what is not acknowledged is sent again, what is, is not`() {
  let client = Client()
  client.session.connected()
  for count in 1...3 {
    client.add(UInt64(count))
    _ = client.send()
  }
  #expect(client.answer(0) && client.answer(1))
  client.session.disconnected(now: 0)
  client.add(9)
  client.session.connected()
  #expect(client.send() == [greeting, "_seq|2\na:2|c", "_seq|3\na:3|c", "_seq|4\na:9|c"])
}

@Test func `a sidecar that lost its state gets a new session with all that is not acknowledged`() {
  let client = Client()
  client.session.connected()
  for count in 1...12 {
    client.add(UInt64(count))
    _ = client.send()
  }
  #expect(client.answer(0) && client.answer(10))
  client.session.disconnected(now: 0)
  client.session.connected()
  _ = client.send()
  let isAccepted = client.answer(0)
  #expect(!isAccepted)
  client.session.disconnected(now: 0)
  client.session.connected()
  let frames = client.send()
  #expect(frames.first?.hasPrefix("_session|") == true && frames.first != greeting)
  #expect(Array(frames.dropFirst()) == ["_seq|1\na:11|c", "_seq|2\na:12|c"])
}

@Test func `an outage costs no memory but a sum`() {
  let client = Client()
  client.session.connected()
  var sent: [String] = []
  for _ in 0..<100_000 {
    client.add(1)
    sent += client.send()
  }
  // 4096 bytes of window hold so many frames; the rest is one number.
  #expect(sent.count < 300)
  let isFull = client.session.isFull
  #expect(isFull)
  #expect(client.answer(0) && client.answer(UInt64(sent.count - 1)))
  #expect(client.send() == ["_seq|\(sent.count)\na:\(100_000 - (sent.count - 1))|c"])
}

@Test func `attempts to connect wait twice as long each time, up to a second`() {
  let client = Client()
  client.add(1)
  var waits: [UInt64] = []
  for _ in 0..<9 {
    client.session.disconnected(now: 0)
    waits.append(client.session.nextAttempt / 1_000_000)
  }
  #expect(waits == [10, 20, 40, 80, 160, 320, 640, 1000, 1000])
}

@Test func `durations combine without losing count or sum`() throws {
  var pending = PendingEvents()
  let index = pending.register("t", "x:y", isTiming: true)
  var sum: UInt64 = 0
  for _ in 0..<10_000 {
    let duration = UInt64.random(in: 500...3_000_000)
    sum += duration
    pending.observe(index, duration)
  }
  var buffer = ByteBuffer()
  pending.drain(into: &buffer, limit: 1 << 20)
  #expect(pending.isEmpty)
  var lines = LineReader(start: 0, end: buffer.count)
  var count = 0.0
  var seconds = 0.0
  while lines.next(buffer.bytes) {
    let line = buffer.bytes.extracting(lines.line)
    let event = try EventLine.parse(line)
    var position = event.values.lowerBound
    let value = try #require(try event.nextValue(line, &position))
    count += event.weight
    seconds += value.number * event.weight
  }
  #expect(count == 10_000)
  #expect(abs(seconds - Double(sum) / 1e9) < 1e-8)
}

@Test(arguments: [1, 2, 3, 7, 9999, 10_000, 10_001, 123_457, 99_999_999, 100_000_000, 300_000_001])
func `any count comes back from the rates that carry it`(count: UInt64) throws {
  var pending = PendingEvents()
  let index = pending.register("t", "", isTiming: true)
  pending.observe(index, 1000, count: count)
  var buffer = ByteBuffer()
  pending.drain(into: &buffer, limit: 1 << 20)
  var lines = LineReader(start: 0, end: buffer.count)
  var sum = 0.0
  while lines.next(buffer.bytes) {
    sum += try EventLine.parse(buffer.bytes.extracting(lines.line)).weight
  }
  #expect(sum == Double(count))
}
