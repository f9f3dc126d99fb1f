import Foundation
import SidecarFuzzSupport
import Testing

@testable import MetricsSidecar

@Suite struct SummaryTests {
  private let rules = #"""
    {"families": [
      {"name": "wait_seconds", "type": "summary", "quantiles": [0, 0.5, 0.9, 0.99, 1],
       "window": "40s", "labels": ["q"], "events": [{"event": "wait"}]}]}
    """#

  @Test func `sum and count are of all time, quantiles of the window`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    for value in 1...100 { fixture.apply("wait", "d", Double(value), tags: "q:a") }
    #expect(fixture.value(#"wait_seconds_sum{q="a"}"#) == 5050)
    #expect(fixture.value(#"wait_seconds_count{q="a"}"#) == 100)
    let median = try #require(fixture.value(#"wait_seconds{q="a",quantile="0.5"}"#))
    #expect(abs(median / 50 - 1) < 0.045)
    // Three quarters of the window later it still counts, a window later no longer.
    fixture.time(29_000)
    #expect(fixture.value(#"wait_seconds{q="a",quantile="0.5"}"#) == median)
    fixture.apply("wait", "d", 1000, tags: "q:a")
    fixture.time(41_000)
    let one = try #require(fixture.value(#"wait_seconds{q="a",quantile="0.5"}"#))
    #expect(abs(one / 1000 - 1) < 0.012)
    fixture.time(90_000)
    #expect(fixture.value(#"wait_seconds{q="a",quantile="0.5"}"#)!.isNaN)
    #expect(fixture.value(#"wait_seconds_sum{q="a"}"#) == 6050)
    #expect(fixture.value(#"wait_seconds_count{q="a"}"#) == 101)
  }

  @Test func `it survives a restart, and an uncommitted sample does not`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    for value in 1...9 { fixture.apply("wait", "m", Double(value) * 1000, tags: "q:a") }
    fixture.registry.commit()
    let page = fixture.page
    fixture.apply("wait", "d", 1e6, tags: "q:a")
    try fixture.reopen()
    fixture.time(0)
    #expect(fixture.page == page)
  }

  @Test func `rates weigh exactly in the long run, and counts stay whole`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    for _ in 0..<3000 { fixture.apply("wait", "d", 2, tags: "q:a", weight: 1 / 0.3) }
    #expect(fixture.value(#"wait_seconds_count{q="a"}"#) == 10_000)
    #expect(abs(fixture.value(#"wait_seconds_sum{q="a"}"#)! - 20_000) < 1e-6)
    fixture.apply("wait", "d", 2, tags: "q:a", weight: 1e300)
    #expect(fixture.value(#"wait_seconds{q="a",quantile="1.0"}"#)! > 1.9)
  }

  /// What SummaryCells promises: 1.1 % at schema 5, where 160 buckets span a factor of 32, twice
  /// that for each schema less.
  @Test(arguments: [(0.02, 0.011), (0.5, 0.022), (1.2, 0.045), (3, 0.19)])
  func `quantiles are within their error, whatever the spread`(
    _ spread: Double, _ error: Double
  ) throws {
    let fixture = try Fixture(rules: rules)
    var dice = Dice(3)
    var values: [Double] = []
    for n in 0..<20_000 {
      fixture.time(UInt64(n))
      // About normal in the logarithm, values below 0 among them.
      let normal = (0..<12).map { _ in Double.random(in: -0.5...0.5, using: &dice) }.reduce(0, +)
      values.append((n % 50 == 0 ? -1 : 1) * exp(normal * spread))
      fixture.apply("wait", "d", values[n], tags: "q:a")
    }
    values.sort()
    for (text, quantile) in [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)] {
      let found = try #require(fixture.value("wait_seconds{q=\"a\",quantile=\"\(text)\"}"))
      let exact = values[Int((quantile * 20_000).rounded(.up)) - 1]
      #expect(abs(found / exact - 1) <= error, "\(quantile): \(found), exactly \(exact)")
    }
    #expect(fixture.value(#"wait_seconds{q="a",quantile="0.0"}"#)! < 0)
  }

  @Test func `zero, and numbers of every size, are counted whole`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    fixture.apply("wait", "d", 0, tags: "q:z")
    #expect(fixture.value(#"wait_seconds{q="z",quantile="0.5"}"#) == 0)
    var dice = Dice(5)
    for _ in 0..<4000 {
      let size = pow(10, Double.random(in: -307...307, using: &dice))
      fixture.apply("wait", "d", Bool.random(using: &dice) ? size : -size, tags: "q:z")
    }
    #expect(fixture.value(#"wait_seconds_count{q="z"}"#) == 4001)
    #expect(fixture.value(#"wait_seconds{q="z",quantile="0.0"}"#)! < -1e200)
  }

  @Test(arguments: [
    ("quantile:a", #"{exported_quantile="a"}"#),
    ("quantile:a,exported_quantile:b", #"{exported_quantile="b"}"#),
    ("exported_quantile:b,quantile:a", #"{exported_quantile="b"}"#),
  ])
  func `no line has the label quantile twice, nor what it becomes`(
    _ tags: String, _ labels: String
  ) throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "x", "type": "summary", "other_tags": "keep", "events": [{"event": "x"}]},
          {"name": "y", "type": "summary", "constants": {"quantile": "a"},
           "events": [{"event": "y"}]}]}
        """#)
    fixture.apply("x", "h", 1, tags: tags)
    #expect(fixture.value("x_count\(labels)") == 1, "\(fixture.page)")
    // A constant one: the series that was there from the start is the one that events feed.
    fixture.apply("y", "h", 1)
    #expect(fixture.value(#"y_count{exported_quantile="a"}"#) == 1, "\(fixture.page)")
    #expect(!fixture.page.contains(#"y_count{quantile"#))
  }
}
