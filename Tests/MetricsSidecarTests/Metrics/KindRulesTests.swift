import Testing

@testable import MetricsSidecar

@Suite struct KindRulesTests {
  @Test(arguments: [
    (#""type": "histogram", "native": 1"#, "expected true or false"),
    (#""type": "counter", "native": true"#, #""native" is for histograms"#),
    (
      #""type": "histogram", "max_buckets": 100"#,
      #""max_buckets" is for summaries and histograms with "native": true"#
    ),
    (
      #""type": "histogram", "native": true, "bucket_factor": 1"#,
      "expected a factor from 1.0027 to 65536"
    ),
    (#""type": "summary", "quantiles": [0.9, 0.5]"#, "each quantile is above the one before it"),
    (#""type": "summary", "quantiles": [1.5]"#, "expected a number from 0 to 1"),
    (#""type": "summary", "quantiles": []"#, "expected from 1 to 32 quantiles"),
    (
      #""type": "summary", "window": "10x""#,
      "expected a time from 1s to 576h, such as \"10m\""
    ),
    (#""type": "summary", "labels": ["quantile"]"#, "the label quantile is the summary's own"),
    (#""type": "gauge", "quantiles": [0.5]"#, #""quantiles" is for summaries"#),
    (#""type": "set", "exact": 5"#, "expected from 16 to 40000 values"),
    (
      #""type": "gauge", "merge": "livelast""#,
      #""merge" is last, sum, min, max, livesum, livemin or livemax"#
    ),
    (
      #""type": "gauge", "client": "pid""#,
      #""client" is for gauges with a "merge" of several clients"#
    ),
    (#""type": "summary", "buckets": [1]"#, #""buckets" are for histograms"#),
    (#""type": "summery""#, #""type" is counter, gauge, histogram, summary, set or event"#),
  ])
  func `what does not belong together is told`(_ members: String, _ message: String) {
    let text = #"{"families": [{"name": "a", \#(members), "events": [{"event": "a"}]}]}"#
    let (_, mistakes) = RuleFile.read(Array(text.utf8))
    #expect(mistakes.first?.message == message)
  }

  @Test(arguments: [(1.1, 3), (2, 0), (1.0027, 8), (1.5, 1), (65_536, -4), (10, -1)])
  func `a factor gives the schema that the official clients take`(
    _ factor: Double, _ schema: Int
  ) throws {
    let rules = try RuleFile.parse(
      Array(
        """
        {"families": [{"name": "a", "type": "histogram", "native": true,
          "bucket_factor": \(factor), "events": [{"event": "a"}]}]}
        """.utf8))
    #expect(rules.families[0].options.schema == schema)
  }

  @Test
  func `an event whose type is not its family's is counted by name, and costs no other family`()
    throws
  {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "a", "type": "summary", "events": [{"event": "e"}]},
          {"name": "b_total", "type": "counter", "events": [{"event": "e"}]}]}
        """#)
    for _ in 0..<3 { #expect(fixture.apply("e", "c", 1) == nil) }
    #expect(fixture.value("b_total") == 3)
    #expect(fixture.apply("c", "s") == nil)
    #expect(fixture.apply("c", "g") == .typeConflict)
    #expect(fixture.apply("b_sum", "g") == nil)
    #expect(fixture.apply("a_sum", "g") == .typeConflict)
    let conflicts = fixture.registry.conflicts
    #expect(
      conflicts.names.map { String(decoding: $0, as: UTF8.self) } == ["a", "c", "a_sum"])
    #expect(conflicts.counts == [3, 1, 1])
  }

  @Test func `a tag quantile does not meet the summary's own label`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [{"name": "a", "type": "summary", "other_tags": "keep", "quantiles": [0.5],
          "events": [{"event": "e"}]}]}
        """#)
    fixture.apply("e", "d", 0, tags: "quantile:x")
    #expect(fixture.value(#"a{exported_quantile="x",quantile="0.5"}"#) == 0)
  }

  @Test func `a scale is for numbers, not for members of sets`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "q", "type": "summary", "events": [{"event": "e", "scale": 0.001}]},
          {"name": "n", "type": "histogram", "native": true,
           "events": [{"event": "e", "scale": 0.001}]},
          {"name": "m", "type": "gauge", "merge": "sum", "events": [{"event": "e", "scale": 0.5}]},
          {"name": "s", "type": "set", "events": [{"event": "e", "scale": 0.001}]}]}
        """#)
    for n in 0..<100 {
      fixture.apply("e", "d", 2000)
      fixture.see("e", "u\(n)")
    }
    fixture.apply("e", "g", 8)
    fixture.apply("e", "g", 4, isDelta: true)
    #expect(fixture.value("q_sum") == 200)
    #expect(fixture.value("n_sum") == 200)
    #expect(fixture.value("m") == 6)
    #expect(fixture.value("s") == 100)
  }

  @Test func `a reload keeps what means the same, and starts again what does not`() throws {
    let rules = { (window: String, merge: String) in
      try RuleFile.parse(
        Array(
          """
          {"families": [
            {"name": "q", "type": "summary", "window": "\(window)", "events": [{"event": "e"}]},
            {"name": "m", "type": "gauge", "merge": "\(merge)", "events": [{"event": "e"}]}]}
          """.utf8))
    }
    let fixture = try Fixture()
    fixture.registry.reload(try rules("1m", "sum"))
    fixture.apply("e", "d", 5)
    fixture.from(2) { fixture.apply("e", "g", 3) }
    fixture.registry.reload(try rules("1m", "livesum"))
    fixture.apply("e", "d", 5)
    #expect(fixture.value("q_sum") == 10)
    #expect(fixture.value("m") == 3)
    fixture.registry.connectionEnded(2)
    #expect(fixture.value("m") == 0)
    fixture.registry.reload(try rules("2m", "max"))
    #expect(fixture.value("q_sum") == 0)
  }

  @Test func `names of conflicts are bounded`() {
    var conflicts = TypeConflicts()
    for n in 0..<150 {
      conflicts.count(Array("a\(n)".utf8))
      conflicts.count(Array("a\(n)".utf8))
    }
    #expect(conflicts.names.count == 100)
    #expect(conflicts.overflow == 100)
  }
}
