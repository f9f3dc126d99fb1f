import SidecarRules
import Testing

@testable import MetricsSidecar

@Suite struct RegexRuleTests {
  @Test func `a regex names events, and its groups stand in names and labels`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"match": "first", "families": [
          {"name": "job_${2}_total", "type": "counter", "constants": {"app": "$1", "exit": "$3"},
           "events": [
             {"regex": "^(\\w+)\\.job\\.(started|ended)(?:_(\\d+))?$", "types": "counter"}]},
          {"action": "drop", "events": [{"regex": "debug|trace"}]},
          {"name": "took_seconds", "type": "histogram", "buckets": [1], "labels": ["zone"],
           "events": [{"regex": "(?i)\\.TOOK$", "scale": 0.5, "when": {"zone": "a*"}}]}]}
        """#)
    fixture.apply("web.job.ended_3", "c", 2)
    fixture.apply("web.job.started", "c")
    #expect(fixture.apply("a.trace.b", "c") == .dropped)
    fixture.apply("x.took", "d", 3, tags: "zone:a1")
    fixture.apply("x.took.y", "d", 3)
    fixture.apply("web.job.started", "g", 5)
    #expect(fixture.value(#"job_ended_total{app="web",exit="3"}"#) == 2, "\(fixture.page)")
    #expect(fixture.value(#"job_started_total{app="web"}"#) == 1)
    #expect(fixture.value(#"took_seconds_sum{zone="a1"}"#) == 1.5)
    #expect(fixture.value("x_took_y_count") == 1)
    #expect(fixture.value("web_job_started") == 5)
  }

  @Test func `an event that is known asks no regex again`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [{"name": "a_total", "type": "counter", "constants": {"n": "$1"},
          "events": [{"regex": "^a\\.(.*)"}]}]}
        """#)
    for _ in 0..<100 { fixture.apply("a.b", "c") }
    #expect(fixture.value(#"a_total{n="b"}"#) == 100)
    #expect(fixture.registry.resolvedLines == 1)
  }

  @Test func `only a regex whose beginning fits a name is tried`() {
    var rules: [Rule] = []
    for index in 0..<1000 {
      let regex = try? RegularExpression(Array("^app\\.\(index)\\.(.*)$".utf8))
      let prefix = String(decoding: regex?.prefix ?? [], as: UTF8.self)
      rules.append(Rule(event: Pattern(prefix + "**"), regex: regex, conditions: []))
    }
    rules.append(Rule(event: Pattern("**"), regex: nil, conditions: []))
    #expect(RuleMatcher(rules).candidates(for: Array("app.77.x".utf8)) == [77, 1000])
  }

  @Test(arguments: [
    (
      #"{"regex": "a("}"#,
      #""regex", byte 2: a ( without its )"#
    ),
    (#"{"event": "a", "regex": "a"}"#, #"an event has an "event" or a "regex", not both"#),
    (#"{"regex": 5}"#, "expected a text in double quotes"),
    (#"{"regex": "(a{1000}){10}"}"#, #""regex", byte 1: it takes more than 10,000 steps"#),
    (#"{"regex": "a"}"#, "$2 in x_$2: an event of this family has fewer * or groups"),
    (
      Array(repeating: #"{"regex": "(b){1000}(b){1000}(b){1000}"}"#, count: 12)
        .joined(separator: ","), "all of a file together take more than 100,000 steps"
    ),
  ])
  func `what a regex has wrong is told`(_ events: String, _ message: String) {
    let rules = #"{"families": [{"name": "x_$2", "type": "counter", "events": [\#(events)]}]}"#
    let mistakes = RuleFile.read(Array(rules.utf8)).mistakes.map { $0.description }
    #expect(mistakes.contains { $0.contains(message) }, "\(mistakes)")
  }
}
