import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct OTLPIntakeTests {
  private let series = #"jobs_total{queue="mail"}"#

  // MARK: Sums

  @Test func `workers add up, and a repeated point adds nothing`() throws {
    let otlp = try OTLPFixture()
    #expect(otlp.take(Export.sum(5)) == "")
    #expect(otlp.take(Export.sum(5)) == "")
    #expect(otlp.take(Export.sum(7, time: 11)) == "")
    #expect(otlp.take(Export.sum(3, worker: "b", start: 2)) == "")
    #expect(otlp.value(series) == 10)
    // An older point comes late.
    #expect(otlp.take(Export.sum(6, time: 10)) == "")
    #expect(otlp.value(series) == 10)
  }

  @Test func `a killed sidecar goes on where the last commit was`() throws {
    let otlp = try OTLPFixture()
    otlp.take(Export.sum(5))
    otlp.take(Export.sum(2, worker: "b", start: 2, delta: true))
    let again = Export.sum(4, worker: "b", start: 2, time: 12, delta: true).bytes
    otlp.take(again)
    try otlp.reopen()
    #expect(otlp.value(series) == 11)
    otlp.take(Export.sum(6, time: 12))
    // The answer did not reach the client.
    #expect(otlp.take(again) == "")
    #expect(otlp.intake.counts.repeated == 1)
    #expect(otlp.value(series) == 12)
  }

  @Test func `what was not committed is taken back with its stream and its digest`() throws {
    let otlp = try OTLPFixture()
    otlp.take(Export.sum(5))
    let delta = Export.sum(4, worker: "b", delta: true).bytes
    otlp.take(delta, commits: false)
    otlp.take(Export.sum(9, time: 11).bytes, commits: false)
    try otlp.reopen()
    #expect(otlp.value(series) == 5)
    otlp.take(delta)
    otlp.take(Export.sum(9, time: 11))
    #expect(otlp.value(series) == 13)
  }

  @Test func `a new start time is a new stream, and its first point counts`() throws {
    let otlp = try OTLPFixture()
    otlp.take(Export.sum(5))
    otlp.take(Export.sum(3, start: 20, time: 21))
    #expect(otlp.value(series) == 8)
  }

  @Test(arguments: [UInt64(0), 10])
  func `a first point that says from nowhere is a base`(_ start: UInt64) throws {
    let otlp = try OTLPFixture()
    otlp.take(Export.sum(100, start: start, time: 10))
    #expect(otlp.value(series) == 0)
    otlp.take(Export.sum(103, start: start, time: 11))
    #expect(otlp.value(series) == 3)
  }

  @Test func `two newer points below the last are a reset`() throws {
    let otlp = try OTLPFixture()
    otlp.take(Export.sum(100, time: 10))
    #expect(otlp.take(Export.sum(2, time: 11)) == "")
    #expect(otlp.value(series) == 100)
    #expect(otlp.take(Export.sum(3, time: 12)) == "")
    #expect(otlp.value(series) == 103)
    otlp.take(Export.sum(4, time: 13))
    #expect(otlp.value(series) == 104)
  }

  @Test func `two writers of one identity do not count twice, and are refused`() throws {
    let otlp = try OTLPFixture()
    otlp.take(Export.sum(100, time: 10))
    otlp.take(Export.sum(2, time: 11))
    otlp.take(Export.sum(101, time: 12))
    #expect(otlp.take(Export.sum(3, time: 13)).hasPrefix("1 jobs: Two writers"))
    otlp.take(Export.sum(102, time: 14))
    #expect(otlp.value(series) == 102)
    #expect(otlp.rejected(.sharedStream) == 1)
  }

  @Test func `forked workers count from the least first point`() throws {
    let otlp = try OTLPFixture()
    // Five were counted before the fork.
    otlp.take(Export.sum(7, worker: "a", start: 3))
    otlp.take(Export.sum(5, worker: "b", start: 3))
    otlp.take(Export.sum(9, worker: "c", start: 3))
    #expect(otlp.value(series) == 11)
    otlp.take(Export.sum(6, worker: "b", start: 3, time: 11))
    #expect(otlp.value(series) == 12)
    try otlp.reopen()
    otlp.take(Export.sum(8, worker: "d", start: 3))
    #expect(otlp.value(series) == 15)
  }

  @Test func `attributes in another order are the same stream`() throws {
    let otlp = try OTLPFixture()
    var export = Export()
    export.points = [Export.number(5, [("a", "1"), ("b", "2")])]
    otlp.take(export)
    export.points = [Export.number(6, time: 11, [("b", "2"), ("a", "1")])]
    export.resource.reverse()
    otlp.take(export)
    #expect(otlp.value(#"jobs_total{a="1",b="2"}"#) == 6)
    #expect(otlp.fixture.registry.streams.count == 1)
  }

  @Test func `a stream that made room never counts twice`() throws {
    var limits = Limits()
    limits.otlpStreams = 2
    let otlp = try OTLPFixture(limits: limits)
    otlp.fixture.registry.testTime = 1_000_000_000
    otlp.take(Export.sum(5, worker: "a"))
    otlp.take(Export.sum(5, worker: "b", start: 2))
    #expect(otlp.take(Export.sum(5, worker: "c", start: 3)).contains("--max-otlp-streams"))
    #expect(otlp.rejected(.streamLimit) == 1)
    otlp.fixture.registry.testTime = 1_000_700_000
    otlp.take(Export.sum(6, worker: "b", start: 2, time: 11))
    #expect(otlp.take(Export.sum(5, worker: "c", start: 3)) == "")
    #expect(otlp.value(series) == 16)
    for worker in ["a", "a"] {
      otlp.fixture.registry.testTime! += 700_000
      otlp.take(Export.sum(8, worker: worker))
      try otlp.reopen()
      otlp.fixture.registry.testTime = 2_000_000_000
    }
    #expect(otlp.value(series) == 16)
    otlp.take(Export.sum(9, worker: "a", time: 12))
    #expect(otlp.value(series) == 17)
    #expect(otlp.fixture.registry.streams.count == 2)
  }

  // MARK: Requests

  @Test func `deltas add up, and the same bytes are one request`() throws {
    let otlp = try OTLPFixture()
    let bytes = Export.sum(5, delta: true).bytes
    #expect(otlp.take(bytes) == "")
    #expect(otlp.take(bytes) == "")
    #expect(otlp.take(Export.sum(5, time: 11, delta: true)) == "")
    #expect(otlp.value(series) == 10)
  }

  @Test func `the ring of requests forgets the oldest, not the newest`() throws {
    let otlp = try OTLPFixture()
    let count = Streams.requestLimit + 300
    func bytes(_ index: Int) -> [UInt8] {
      Export.sum(1, time: UInt64(10 + index), delta: true).bytes
    }
    for index in 0..<count { otlp.take(bytes(index)) }
    try otlp.reopen()
    for index in [300, 301, count - 1] { otlp.take(bytes(index)) }
    #expect(otlp.value(series) == Double(count))
    otlp.take(bytes(299))
    #expect(otlp.value(series) == Double(count + 1))
  }

  @Test func `a request cut anywhere has no effect`() throws {
    let otlp = try OTLPFixture()
    var export = Export.sum(5)
    export.points.append(Export.number(1, [("queue", "post")]))
    let bytes = export.bytes
    for end in 1..<bytes.count {
      #expect(otlp.take(Array(bytes[..<end])).hasPrefix("400"), "\(end)")
    }
    #expect(otlp.page == "")
    #expect(otlp.take([]) == "")
    #expect(otlp.take(bytes) == "")
  }

  @Test func `types that are not the field's are refused`() throws {
    let otlp = try OTLPFixture()
    let bytes = Export.sum(5).bytes
    otlp.take(bytes)
    var refused = 0
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << UInt8(bit)
        if otlp.take(changed).hasPrefix("400") { refused += 1 }
      }
    }
    #expect(refused > bytes.count)
    otlp.fixture.registry.commit()
  }

  @Test func `hostile bodies are refused at little cost`() throws {
    let otlp = try OTLPFixture()
    var deep: [UInt8] = []
    for _ in 0..<5000 {
      var list = Message()
      list.part(1, deep)
      var value = Message()
      value.part(5, list.bytes)
      deep = value.bytes
    }
    var attribute = Message()
    attribute.text(1, "deep")
    attribute.part(2, deep)
    var point = Message()
    point.bytes = Export.number(1)
    point.part(7, attribute.bytes)
    var export = Export()
    export.points = [point.bytes]
    #expect(otlp.take(export).hasPrefix("400"))
    export.points = [Export.number(1, (0..<50_000).map { ("k\($0)", "v") })]
    #expect(otlp.take(export).contains("--max-labels"))
    #expect(otlp.take([0x0a] + [UInt8](repeating: 0xff, count: 30)).hasPrefix("400"))
    #expect(otlp.take([0x7b, 0x7c]) == "")
    #expect(otlp.take([UInt8](repeating: 0x0b, count: 100_000)).hasPrefix("400"))
    export.points = [[UInt8]](repeating: [], count: 70_000)
    #expect(otlp.take(export).hasPrefix("413"))
    #expect(otlp.page == "")
  }

  @Test func `a point without a value or time is refused, the others count`() throws {
    let otlp = try OTLPFixture()
    var empty = Message()
    empty.fixed(3, 5)
    var export = Export()
    export.points = [
      empty.bytes, Export.number(1, time: 0), Export.number(-1), Export.number(.nan),
      Export.number(4, [("queue", "mail")]),
    ]
    #expect(otlp.take(export).hasPrefix("4 jobs: A point without"))
    #expect(otlp.value(series) == 4)
    export.temporality = 0
    #expect(otlp.take(export).hasPrefix("5 jobs: The metric has no aggregation"))
  }

  @Test func `a known point is looked up, not resolved`() throws {
    let otlp = try OTLPFixture()
    otlp.take(Export.sum(5))
    otlp.take(Export.sum(5))
    let lines = otlp.fixture.registry.lines.count
    let resolved = otlp.fixture.registry.resolvedLines
    #expect(lines == 1 && resolved > 0)
    for value in 6..<20 { otlp.take(Export.sum(Double(value), time: UInt64(value))) }
    #expect(otlp.fixture.registry.lines.count == lines)
    #expect(otlp.fixture.registry.resolvedLines == resolved)
    #expect(otlp.value(series) == 19)
  }
}
