import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct ExemplarsTests {
  private func fixture(limit: Int = 100) throws -> Fixture {
    var limits = Limits()
    limits.exemplars = limit
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "jobs_total", "type": "counter", "labels": ["queue"], "exemplar": "trace_id",
           "events": [{"event": "jobs"}]},
          {"name": "wait_seconds", "type": "histogram", "buckets": [0.5, 1], "exemplar": "trace_id",
           "events": [{"event": "wait"}]},
          {"name": "all_total", "type": "counter", "events": [{"event": "jobs"}]}]}
        """#, limits: limits)
    fixture.registry.testTime = 1_767_225_600_250
    return fixture
  }

  private func page(_ fixture: Fixture, _ format: ExpositionFormat = .openMetrics100) -> [UInt8] {
    let writer = ExpositionWriter(
      Snapshot(fixture.registry, filter: NameFilter(), isOpenMetrics: format.isOpenMetrics),
      shape: ExpositionShape(format: format), filter: NameFilter())
    var page = ByteBuffer()
    while !writer.write(into: &page, byteCount: 1 << 20) {}
    return page.array
  }

  private func lines(_ fixture: Fixture) -> [String] {
    String(decoding: page(fixture), as: UTF8.self).split(separator: "\n").map(String.init)
      .filter { !$0.hasPrefix("#") }
  }

  @Test func `the last trace of a counter and of each bucket, and no label`() throws {
    let fixture = try fixture()
    fixture.apply("jobs", "c", 2, tags: "queue:mail,trace_id:abc1")
    fixture.apply("jobs", "c", 3, tags: "trace_id:abc2,queue:mail")
    fixture.apply("wait", "m", 320, tags: "trace_id:w1")
    fixture.apply("wait", "m", 700, tags: "trace_id:w2,other:x")
    fixture.apply("wait", "m", 30)
    #expect(
      lines(fixture) == [
        #"jobs_total{queue="mail"} 5.0 # {trace_id="abc2"} 3.0 1767225600.25"#,
        #"wait_seconds_bucket{le="0.5"} 2.0 # {trace_id="w1"} 0.32 1767225600.25"#,
        #"wait_seconds_bucket{le="1.0"} 3.0 # {trace_id="w2"} 0.7 1767225600.25"#,
        #"wait_seconds_bucket{le="+Inf"} 3.0"#, "wait_seconds_count 3.0", "wait_seconds_sum 1.05",
        "all_total 5.0",
      ])
    // Text has none, and nothing else than it has without them.
    #expect(!fixture.page.contains("trace_id"))
  }

  @Test func `a million traces are one known line`() throws {
    let fixture = try fixture()
    for n in 0..<1000 {
      fixture.apply("jobs", "c", 1, tags: "queue:a,\(n % 2 == 0 ? "" : "#")trace_id:\(n)")
    }
    #expect(fixture.registry.seriesCount == 3)
    #expect(fixture.registry.exemplars?.count == 1)
    #expect(lines(fixture)[0].contains(#"# {trace_id="999"} 1.0"#))
  }

  @Test func `lines with traces are known lines on every way in`() throws {
    let fixture = try fixture()
    let processor = LineProcessor(registry: fixture.registry, limits: fixture.limits)
    for n in 0..<100 {
      let text =
        "jobs:1|c|#queue:a,trace_id:t\(n)\njobs:1|c|#queue:a\nwait:320|ms|#trace_id:w\(n)\n"
      let bytes = Array(text.utf8)
      processor.lines(bytes.span.bytes, from: 0, .statsd)
      processor.registry.commit()
    }
    #expect(fixture.registry.seriesCount == 3)
    #expect(fixture.registry.exemplars?.count == 2)
    let lines = lines(fixture)
    #expect(lines[0].hasPrefix(#"jobs_total{queue="a"} 200.0 # {trace_id="t99"} 1.0"#))
    #expect(lines[1].hasPrefix(#"wait_seconds_bucket{le="0.5"} 100.0 # {trace_id="w99"} 0.32"#))
  }

  @Test(arguments: [
    (String(repeating: "a", count: 120), true), (String(repeating: "a", count: 121), false),
    ("", false), ("\u{e9}", false), ("a\tb", false), (#"a"b"#, false), (#"b\c"#, true),
  ])
  func `name and value have at most 128 printable characters`(
    _ trace: String, _ isKept: Bool
  ) throws {
    let fixture = try fixture()
    fixture.apply("jobs", "c", 1, tags: "queue:a,trace_id:\(trace)")
    #expect(lines(fixture)[0].contains(" # ") == isKept)
    if trace.contains("\\") { #expect(lines(fixture)[0].contains(#"{trace_id="b\\c"}"#)) }
    #expect(fixture.value(#"jobs_total{queue="a"}"#) == 1)
  }

  @Test func `beyond the limit known counters go on, and others are counted`() throws {
    let fixture = try fixture(limit: 2)
    for queue in ["a", "b", "c"] {
      fixture.apply("jobs", "c", 1, tags: "queue:\(queue),trace_id:1")
    }
    fixture.apply("jobs", "c", 1, tags: "queue:a,trace_id:2")
    let traced = lines(fixture).filter { $0.contains(" # ") }
    #expect(traced.count == 2 && traced[0].contains(#"{trace_id="2"}"#))
    #expect(fixture.registry.exemplars?.refused == 1)
  }

  @Test func `the places of what is forgotten are used again`() throws {
    let exemplars = try #require(try fixture(limit: 100).registry.exemplars)
    let trace = Array("t".utf8)
    // Series that come and go, each in cells that were nobody's before.
    for round in 1...50 {
      let cells = round * 1000..<round * 1000 + 80
      for cell in cells {
        exemplars.set(cell, 1, trace.span.bytes, nameByteCount: 1, now: UInt64(round))
      }
      for cell in cells {
        var page = ByteBuffer()
        page.append("\n")
        exemplars.appendText(cell, Array("id".utf8), to: &page)
        #expect(page.count > 1, "round \(round), cell \(cell)")
      }
      exemplars.forget(cells)
      // Known ones that are forgotten twice, or come back, count once.
      exemplars.forget(cells)
      exemplars.set(cells.lowerBound, 1, trace.span.bytes, nameByteCount: 1, now: 1)
      exemplars.forget(cells)
    }
    #expect(exemplars.refused == 0)
    #expect(exemplars.count <= 100)
  }

  @Test func `what is forgotten is not shown, and thousands are told apart`() throws {
    let fixture = try fixture(limit: 5000)
    for n in 0..<3000 { fixture.apply("jobs", "c", 1, tags: "queue:\(n),trace_id:t\(n)") }
    let all = lines(fixture)
    for n in 0..<3000 {
      #expect(
        all.contains { $0.hasPrefix(#"jobs_total{queue="\#(n)"} 1.0 # {trace_id="t\#(n)"}"#) })
      if n > 20 { break }
    }
    #expect(all.filter { $0.contains(" # ") }.count == 3000)
    let exemplars = try #require(fixture.registry.exemplars)
    exemplars.forget(0..<100_000)
    #expect(lines(fixture).filter { $0.contains(" # ") }.isEmpty)
  }

  @Test func `protobuf: an exemplar's bytes`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "a", "type": "counter", "exemplar": "t", "events": [{"event": "a"}]}]}
        """#)
    fixture.registry.testTime = 1_500
    fixture.apply("a", "c", 2, tags: "t:x")
    let exemplar: [UInt8] =
      [0x12, 27]  // Counter.exemplar
      + [0x0a, 6, 0x0a, 1, 0x74, 0x12, 1, 0x78]  // label "t": "x"
      + [0x11, 0, 0, 0, 0, 0, 0, 0, 0x40]  // value 2.0
      + [0x1a, 8, 0x08, 1, 0x10, 0x80, 0xca, 0xb5, 0xee, 1]  // 1 s and 500,000,000 ns
    let page = page(fixture, .protobuf)
    #expect(page.indices.contains { page[$0...].starts(with: exemplar) }, "\(page)")
  }

  @Test func `protobuf: a native histogram has its own, of all sizes, with their times`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [{"name": "a", "type": "histogram", "native": true, "buckets": [1, 4],
          "exemplar": "t", "events": [{"event": "a"}]}]}
        """#)
    fixture.registry.testTime = 1_500
    fixture.apply("a", "h", 2, tags: "t:x")
    let fields: [UInt8] =
      [0x0a, 6, 0x0a, 1, 0x74, 0x12, 1, 0x78]  // label "t": "x"
      + [0x11, 0, 0, 0, 0, 0, 0, 0, 0x40]  // value 2.0
      + [0x1a, 8, 0x08, 1, 0x10, 0x80, 0xca, 0xb5, 0xee, 1]  // 1 s and 500,000,000 ns
    func count(_ head: [UInt8]) -> Int {
      let page = page(fixture, .protobuf)
      return page.indices.count { page[$0...].starts(with: head) }
    }
    #expect(count([0x82, 1, 27] + fields) == 1)  // Histogram.exemplars
    #expect(count([0x1a, 27] + fields) == 1)  // Bucket.exemplar
    // Of a power of two the last one stays, and ten powers on the first's place is taken.
    for power in -3..<40 {
      fixture.apply("a", "h", Double(sign: .plus, exponent: power, significand: 1.5), tags: "t:y")
    }
    #expect(count([0x82, 1, 27]) == 10)
    fixture.apply("a", "h", 0, tags: "t:z")
    fixture.apply("a", "h", -3, tags: "t:z")
    #expect(count([0x82, 1, 27]) == 11)
    #expect(fixture.registry.exemplars?.count == 14)
    let traced = lines(fixture).filter { $0.contains(" # ") }
    #expect(
      traced == [
        #"a_bucket{le="1.0"} 5.0 # {t="z"} -3.0 1.5"#, #"a_bucket{le="4.0"} 8.0 # {t="y"} 3.0 1.5"#,
        #"a_bucket{le="+Inf"} 46.0 # {t="y"} 824633720832.0 1.5"#,
      ])
  }

  @Test func `a tag is an exemplar's or a label's`() {
    let text = #"""
      {"families": [{"name": "a", "type": "counter", "labels": ["t"], "exemplar": "t",
        "events": [{"event": "a"}]}]}
      """#
    let mistakes = RuleFile.read(Array(text.utf8)).mistakes.map { $0.description }
    #expect(mistakes == ["line 1, column 77: an exemplar's tag cannot be a label too"])
  }

  @Test func `a rule that cannot have exemplars says so`() {
    let text = #"""
      {"families": [{"name": "g", "type": "gauge", "exemplar": "trace_id",
        "events": [{"event": "g"}]}]}
      """#
    let mistakes = RuleFile.read(Array(text.utf8)).mistakes.map { $0.description }
    #expect(mistakes == [#"line 1, column 58: "exemplar" is for counters and histograms"#])
  }
}
