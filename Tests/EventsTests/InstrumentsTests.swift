import SidecarPlatform
import Testing

@testable import SidecarEvents

/// The client's instruments behind a session with a peer that answers by hand.
private final class Client {
  let table: InstrumentTable
  var session: EventSession<Instruments>

  init(maxSeries: Int = 100, windowByteCount: Int = 1 << 20) {
    let changes = Changes(nil)
    table = InstrumentTable(maxSeries: maxSeries, changes)
    session = EventSession(
      id: SessionID(high: 1, low: 2), windowByteCount: windowByteCount,
      pending: Instruments(table, changes))
  }

  func counter(_ name: String, _ tags: [(String, String)] = []) -> Counter {
    table.find("c", name, suffix: "_total", tags) { name, tags, changes, _ in
      Counter(name, type: "|c", tags: tags, changes)
    }
  }

  func gauge(_ name: String, _ tags: [(String, String)] = []) -> Gauge {
    table.find("g", name, tags) { name, tags, changes, _ in
      Gauge(name, type: "|g", tags: tags, changes)
    }
  }

  func distribution(_ name: String) -> Distribution {
    table.find("d", name, []) { name, tags, changes, bounds in
      Distribution(name, type: "|d", tags: tags, changes, bounds: bounds)
    }
  }

  func timing(_ name: String) -> Timing {
    table.find("t", name, suffix: "_seconds", []) { name, tags, changes, bounds in
      Timing(name, type: "|ms", tags: tags, changes, bounds: bounds?.map { $0 * 1000 })
    }
  }

  /// Everything that wants to be sent, as the lines of its frames, without the greeting.
  func send() -> [String] {
    session.pending.collect()
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
    return frames.filter { !$0.hasPrefix("_session|") }
  }

  /// The lines of the next frames, without their numbers.
  func lines() -> [String] {
    send().flatMap { $0.split(separator: "\n").dropFirst().map(String.init) }
  }

  func answer(_ number: UInt64) -> Bool {
    session.received(frame("_ack|\(number)").span.bytes, now: 0)
  }
}

@Test func `each kind of instrument writes its line`() {
  let client = Client()
  client.session.connected()
  client.counter("jobs.done", [("queue", "mail")]).add(2)
  client.counter("jobs.done", [("queue", "mail")]).add(1)
  #expect(client.lines() == ["jobs.done:3|c|#queue:mail"])
  let seconds = client.table.find("f", "cpu", []) { name, tags, changes, _ in
    FloatingPointCounter(name, type: "|c", tags: tags, changes)
  }
  for amount in [0.25, 0.5, -1, .nan, .infinity] { seconds.add(amount) }
  #expect(client.lines() == ["cpu:0.75|c"])
  let level = client.gauge("level")
  level.set(7)
  level.add(-9.5)
  #expect(client.lines() == ["level:-2.5|g"])
  level.set(.infinity)
  #expect(client.lines() == ["level:Inf|g"])
  let sizes = client.distribution("size")
  for value in [1, 2.5, .nan] { sizes.observe(value) }
  #expect(client.lines() == ["size:1:2.5|d"])
  let wait = client.timing("wait")
  wait.observe(.milliseconds(320))
  wait.observe(nanoseconds: 1500)
  #expect(client.lines() == ["wait:320:0.0015|ms"])
  #expect(client.lines().isEmpty)
}

@Test func `a gauge without a value says nothing`() {
  let client = Client()
  client.session.connected()
  _ = client.gauge("level")
  #expect(client.lines().isEmpty)
}

@Test(arguments: [
  ([("k", "v"), ("l", "w")], "k:v,l:w"),
  ([("k", "a,b|c\nd\\e:f#")], #"k:a\cb\pc\nd\\e:f#"#),
  ([("a:b|c,d\n#", "v")], "a_b_c_d__:v"),
  ([("k", "")], "k:"),
  ([("städte", "Köln")], "städte:Köln"),
])
func `a tag is one tag, whatever is in it`(tags: [(String, String)], text: String) {
  #expect(TagText.text(tags) == text)
}

@Test func `a name cannot begin a line of its own`() {
  let client = Client()
  client.session.connected()
  client.counter("a|b:c\nd").add()
  #expect(client.lines() == ["a_b_c_d:1|c"])
}

@Test func `what is declared takes the events of its name in other spellings`() {
  let client = Client()
  client.session.connected()
  for name in ["a_b_total", "c_d", "plain"] { client.table.declare(name, .counter, help: "") }
  client.table.declare("e_f_seconds", .histogram(bounds: [1]), help: "")
  #expect(client.lines().count == 4)
  client.counter("a.b").add()
  client.counter("c--d").add(2)
  client.counter("plain").add(3)
  client.counter("other.one").add(4)
  client.timing("e.f").observe(.seconds(2))
  let lines = ["a_b_total:1|c", "c_d:2|c", "plain:3|c", "other.one:4|c", "e_f_seconds:2000|ms"]
  #expect(Set(client.lines()) == Set(lines))
}

@Test func `declarations go first, and first in a session of a sidecar that has lost its state`() {
  let client = Client()
  client.session.connected()
  client.gauge("busy").set(1)
  client.table.declare("busy", .gauge(merge: .liveSum), help: "a|b\n\\, c")
  client.table.declare("busy", .gauge(merge: .liveSum), help: "a|b\n\\, c")
  client.table.declare("wait_seconds", .histogram(bounds: [0.1, 2]), help: "W")
  let declared = [
    #"_family|busy|gauge|a\pb\n\\, c|m:livesum"#, "_family|wait_seconds|histogram|W|b:0.1,2.0",
  ]
  #expect(client.lines() == declared + ["busy:1|g"])
  client.counter("jobs").add(3)
  #expect(client.lines() == ["jobs:3|c"])
  #expect(client.answer(0) && client.answer(1))
  client.session.disconnected(now: 0)
  client.session.connected()
  _ = client.send()
  // It knows nothing of the frame that it acknowledged.
  let isKnown = client.answer(0)
  #expect(!isKnown)
  client.session.disconnected(now: 0)
  client.session.connected()
  let frames = client.send()
  #expect(frames.map { $0.prefix(7) } == ["_seq|1\n", "_seq|2\n", "_seq|3\n"])
  #expect(Set(frames[0].split(separator: "\n").dropFirst().map(String.init)) == Set(declared))
  #expect(frames[1] == "_seq|2\njobs:3|c" && frames[2] == "_seq|3\nbusy:1|g")
}

@Test func `many declarations take several frames of whole lines, before those that wait`() {
  let client = Client(maxSeries: 20_000)
  let help = String(repeating: "h", count: 1000)
  for index in 0..<6000 { client.table.declare("f\(index)", .counter, help: help) }
  var opening = ByteBuffer()
  client.table.restart(into: &opening)
  // The rest is beyond the limit.
  #expect((4 << 20) - 1100..<4 << 20 ~= opening.count)
  var window = FrameWindow()
  // As full as it gets, and turned once.
  for turn in 0..<3000 {
    if !window.hasRoom { window.acknowledge(UInt64(turn - 1000)) }
    window.append { $0.append("\na:\(turn)|c") }
    let unsent = window.unsent.byteCount
    window.sent(unsent)
  }
  window.prepend(opening.bytes)
  window.renumber()
  var declared = 0
  var waiting: [Int] = []
  var number = 0
  var start = 0
  while case .frame(let range) = Frame.next(in: window.unsent, from: start, limit: 1 << 20) {
    let lines = text(window.unsent.extracting(range)).split(separator: "\n")
    number += 1
    #expect(lines[0] == "_seq|\(number)")
    if lines[1].hasPrefix("_family|f") {
      declared += lines.count - 1
      #expect(waiting.isEmpty && lines.dropFirst().allSatisfy { $0.hasSuffix("h") })
    } else {
      #expect(lines.count == 2)
      waiting.append(Int(lines[1].dropFirst(2).dropLast(2))!)
    }
    start = range.upperBound
  }
  #expect(start == window.byteCount && declared == opening.array.count { $0 == 10 })
  #expect(waiting.count > 900 && waiting == Array(3000 - waiting.count..<3000))
}

@Test func `a removed gauge ends after its last value, unless it was made again`() {
  let client = Client()
  client.session.connected()
  let tags = [("queue", "mail")]
  let level = client.gauge("level", tags)
  level.set(4)
  client.table.remove(level)
  #expect(client.lines() == ["level:4|g|#queue:mail", "_remove|level|#queue:mail"])
  let again = client.gauge("level", tags)
  #expect(again !== level)
  client.table.remove(again)
  client.gauge("level", tags).set(5)
  #expect(client.lines() == ["level:5|g|#queue:mail"])
  let jobs = client.counter("jobs")
  jobs.add(2)
  client.table.remove(jobs)
  #expect(client.lines() == ["jobs:2|c"])
}

@Test func `series beyond the limit are refused, and known ones go on`() {
  let client = Client(maxSeries: 2)
  client.session.connected()
  for name in ["a", "b", "c", "a"] { client.counter(name).add() }
  #expect(client.lines().sorted() == ["a:2|c", "b:1|c"])
  #expect(client.table.refusedCount == 1)
}

@Test func `an outage keeps sums, counts and the buckets of observations`() throws {
  let client = Client()
  client.table.declare("wait", .histogram(bounds: [1, 10, 100]), help: "")
  let wait = client.distribution("wait")
  let jobs = client.counter("jobs")
  var buckets = [0, 0, 0, 0]
  var sum = 0.0
  for index in 0..<100_000 {
    let value = Double(index % 150)
    wait.observe(value)
    jobs.add()
    sum += value
    buckets[value <= 1 ? 0 : value <= 10 ? 1 : value <= 100 ? 2 : 3] += 1
  }
  client.session.connected()
  let lines = client.lines()
  #expect(lines.contains("jobs:100000|c") && lines.count < 10)
  var found = [0.0, 0, 0, 0]
  var total = 0.0
  for line in lines where line.hasPrefix("wait:") {
    let bytes = Array(line.utf8).span.bytes
    let event = try EventLine.parse(bytes)
    var index = event.values.lowerBound
    while let value = try event.nextValue(bytes, &index)?.number {
      found[value <= 1 ? 0 : value <= 10 ? 1 : value <= 100 ? 2 : 3] += event.weight
      total += value * event.weight
    }
  }
  #expect(found.map { Int($0.rounded()) } == buckets && abs(total - sum) < 1e-6 * sum)
}

@Test(arguments: 1...20)
func `what is folded loses no count, whatever the values`(seed: UInt64) throws {
  var numbers = seed
  func next() -> UInt64 {
    numbers = SessionID.mix(numbers &+ 0x9e37_79b9_7f4a_7c15)
    return numbers
  }
  var waiting = Observations(bounds: nil)
  var count = 0
  var sum = 0.0
  for _ in 0..<Int(next() % 3000) {
    let kinds: [Double] = [0, 1, -1, 1e-300, Double(next() % 1000) / 7, -0.25]
    let value = kinds[Int(next() % 6)]
    waiting.add(value)
    count += 1
    sum += value
  }
  var total = 0.0
  var weight = 0.0
  while !waiting.isEmpty {
    var buffer = ByteBuffer()
    waiting.drain(into: &buffer, end: 512, head: Array("\nw".utf8), type: "|d", tail: [])
    #expect(buffer.count < 512 + 2048)
    var lines = LineReader(start: 0, end: buffer.count)
    while lines.next(buffer.bytes) {
      let line = buffer.bytes.extracting(lines.line)
      let event = try EventLine.parse(line)
      var index = event.values.lowerBound
      while let value = try event.nextValue(line, &index)?.number {
        weight += event.weight
        total += value * event.weight
      }
    }
  }
  #expect(Int(weight.rounded()) == count && abs(total - sum) <= 1e-9 * max(1, abs(sum)))
}

@Test func `eight threads count to the unit while another flushes`() throws {
  let client = Client()
  client.session.connected()
  let jobs = client.counter("jobs")
  let sizes = client.distribution("size")
  let level = client.gauge("level")
  let each = 20_000
  var threads: [UInt64] = []
  for _ in 0..<8 {
    threads.append(
      try Thread {
        for _ in 0..<each {
          jobs.add()
          sizes.observe(1)
          level.add(1)
        }
      }.detachHandle())
  }
  var counted = 0
  var observed = 0.0
  var shown = 0.0
  func take() throws {
    for line in client.lines() {
      let bytes = Array(line.utf8).span.bytes
      let event = try EventLine.parse(bytes)
      var index = event.values.lowerBound
      while let value = try event.nextValue(bytes, &index)?.number {
        if line.hasPrefix("jobs") { counted += Int(value) }
        if line.hasPrefix("size") { observed += event.weight }
        if line.hasPrefix("level") { shown = value }
      }
    }
    _ = client.answer(.max)
  }
  for _ in 0..<200 { try take() }
  for thread in threads { Thread.join(thread) }
  try take()
  #expect(counted == 8 * each && Int(observed.rounded()) == 8 * each)
  #expect(shown == Double(8 * each))
}
