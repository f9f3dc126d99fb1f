import Foundation
import SidecarPlatform
import SidecarRules
import Testing

@testable import MetricsSidecar

@Suite struct RuleFeatureTests {
  @Test func `captures stand in the family's name, made fit for one`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"separator": ".", "families": [
          {"name": "${1}_requests_total", "type": "counter", "help": "Requests",
           "constants": {"path": "$2"}, "events": [{"event": "*.requests.**"}]}]}
        """#)
    fixture.apply("web-1.requests.a.b", "c", 2)
    fixture.apply("metrics_sidecar_x.requests.a", "c", 1)
    #expect(fixture.value(#"web_1_requests_total{path="a.b"}"#) == 2, "\(fixture.page)")
    #expect(fixture.value(#"exported_metrics_sidecar_x_requests_total{path="a"}"#) == 1)
    #expect(fixture.page.contains("# HELP web_1_requests_total Requests\n"))
    #expect(fixture.apply("web.requests.x", "g") == .typeConflict)
  }

  @Test(arguments: [
    (#""drop""#, #"x_total{q="1"}"#),
    (#""keep""#, #"x_total{a="2",exported_le="5",q="1",t_x="3"}"#),
    (#"{"except": "t.*"}"#, #"x_total{a="2",exported_le="5",q="1"}"#),
    (#"{"except": ["a", "le"]}"#, #"x_total{q="1",t_x="3"}"#),
  ])
  func `tags that no label names are dropped, kept, or some of them`(
    _ choice: String, _ series: String
  ) throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [{"name": "x_total", "type": "counter", "labels": {"q": "queue"},
          "other_tags": \#(choice), "events": [{"event": "x"}]}]}
        """#)
    fixture.apply("x", "c", 1, tags: "t.x:3,queue:1,a:2,le:5")
    #expect(fixture.value(series) == 1, "\(fixture.page)")
  }

  @Test(arguments: [("false", "rule"), ("true", "tag")])
  func `a constant gives way to a tag of its name where the rule honours labels`(
    _ honors: String, _ value: String
  ) throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [{"name": "x_total", "type": "counter", "constants": {"env": "rule"},
          "other_tags": "keep", "honor_labels": \#(honors), "events": [{"event": "x"}]}]}
        """#)
    fixture.apply("x", "c", 1, tags: "env:tag")
    fixture.apply("x", "c", 1)
    #expect(fixture.value(#"x_total{env="\#(value)"}"#) == (value == "tag" ? 1 : 2))
  }

  @Test func `values are scaled by the rule that takes them`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "bytes_total", "type": "counter",
           "events": [{"event": "kb", "scale": 1024}, {"event": "b"}]},
          {"name": "level", "type": "gauge", "events": [{"event": "level", "scale": -0.5}]},
          {"name": "took_seconds", "type": "histogram", "buckets": [0.002, 1],
           "events": [{"event": "took", "scale": 0.001}]}]}
        """#)
    for _ in 0..<2 {
      fixture.apply("kb", "c", 2)
      fixture.apply("b", "c", 3)
      fixture.apply("level", "g", 10)
    }
    fixture.apply("level", "g", 2, isDelta: true)
    fixture.apply("took", "m", 1500)
    #expect(fixture.value("bytes_total") == 4102)
    #expect(fixture.value("level") == -6)
    #expect(fixture.value("took_seconds_sum") == 0.0015)
    #expect(fixture.value(#"took_seconds_bucket{le="0.002"}"#) == 1)
  }

  @Test func `more scales than there are numbers for are a mistake`() throws {
    func rules(_ count: Int) -> String {
      let events = (1...count).map { #"{"event": "e\#($0)", "scale": \#($0)}"# }
      return #"""
        {"families": [
          {"name": "x_total", "type": "counter", "events": [\#(events.joined(separator: ","))]}]}
        """#
    }
    // A scale of 1 is none.
    let fixture = try Fixture(rules: rules(Scales.limit + 1))
    for number in 1...Scales.limit + 1 { fixture.apply("e\(number)") }
    #expect(fixture.value("x_total") == Double((1...Scales.limit + 1).reduce(0, +)))
    #expect(throws: JSON.Mistake.self) {
      try RuleFile.parse(Array(rules(Scales.limit + 2).utf8))
    }
  }

  @Test func `a rule takes the kinds of events that it names, and a type may be the event's`()
    throws
  {
    let fixture = try Fixture(
      rules: #"""
        {"match": "first", "families": [
          {"name": "timed_seconds", "type": "summary",
           "events": [{"event": "a", "types": "timing"}]},
          {"action": "drop", "events": [{"event": "a", "types": ["gauge", "set"]}]},
          {"name": "own_$1", "type": "event", "timings": "histogram", "buckets": [1],
           "other_tags": "keep", "events": [{"event": "*"}]}]}
        """#)
    fixture.apply("a", "m", 500)
    #expect(fixture.apply("a", "g") == .dropped)
    fixture.apply("a", "c", 2, tags: "t:1")
    fixture.apply("b", "d", 0.5)
    fixture.apply("c", "g", 7)
    #expect(fixture.value("timed_seconds_sum") == 0.5)
    #expect(fixture.value(#"own_a{t="1"}"#) == 2)
    #expect(fixture.value(#"own_b_bucket{le="1.0"}"#) == 1, "\(fixture.page)")
    #expect(fixture.value("own_c") == 7)
    #expect(fixture.apply("c", "c") == .typeConflict)
  }

  @Test func `what is dropped is remembered as such, in half of the room, until rules change`()
    throws
  {
    let rules = #"{"families": [{"action": "drop", "events": [{"event": "noise.*"}]}]}"#
    var limits = Limits()
    limits.series = 10
    let fixture = try Fixture(rules: rules, limits: limits)
    for n in 0..<100 {
      #expect(fixture.apply("noise.\(n)") == .dropped)
      #expect(fixture.apply("noise.\(n)") == .dropped)
    }
    #expect(fixture.registry.lines.count == 10)
    fixture.apply("jobs", "c", 2)
    fixture.apply("jobs", "c", 3)
    #expect(fixture.value("jobs_total") == 5)
    #expect(fixture.registry.lines.count == 11)
    #expect(fixture.registry.seriesCount == 1)
    fixture.registry.reload(try RuleFile.parse(Array("{}".utf8)))
    #expect(fixture.apply("noise.1") == nil)
    #expect(fixture.value("noise_1_total") == 1)
  }

  @Test func `a time to live is at most a hundred years`() throws {
    func rules(_ ttl: String) -> String {
      #"{"families": [{"name": "a", "type": "counter", "ttl": "\#(ttl)", "#
        + #""events": [{"event": "a"}]}]}"#
    }
    let fixture = try Fixture(rules: rules("36525d"))
    fixture.apply("a")
    fixture.registry.commit()
    fixture.registry.turnEnded(now: Clock.monotonicNanoseconds, isRead: false)
    #expect(fixture.value("a") == 1)
    #expect(throws: JSON.Mistake.self) { try RuleFile.parse(Array(rules("36526d").utf8)) }
    #expect(throws: JSON.Mistake.self) { try RuleFile.parse(Array(rules("365250d").utf8)) }
  }

  @Test func `a family may have a further entry with other labels, and stays one family`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "x_total", "type": "counter", "help": "X", "labels": ["z", "a"],
           "events": [{"event": "one"}]},
          {"name": "y_total", "type": "counter", "events": [{"event": "one"}]},
          {"name": "x_total", "constants": {"a": "const"}, "labels": ["z"],
           "events": [{"event": "two"}]}]}
        """#)
    fixture.apply("one", "c", 1, tags: "a:const,z:1")
    fixture.apply("two", "c", 2, tags: "z:1")
    #expect(fixture.value(#"x_total{a="const",z="1"}"#) == 3)
    #expect(fixture.page.components(separatedBy: "# TYPE x_total").count == 2)
  }

  @Test func `a series whose labels are all constants is there from the start`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [{"name": "x_total", "type": "counter", "constants": {"b": "2", "a": "1"},
          "events": [{"event": "x"}]}]}
        """#)
    #expect(fixture.value(#"x_total{a="1",b="2"}"#) == 0)
  }

  @Test func `mistakes in the newer members are told too`() {
    let text = #"""
      {"separator": "::",
       "families": [
        {"name": "a", "type": "histogram", "other_tags": "some", "honor_labels": 1,
         "events": [{"event": "x", "types": "counters", "scale": 0}]},
        {"name": "a_count", "type": "counter", "timings": "summary", "events": []},
        {"name": "a", "type": "gauge", "help": "again", "events": []},
        {"name": "$2_total", "type": "counter", "events": [{"event": "*"}]},
        {"name": "$1 total", "type": "counter", "events": [{"event": "*"}]}]}
      """#
    let mistakes = RuleFile.read(Array(text.utf8)).mistakes.map { $0.description }
    #expect(
      mistakes == [
        #"line 1, column 15: a separator is one character, such as ".", or "" for none"#,
        #"line 3, column 52: "other_tags" is "keep" or "drop""#,
        "line 3, column 76: expected true or false",
        #"line 4, column 39: "types" are counter, gauge, timing or set"#,
        "line 4, column 60: expected a number that is not 0",
        #"line 5, column 3: "timings" are for families whose "type" is "event""#,
        "line 5, column 3: a_count is a line of the family a: choose another name",
        "line 6, column 3: there is a family a of another type already",
        #"line 6, column 42: "help" belongs to the first entry of the family a"#,
        "line 7, column 3: $2 in $2_total: an event of this family has fewer * or groups",
        "line 8, column 12: a family's name has letters, digits, _ and :, and starts with no digit",
      ])
  }
}
