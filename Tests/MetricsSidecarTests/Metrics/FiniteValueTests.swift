import Foundation
import Testing

@testable import MetricsSidecar

@Suite struct FiniteValueTests {
  private static func rules(_ type: String) -> String {
    """
    {"families": [{"name": "big", "type": \(type), "events": [{"event": "big", "scale": 1e209}]}]}
    """
  }

  @Test(arguments: [
    (#""counter""#, Character("c"), "big"), (#""histogram""#, "d", "big_sum"),
    (#""summary""#, "d", "big_sum"), (#""histogram", "native": true"#, "d", "big_sum"),
    (#""gauge""#, "g", "big"), (#""gauge", "merge": "sum""#, "g", "big"),
    (#""gauge", "merge": "livemax""#, "g", "big"),
  ])
  func `a scale that makes a value infinite costs that value and nothing else`(
    _ type: String, _ letter: Character, _ series: String
  ) throws {
    let fixture = try Fixture(rules: Self.rules(type))
    fixture.time(0)
    fixture.apply("big", letter, 1e-209)
    for value in [1e100, 9e99, 5e99] { fixture.apply("big", letter, value) }
    #expect(fixture.registry.refusedValues == 3)
    let value = try #require(fixture.value(series))
    #expect(abs(value - 1) < 1e-9)
    #expect(!fixture.page.contains("NaN") && !fixture.page.contains("e+308"))
    #expect(fixture.protobuf.count > 10)
  }

  @Test func `a rate cannot make a scaled value infinite, nor a negative scale a counter fall`()
    throws
  {
    let fixture = try Fixture(
      rules: """
        {"families": [
          {"name": "a", "type": "counter", "events": [{"event": "a", "scale": 1e95}]},
          {"name": "b", "type": "counter", "events": [{"event": "b", "scale": -2}]},
          {"name": "c", "type": "histogram", "events": [{"event": "c", "scale": 1e95}]}]}
        """)
    fixture.apply("a", "c", 1e100, weight: 1e15)
    fixture.apply("b", "c", 3)
    fixture.apply("c", "d", 1e100, weight: 1e15)
    #expect(fixture.registry.refusedValues == 3)
    #expect(fixture.value("a") == 0 && fixture.value("b") == 0 && fixture.value("c_sum") == 0)
  }

  @Test(arguments: ["t:-5|ms", "t:-5|h", "t:-5|d", "t:2:-5|d", "t:-5|d|@0.5", "t:1|ms:-5|ms"])
  func `a value below 0 takes no counter of timings below what it was`(_ line: String) throws {
    let fixture = try Fixture(
      rules: """
        {"families": [{"name": "t", "type": "counter", "events": [{"event": "t"}]}]}
        """)
    fixture.apply("t", "d", 4)
    let processor = LineProcessor(registry: fixture.registry, limits: Limits())
    processor.line(Array(line.utf8).span.bytes, .statsd)
    #expect(try #require(fixture.value("t")) >= 4)
    #expect(fixture.registry.refusedValues == 1)
  }

  @Test func `several clients' gauge takes no infinity, which would make it no number`() throws {
    let fixture = try Fixture(
      rules: """
        {"families": [
          {"name": "busy", "type": "gauge", "merge": "sum", "events": [{"event": "busy"}]}]}
        """)
    fixture.time(0)
    fixture.from(2) { fixture.apply("busy", "g", .infinity) }
    fixture.from(4) { fixture.apply("busy", "g", -.infinity) }
    fixture.from(6) { fixture.apply("busy", "g", 6) }
    #expect(fixture.registry.refusedValues == 2)
    #expect(fixture.value("busy") == 6)
  }

  @Test func `a gauge that is set may be infinite where its client says so`() throws {
    let fixture = try Fixture(rules: Self.rules(#""gauge""#))
    fixture.apply("big", "g", .infinity)
    #expect(fixture.value("big") == .infinity)
    #expect(fixture.registry.refusedValues == 0)
  }

  @Test func `a scale and a bucket are finite numbers`() {
    for rules in [
      Self.rules(#""counter""#).replacingOccurrences(of: "1e209", with: "1e400"),
      Self.rules(#""histogram", "buckets": [1, 1e400]"#),
    ] { #expect(throws: (any Error).self) { try RuleFile.parse(Array(rules.utf8)) } }
  }
}
