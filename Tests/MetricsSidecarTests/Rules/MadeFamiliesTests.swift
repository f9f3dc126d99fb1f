import Testing

@testable import MetricsSidecar

/// Families that events make under a rule: a restart and a reload find them before any event does.
@Suite struct MadeFamiliesTests {
  private static let kinds: [(type: String, event: Character, lines: [String])] = [
    (#""type": "histogram", "buckets": [1, 2]"#, "h", [#"_bucket{le="2.0"}"#, "_count", "_sum"]),
    (#""type": "histogram", "native": true, "max_buckets": 20"#, "h", ["_count", "_sum"]),
    (#""type": "summary", "window": "1h""#, "h", ["_count", "_sum"]),
    (#""type": "set", "exact": 20"#, "s", [""]),
    (#""type": "gauge", "merge": "sum""#, "g", [""]),
    (#""type": "gauge""#, "g", [""]),
    (#""type": "counter""#, "c", [""]),
    (#""type": "event", "buckets": [1, 2]"#, "h", [#"_bucket{le="2.0"}"#, "_count", "_sum"]),
    (#""type": "event", "timings": "summary""#, "h", ["_count", "_sum"]),
    (#""type": "event", "buckets": [1, 2]"#, "c", [""]),
    (#""type": "event", "buckets": [1, 2]"#, "g", [""]),
    (#""type": "event", "buckets": [1, 2]"#, "s", [""]),
  ]

  private static func rules(_ name: String, _ type: String, help: String = "Old") -> String {
    #"""
    {"families": [{"name": "\#(name)", \#(type), "help": "\#(help)", "events": [{"event": "a.*"}]}]}
    """#
  }

  @Test(arguments: kinds.indices, ["x_$1", "x_b", "x:${1}"])
  func `every kind goes on after a restart, as its rule has it`(_ kind: Int, _ name: String) throws
  {
    let (type, event, lines) = Self.kinds[kind]
    let fixture = try Fixture(rules: Self.rules(name, type))
    let family = name == "x:${1}" || name == "x_$1" ? "x_b" : name
    fixture.apply("a.b", event, 1.5)
    let before = fixture.page
    for line in lines { #expect(fixture.value(family + line) != nil, "\(before)") }
    try fixture.reopen()
    #expect(fixture.page == before)
    fixture.apply("a.b", event, 1.5)
    let again = try Fixture(rules: Self.rules(name, type))
    again.apply("a.b", event, 1.5)
    again.apply("a.b", event, 1.5)
    #expect(fixture.page == again.page)
  }

  @Test(arguments: kinds.indices)
  func `every kind goes on after a reload, with the help of the new rules`(_ kind: Int) throws {
    let (type, event, _) = Self.kinds[kind]
    let fixture = try Fixture(rules: Self.rules("x_$1", type))
    fixture.apply("a.b", event, 1.5)
    let before = fixture.page
    let rules = Self.rules("x_$1", type, help: "New")
    fixture.registry.reload(try RuleFile.parse(Array(rules.utf8)))
    #expect(fixture.page == before.replacing("Old", with: "New"))
  }

  @Test func `other buckets, or another type, start again with the first event`() throws {
    let old = Self.rules("x_$1", #""type": "histogram", "buckets": [1]"#)
    let new = Self.rules("x_$1", #""type": "histogram", "buckets": [2]"#)
    let gauge = Self.rules("x_$1", #""type": "gauge""#)
    let fixture = try Fixture(rules: old)
    fixture.apply("a.b", "h", 0.5)
    fixture.registry.reload(try RuleFile.parse(Array(new.utf8)))
    #expect(fixture.value(#"x_b_bucket{le="1.0"}"#) == 1)
    fixture.apply("a.b", "h", 0.5)
    #expect(fixture.value(#"x_b_bucket{le="1.0"}"#) == nil)
    #expect(fixture.value(#"x_b_bucket{le="2.0"}"#) == 1)
    fixture.registry.reload(try RuleFile.parse(Array(gauge.utf8)))
    #expect(fixture.apply("a.b", "g", 4) == nil)
    #expect(fixture.value("x_b") == 4)
    #expect(fixture.registry.seriesCount == 1)
    // Within the life of one file, who came first stays.
    #expect(fixture.apply("x_b", "h", 1) == .typeConflict)
  }

  @Test func `two rules that make one name keep what there is, whoever comes first`() throws {
    let rules = #"""
      {"families": [
        {"name": "$1_b", "type": "histogram", "buckets": [1], "events": [{"event": "one.*"}]},
        {"name": "a_$1", "type": "histogram", "buckets": [2], "events": [{"event": "two.*"}]}]}
      """#
    let fixture = try Fixture(rules: rules)
    fixture.apply("two.b", "h", 0.5)
    fixture.apply("one.a", "h", 0.5)
    fixture.registry.commit()
    try fixture.reopen()
    fixture.apply("one.a", "h", 0.5)
    #expect(fixture.value(#"a_b_bucket{le="2.0"}"#) == 3)
    fixture.registry.reload(try RuleFile.parse(Array(rules.utf8)))
    fixture.apply("one.a", "h", 0.5)
    #expect(fixture.value(#"a_b_bucket{le="2.0"}"#) == 4)
  }

  @Test func `a family that is called as another one's line leaves it the name`() throws {
    let fixture = try Fixture()
    fixture.apply("a_b_count", "g", 5)
    fixture.apply("other", "g", 5)
    let rules = Self.rules("a_b", #""type": "histogram", "buckets": [1]"#)
    fixture.registry.reload(try RuleFile.parse(Array(rules.utf8)))
    #expect(!fixture.page.contains("a_b_count gauge"), "\(fixture.page)")
    #expect(fixture.value("other") == 5)
    #expect(fixture.apply("a_b_count", "g", 5) == .typeConflict)
  }

  @Test func `a further entry of a family that events make leaves its time to live`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"match": "first", "families": [
          {"name": "n", "type": "event", "ttl": "10m", "events": [{"event": "a"}]},
          {"name": "n", "constants": {"x": "1"}, "events": [{"event": "b"}]}]}
        """#)
    for name in ["a", "b"] {
      fixture.apply(name, "g", 1)
      let family = fixture.registry.families.first { $0.name == [UInt8(ascii: "n")] }
      #expect(family?.timeToLive == 600_000_000_000)
    }
  }
}
