import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct ExpositionWriterTests {
  /// An exposition written some bytes per call, with equal creation times.
  private func page(
    _ fixture: Fixture, _ format: ExpositionFormat, own: [OwnFamily] = [], slice: Int = 1 << 20,
    hasCreatedLines: Bool = false, between: () -> Void = {}
  ) -> [UInt8] {
    let snapshot = Snapshot(
      fixture.registry, filter: NameFilter(), isOpenMetrics: format.isOpenMetrics)
    snapshot.own = own
    snapshot.hasCreatedLines = hasCreatedLines
    let writer = ExpositionWriter(
      snapshot, shape: ExpositionShape(format: format), filter: NameFilter())
    var page = ByteBuffer()
    while !writer.write(into: &page, byteCount: slice) { between() }
    return page.array
  }

  private func filled() throws -> Fixture {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "jobs_total", "type": "counter", "help": "Jobs \"done\"", "labels": ["queue"],
           "events": [{"event": "jobs"}]},
          {"name": "wait_seconds", "type": "histogram", "buckets": [0.5, 1],
           "events": [{"event": "wait"}]},
          {"name": "calls", "type": "counter", "events": [{"event": "calls"}]}]}
        """#)
    fixture.apply("jobs", "c", 4, tags: "queue:mail")
    fixture.apply("wait", "d", 0.7)
    return fixture
  }

  @Test func `OpenMetrics: short names of counters, units, times of birth, an end`() throws {
    let text = String(
      decoding: page(
        try filled(), .openMetrics100,
        own: [
          OwnFamily(
            name: Array("up_bytes_total".utf8), type: .counter, help: Array("Of \\\\ it".utf8),
            samples: [([], 1)])
        ],
        hasCreatedLines: true),
      as: UTF8.self)
    let lines = text.split(separator: "\n").map { line in
      line.contains("_created")
        ? line.prefix(while: { $0 != " " }) + " T" : line
    }
    #expect(
      lines.joined(separator: "\n") == #"""
        # TYPE jobs counter
        # HELP jobs Jobs \"done\"
        jobs_total{queue="mail"} 4.0
        jobs_created{queue="mail"} T
        # TYPE wait_seconds histogram
        # UNIT wait_seconds seconds
        wait_seconds_bucket{le="0.5"} 0.0
        wait_seconds_bucket{le="1.0"} 1.0
        wait_seconds_bucket{le="+Inf"} 1.0
        wait_seconds_count 1.0
        wait_seconds_sum 0.7
        wait_seconds_created T
        # TYPE calls unknown
        calls 0.0
        # TYPE up_bytes counter
        # UNIT up_bytes bytes
        # HELP up_bytes Of \\ it
        up_bytes_total 1.0
        # EOF
        """#)
  }

  @Test func `OpenMetrics has start times only if asked, protobuf always`() throws {
    let fixture = try filled()
    func page(_ format: ExpositionFormat, _ hasCreatedLines: Bool) -> [UInt8] {
      self.page(fixture, format, hasCreatedLines: hasCreatedLines)
    }
    func lines(_ hasCreatedLines: Bool) -> [Substring] {
      String(decoding: page(.openMetrics100, hasCreatedLines), as: UTF8.self)
        .split(separator: "\n")
    }
    #expect(lines(true).count { $0.contains("_created") } == 2)
    #expect(lines(true).filter { !$0.contains("_created") } == lines(false))
    #expect(page(.protobuf, true) == page(.protobuf, false))
    // A counter's created_timestamp = 3: seconds = 1, in five bytes.
    let protobuf = page(.protobuf, false)
    #expect(
      protobuf.indices.dropLast(9).contains {
        protobuf[$0] == 0x1a && protobuf[$0 + 2] == 8 && protobuf[$0 + 7] == 6
      })
  }

  @Test(arguments: [
    ("wait_count", "wait_count_total"), ("wait_sum", "wait_sum_total"),
    ("wait_created", "wait_created_total"), ("jobs_created", "jobs_created_total"),
    ("level", "level_total"), ("jobs.total.total", "jobs_total_total"),
  ])
  func `OpenMetrics: a counter whose short name is a sample of another family is unknown`(
    _ event: String, _ name: String
  ) throws {
    let fixture = try Fixture()
    fixture.apply("wait", "h")
    fixture.apply("jobs", "c")
    fixture.apply("level", "g")
    fixture.apply(event, "c", 2)
    fixture.apply("other_count", "c")
    let text = String(decoding: page(fixture, .openMetrics100), as: UTF8.self)
    #expect(text.contains("# TYPE \(name) unknown\n\(name) 2.0\n"), "\(text)")
    #expect(text.contains("# TYPE other_count counter\n"))
  }

  @Test func `OpenMetrics: no sum and no quantile is below 0`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "h", "type": "histogram", "buckets": [1], "events": [{"event": "x"}]},
          {"name": "n", "type": "histogram", "native": true, "events": [{"event": "x"}]},
          {"name": "s", "type": "summary", "quantiles": [0.5, 1], "events": [{"event": "x"}]}]}
        """#)
    func lines(_ format: ExpositionFormat) -> [Substring] {
      String(decoding: page(fixture, format), as: UTF8.self).split(separator: "\n")
        .filter { $0.first != "#" }
    }
    for value in [-8.0, -8, 4] { fixture.apply("x", "h", value) }
    #expect(!lines(.openMetrics100).contains { $0.contains(" -") || $0.contains("_count") })
    #expect(lines(.openMetrics100).contains { $0.hasPrefix(#"s{quantile="1.0"} "#) })
    for sample in ["h_sum -12.0", "n_sum -12.0", "s_sum -12.0", "s_count 3.0"] {
      #expect(lines(.text004).contains(sample[...]))
    }
    for _ in 0..<4 { fixture.apply("x", "h", 4) }
    for sample in ["h_sum 4.0", "n_sum 4.0", "s_sum 4.0", "s_count 7.0", "h_count 7.0"] {
      #expect(lines(.openMetrics100).contains(sample[...]))
    }
  }

  @Test(arguments: ExpositionFormat.allCases)
  func `a page written in slices is the page written at once`(_ format: ExpositionFormat) throws {
    let fixture = try filled()
    for n in 0..<200 { fixture.apply("jobs", "c", 1, tags: "queue:q\(n)") }
    #expect(page(fixture, format, slice: 1) == page(fixture, format))
    #expect(page(fixture, format, slice: 777) == page(fixture, format))
  }

  @Test(arguments: ExpositionFormat.allCases)
  func `a snapshot keeps its values and series while events go on`(_ format: ExpositionFormat)
    throws
  {
    let fixture = try filled()
    for n in 0..<200 { fixture.apply("jobs", "c", 1, tags: "queue:q\(n)") }
    let before = page(fixture, format)
    var dice = Dice(7)
    let during = page(fixture, format, slice: 1) {
      for _ in 0..<5 {
        let n = Int.random(in: 0..<250, using: &dice)
        fixture.apply("jobs", "c", 5, tags: "queue:q\(n)")
        fixture.apply("wait", "d", Double(n) / 100)
        fixture.apply("new\(n)", "g", 5)
        if n % 2 == 0 { fixture.registry.commit() }
      }
    }
    #expect(during == before)
    #expect(page(fixture, format) != before)
  }

  @Test(arguments: ExpositionFormat.allCases, [false, true])
  func `a page of many pieces is the page written at once`(
    _ format: ExpositionFormat, _ isGzip: Bool
  ) throws {
    let fixture = try filled()
    for n in 0..<8000 { fixture.apply("jobs", "c", 1, tags: "queue:q\(n)") }
    let whole = page(fixture, format)
    let scraped = try fixture.scraped(ExpositionShape(format: format), isGzip: isGzip)
    #expect(scraped.slices > 3)
    #expect(scraped.bytes.elementsEqual(whole), "\(scraped.bytes.count) of \(whole.count)")
  }

  @Test func `a time of birth is the number that it stands for`() {
    var dice = Dice(11)
    for at in 0..<3000 {
      let milliseconds =
        at < 1100 ? UInt64(at) : UInt64.random(in: 0..<8_000_000_000_000, using: &dice)
      var byHand = ByteBuffer()
      var divided = ByteBuffer()
      OpenMetricsWriter.seconds(milliseconds, to: &byHand)
      NumberFormat.append(Double(milliseconds) / 1000, to: &divided)
      #expect(byHand.array == divided.array)
    }
  }

  @Test func `protobuf: a family's bytes`() throws {
    let fixture = try Fixture()
    fixture.apply("g", "g", 2, tags: "k:\"v")
    #expect(
      page(fixture, .protobuf)
        == [0x9b, 0x80, 0x80, 0x80, 0x00]  // 27 bytes follow
        + [0x0a, 1, 0x67]  // name
        + [0x18, 1]  // GAUGE
        + [0x22, 20]  // metric
        + [0x0a, 7, 0x0a, 1, 0x6b, 0x12, 2, 0x22, 0x76]  // label
        + [0x12, 9, 0x09, 0, 0, 0, 0, 0, 0, 0, 0x40])
  }
}
