import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct RegistryTests {
  @Test(arguments: [
    ("jobs.done", "c", "", "jobs_done_total"),
    ("jobs_total", "c", "", "jobs_total"),
    ("load-1 min", "g", "", "load_1_min"),
    ("9lives", "g", "", "_9lives"),
    ("a", "g", "b:c,x.y:z:w,bare", #"a{b="c",x_y="z:w"}"#),
    ("a", "g", "q:say \"hi\"\\,n:x", #"a{n="x",q="say \"hi\"\\"}"#),
    ("a", "g", "k:1,k:2", #"a{k="1"}"#),
    ("a", "g", "ü:ä", #"a{_="ä"}"#),
    ("a", "g", "le:5,__name__:x", #"a{exported___name__="x",exported_le="5"}"#),
    ("a", "g", "overflow:true", #"a{exported_overflow="true"}"#),
    ("process.up", "g", "", "exported_process_up"),
    ("metrics_sidecar_series", "c", "", "exported_metrics_sidecar_series_total"),
  ])
  func `an event without a rule has its own name, with tags as labels`(
    _ name: String, _ type: Character, _ tags: String, _ series: String
  ) throws {
    let fixture = try Fixture()
    #expect(fixture.apply(name, type, 2, tags: tags) == nil)
    #expect(fixture.value(series) == 2, "\(fixture.page)")
  }

  @Test func `a timing in milliseconds is exposed in seconds`() throws {
    let fixture = try Fixture()
    fixture.apply("wait", "m", 30)
    #expect(fixture.value("wait_seconds_sum") == 0.03)
    #expect(fixture.value(#"wait_seconds_bucket{le="0.025"}"#) == 0)
    #expect(fixture.value(#"wait_seconds_bucket{le="0.05"}"#) == 1)
    #expect(fixture.value(#"wait_seconds_bucket{le="+Inf"}"#) == 1)
    #expect(fixture.value("wait_seconds_count") == 1)
  }

  @Test func `weights of samples are exact in the long run and counts stay whole`() throws {
    let fixture = try Fixture()
    for _ in 0..<3000 { fixture.apply("a", "d", 1, weight: 1 / 0.3) }
    #expect(fixture.value("a_count") == 10_000.0)
    for count in 1...2000 { fixture.apply("b", "d", 1, weight: 1 / (1 / Double(count))) }
    #expect(fixture.value("b_count") == 2_001_000.0)
  }

  @Test func `gauges are set and moved`() throws {
    let fixture = try Fixture()
    fixture.apply("g", "g", 10)
    fixture.apply("g", "g", -3, isDelta: true)
    #expect(fixture.value("g") == 7)
  }

  @Test func `two events that would make one family with two types: the second is refused`() throws
  {
    let fixture = try Fixture()
    #expect(fixture.apply("a_total", "c") == nil)
    #expect(fixture.apply("a_total", "g") == .typeConflict)
    #expect(fixture.value("a_total") == 1)
  }

  @Test(arguments: [("a", "d", "a_count", "g"), ("a_sum", "g", "a", "h")])
  func `a family that would repeat a histogram's lines is refused`(
    _ first: String, _ firstType: Character, _ second: String, _ secondType: Character
  ) throws {
    let fixture = try Fixture()
    #expect(fixture.apply(first, firstType) == nil)
    #expect(fixture.apply(second, secondType) == .typeConflict)
  }

  @Test func `a family that has no room does not keep the event from the others`() throws {
    var limits = Limits()
    limits.series = 1_000_000
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "sum_total", "type": "counter", "events": [{"event": "*"}]},
          {"name": "parts_total", "type": "counter", "labels": ["n"], "events": [{"event": "*"}]}]}
        """#, limits: limits, stateByteCount: 1 << 20)
    // 1 MiB holds fewer series than that.
    for n in 0..<12_000 { #expect(fixture.apply("e", "c", 1, tags: "n:\(n)") == nil) }
    #expect(fixture.registry.refusedSeries > 0)
    #expect(fixture.value("sum_total") == 12_000)
  }

  @Test func `beyond the limit totals stay right and known series go on`() throws {
    var limits = Limits()
    limits.series = 10
    let fixture = try Fixture(limits: limits)
    for n in 0..<100 { fixture.apply("a", "c", 1, tags: "n:\(n)") }
    for n in 0..<100 { fixture.apply("a", "c", 1, tags: "n:\(n)") }
    #expect(fixture.value(#"a_total{n="3"}"#) == 2)
    #expect(fixture.value(#"a_total{n="50"}"#) == nil)
    #expect(fixture.value(#"a_total{overflow="true"}"#) == 180)
    #expect(fixture.apply("g", "g", 1) == .seriesLimit)
    #expect(fixture.registry.refusedSeries == 181)
  }

  @Test func `one family at its limit leaves the others their room, and its total right`() throws {
    var limits = Limits()
    limits.familySeries = 2
    let fixture = try Fixture(limits: limits)
    for n in 0..<5 { fixture.apply("a", "c", 1, tags: "n:\(n)") }
    for n in 0..<2 { fixture.apply("b", "c", 1, tags: "n:\(n)") }
    #expect(fixture.value(#"a_total{overflow="true"}"#) == 3)
    #expect(fixture.value(#"b_total{n="1"}"#) == 1)
    #expect(fixture.registry.refusedSeries == 3)
  }

  @Test func `too many families, names and values too long are refused, known ones go on`() throws {
    var limits = Limits()
    limits.families = 1
    limits.nameByteCount = 4
    limits.labelValueByteCount = 3
    let fixture = try Fixture(limits: limits)
    #expect(fixture.apply("a", "c", 1, tags: "n:123") == nil)
    #expect(fixture.apply("b", "c") == .familyLimit)
    #expect(fixture.apply("abcde", "c") == .nameTooLong)
    #expect(fixture.apply("a", "c", 1, tags: "abcde:1") == .nameTooLong)
    #expect(fixture.apply("a", "c", 1, tags: "n:1234") == .valueTooLong)
    #expect(fixture.apply("a", "c", 1, tags: "n:123") == nil)
    #expect(fixture.value(#"a_total{n="123"}"#) == 2)
  }

  @Test func `what no rule matches is dropped when the rules say so`() throws {
    let fixture = try Fixture(rules: #"{"unmatched": "drop"}"#)
    #expect(fixture.apply("a") == .dropped)
    #expect(fixture.page == "")
  }

  @Test func `rules with other buckets start a histogram again`() throws {
    func rules(_ buckets: String) -> String {
      #"{"families": [{"name": "h", "type": "histogram", "buckets": \#(buckets), "#
        + #""events": [{"event": "h"}]}]}"#
    }
    let fixture = try Fixture(rules: rules("[1, 2]"))
    fixture.apply("h", "d", 1.5)
    fixture.registry.commit()
    #expect(fixture.value("h_count") == 1)
    let path = fixture.path
    fixture.registry = nil
    let file = try MappedFile(path: path, limit: 16 << 20)
    let registry = Registry(
      state: try StateFile(file), rules: try RuleFile.parse(Array(rules("[1, 3]").utf8)),
      limits: Limits())
    var buffer = ByteBuffer()
    ExpositionWriter.append(registry, to: &buffer)
    #expect(String(decoding: buffer.array, as: UTF8.self).contains("h_count 0.0"))
  }
}
