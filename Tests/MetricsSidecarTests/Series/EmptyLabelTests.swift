import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct EmptyLabelTests {
  @Test func `a tag without a value is no label, whether a rule names it or not`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "done_total", "type": "counter", "labels": ["queue", "eu"],
           "constants": {"from": "$1"}, "events": [{"event": "done*"}]}]}
        """#)
    fixture.apply("jobs", tags: "queue:mail")
    fixture.apply("jobs", "c", 7, tags: "queue:mail,eu")
    fixture.apply("jobs", "c", 1, tags: "eu:,queue")
    #expect(fixture.value(#"jobs_total{queue="mail"}"#) == 8)
    #expect(fixture.value("jobs_total") == 1)
    fixture.apply("done", tags: "queue:mail")
    fixture.apply("done", "c", 2, tags: "queue:mail,eu:")
    #expect(fixture.value(#"done_total{queue="mail"}"#) == 3)
    #expect(!fixture.page.contains(#"="""#))
  }

  @Test(arguments: [
    (#"a{b="",c="d"}"#, #"a{c="d"}"#), (#"a{b="c",d=""}"#, #"a{b="c"}"#), (#"a{b=""}"#, "a"),
    (#"a{b="",c="",d=""}"#, "a"), (#"a{b="x=",c="",d="\"=\"\"",e=""}"#, #"a{b="x=",d="\"=\"\""}"#),
    (#"a{b="=\"\""}"#, nil), ("a", nil), ("", nil), (#"a{b="c"}"#, nil),
  ])
  func `a key loses the labels that have no value`(_ key: String, _ plain: String?) {
    let bytes = Array(key.utf8)
    if let found = Labels.withoutEmpty(bytes.span.bytes) {
      #expect(String(decoding: found.array, as: UTF8.self) == plain)
    } else {
      #expect(plain == nil)
    }
  }

  /// Makes a series as versions before have made it.
  private func old(_ fixture: Fixture, _ family: String, _ labels: String, _ values: [Double])
    throws
  {
    let registry = fixture.registry!
    let family = try #require(registry.families.first { $0.name == Array(family.utf8) })
    let key = family.name + Array(labels.utf8)
    let record = try registry.make(key.span.bytes, family, createdMilliseconds: 1_700_000_000_000)
    for (index, value) in values.enumerated() {
      registry.state.store(record.headCell + 1 + index, value)
    }
    family.series.append(record)
    registry.commit()
  }

  private let rules = #"""
    {"families": [
      {"name": "jobs_total", "type": "counter", "labels": ["q", "eu"],
       "events": [{"event": "jobs"}]},
      {"name": "level", "type": "gauge", "labels": ["q", "eu"], "events": [{"event": "level"}]},
      {"name": "wait", "type": "histogram", "buckets": [1], "labels": ["q", "eu"],
       "events": [{"event": "wait"}]},
      {"name": "size", "type": "histogram", "native": true, "buckets": [1], "labels": ["q", "eu"],
       "events": [{"event": "size"}]},
      {"name": "took", "type": "summary", "labels": ["q", "eu"], "events": [{"event": "took"}]}]}
    """#

  @Test func `a series of an older file becomes one with its twin`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    fixture.apply("jobs", "c", 4, tags: "q:m")
    fixture.apply("level", "g", 4, tags: "q:m")
    for name in ["wait", "took", "size"] { fixture.apply(name, "d", 0.5, tags: "q:m") }
    fixture.registry.commit()
    try old(fixture, "jobs_total", #"{eu="",q="m"}"#, [7])
    try old(fixture, "level", #"{eu="",q="m"}"#, [9])
    try old(fixture, "wait", #"{eu="",q="m"}"#, [3.5, 0, 2, 1])
    try old(fixture, "took", #"{eu="",q="m"}"#, [3.5, 0, 3])
    let count = fixture.registry.seriesCount
    for _ in 0..<2 {
      try fixture.reopen()
      #expect(fixture.value(#"jobs_total{q="m"}"#) == 11)
      #expect(fixture.value(#"level{q="m"}"#) == 9)
      #expect(fixture.value(#"wait_sum{q="m"}"#) == 4)
      #expect(fixture.value(#"wait_count{q="m"}"#) == 4)
      #expect(fixture.value(#"wait_bucket{q="m",le="1.0"}"#) == 3)
      #expect(fixture.value(#"took_count{q="m"}"#) == 4)
      #expect(!fixture.page.contains(#"="""#))
      #expect(fixture.registry.seriesCount == count)
    }
    fixture.apply("jobs", "c", 1, tags: "q:m,eu")
    #expect(fixture.value(#"jobs_total{q="m"}"#) == 12)
  }

  @Test func `native buckets of both add up`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    for value in [0.5, 3, 3, 40, 0] { fixture.apply("size", "d", value, tags: "q:m") }
    let family = try #require(
      fixture.registry.families.first { $0.name == Array("size".utf8) })
    let twin = try #require(family.series.first)
    let values = { (record: Record) in
      let state = fixture.registry.state
      return (1..<state.cellCount(record)).map { state.number(record.headCell + $0) }
    }
    try old(fixture, "size", #"{eu="",q="m"}"#, values(twin))
    for value in [0.5, 3, 3, 40, 0] { fixture.apply("size", "d", value, tags: "q:n") }
    for value in [0.5, 3, 3, 40, 0] { fixture.apply("size", "d", value, tags: "q:n") }
    fixture.registry.commit()
    try fixture.reopen()
    let lines = fixture.page.split(separator: "\n")
    let joined = lines.filter { $0.contains(#"q="m""#) }.map { $0.replacing("m", with: "n") }
    #expect(joined == lines.filter { $0.contains(#"q="n""#) }.map { $0.replacing("m", with: "n") })
    #expect(fixture.value(#"size_count{q="m"}"#) == 10)
    let reopened = try #require(
      fixture.registry.families.first { $0.name == Array("size".utf8) })
    let cells = reopened.series.map { record in
      var sorted = SortedBuckets()
      let cells = values(record)
      sorted.add(
        cells.span, control: NativeHistogramCells.control - 1,
        capacity: NativeHistogramCells.capacity(family.options))
      sorted.sort()
      return (0..<sorted.count).map { [sorted[$0].index, Int(sorted[$0].count)] }
    }
    #expect(cells.count == 2 && cells[0] == cells[1])
  }

  @Test func `one without a twin keeps its values and its start under its new key`() throws {
    let fixture = try Fixture(rules: rules)
    try old(fixture, "jobs_total", #"{eu="",q=""}"#, [7])
    for _ in 0..<2 {
      try fixture.reopen()
      #expect(fixture.value("jobs_total") == 7)
      let series = try #require(
        fixture.registry.families.first { $0.name == Array("jobs_total".utf8) }?.series)
      #expect(series.count == 1)
      #expect(fixture.registry.state.createdMilliseconds(series[0]) == 1_700_000_000_000)
    }
    fixture.apply("jobs")
    #expect(fixture.value("jobs_total") == 8)
  }
}
