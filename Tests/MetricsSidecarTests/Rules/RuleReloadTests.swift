import Foundation
import Testing

@testable import MetricsSidecar

@Suite struct RuleReloadTests {
  private func rules(_ families: String) throws -> Rules {
    try RuleFile.parse(Array(#"{"families": [\#(families)]}"#.utf8))
  }

  private let jobs = #"""
    {"name": "jobs_total", "type": "counter", "help": "Old", "labels": ["queue"],
     "events": [{"event": "jobs"}]}
    """#

  @Test func `counters go on, new families appear, the rest stays as it is`() throws {
    let fixture = try Fixture(rules: #"{"families": [\#(jobs)]}"#)
    fixture.apply("jobs", "c", 3, tags: "queue:mail")
    fixture.apply("other", "c", 5)
    fixture.registry.reload(
      try rules(
        #"""
        {"name": "new_total", "type": "counter", "events": [{"event": "jobs"}]},
        \#(jobs.replacingOccurrences(of: "Old", with: "New"))
        """#))
    #expect(fixture.value("new_total") == 0)
    fixture.apply("jobs", "c", 4, tags: "queue:mail")
    #expect(fixture.value(#"jobs_total{queue="mail"}"#) == 7)
    #expect(fixture.value("new_total") == 4)
    #expect(fixture.value("other_total") == 5)
    #expect(fixture.page.contains("# HELP jobs_total New\n"))

    fixture.registry.reload(try rules(""))
    fixture.apply("jobs", "c", 1, tags: "queue:mail")
    #expect(fixture.value(#"jobs_total{queue="mail"}"#) == 8)
    #expect(fixture.value("new_total") == 4)
  }

  @Test func `a family of another type or other buckets starts again, and has one place`() throws {
    let histogram = #"""
      {"name": "x", "type": "histogram", "buckets": [1], "events": [{"event": "x"}]}
      """#
    let fixture = try Fixture(rules: #"{"families": [\#(histogram), \#(jobs)]}"#)
    fixture.apply("x", "d", 0.5)
    fixture.apply("jobs", "c", 2, tags: "queue:mail")
    let before = fixture.registry.seriesCount
    fixture.registry.reload(
      try rules(histogram.replacingOccurrences(of: "[1]", with: "[2]") + "," + jobs))
    #expect(fixture.value("x_count") == 0)
    fixture.apply("x", "d", 0.5)
    #expect(fixture.value(#"x_bucket{le="2.0"}"#) == 1, "\(fixture.page)")
    #expect(fixture.value(#"x_bucket{le="1.0"}"#) == nil)
    fixture.registry.reload(
      try rules(#"{"name": "x", "type": "gauge", "events": [{"event": "x"}]},"# + jobs))
    #expect(fixture.apply("x", "d") == .typeConflict)
    #expect(fixture.apply("x", "g", 5) == nil)
    #expect(fixture.value("x") == 5)
    #expect(fixture.value(#"jobs_total{queue="mail"}"#) == 2)
    #expect(fixture.registry.seriesCount == before)
  }

  @Test func `the same rules again change nothing`() throws {
    let fixture = try Fixture(rules: #"{"families": [\#(jobs)]}"#)
    for n in 0..<50 { fixture.apply("jobs", "c", 1, tags: "queue:\(n)") }
    let page = fixture.page
    for _ in 0..<100 { fixture.registry.reload(try rules(jobs)) }
    #expect(fixture.page == page)
    #expect(fixture.registry.families.count == 1)
  }
}
