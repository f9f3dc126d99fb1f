import Foundation
import SidecarFuzzSupport
import Testing

@testable import MetricsSidecar

@Suite struct ConvertRulesTests {
  /// What a mapping file makes of some events: a page's lines.
  private func fixture(_ mapping: String) throws -> (fixture: Fixture, notes: [String]) {
    let file = try ConvertRules.convert(Array(mapping.utf8))
    let rules = String(decoding: file.output.array, as: UTF8.self)
    return (try Fixture(rules: rules), file.notes.map { $0.description })
  }

  @Test func `globs, labels, types and units count as they do there`() throws {
    let (fixture, notes) = try fixture(
      """
      defaults:
        observer_type: histogram
        buckets: [0.1, 1]
      mappings:
      # most special first
      - match: "shop.*.orders"
        match_metric_type: counter
        name: "orders_total"
        labels:
          shop: "$1"
          env: prod
      - match: shop.*.took
        name: shop_took_seconds
        labels: { shop: "${1}-shop" }
      - match: "*.temperature.*"
        name: "${1}_temperature"
        scale: 0.5
        honor_labels: true
        labels: {place: $2}
      - match: debug.*
        action: drop
      - match: ^api\\.([^.]+)\\.v2\\.(.*)$
        match_type: regex
        name: api_calls
        labels: {path: "${2}", method: $1}
      """)
    #expect(notes == [])
    fixture.apply("shop.berlin.orders", "c", 2, tags: "kind:new,env:test")
    fixture.apply("shop.berlin.took", "m", 500)
    fixture.apply("room.temperature.west", "g", 42, tags: "place:east")
    fixture.apply("api.get.v2.users.all", "c", 3)
    fixture.apply("some.other-thing", "c", 4, tags: "a:b")
    #expect(fixture.apply("debug.x", "c") == .dropped)
    #expect(fixture.apply("debug.x.y", "c") == nil)
    #expect(
      fixture.value(#"orders_total{env="prod",kind="new",shop="berlin"}"#) == 2, "\(fixture.page)")
    #expect(fixture.value(#"shop_took_seconds_bucket{shop="berlin-shop",le="1.0"}"#) == 1)
    #expect(fixture.value(#"room_temperature{place="east"}"#) == 21)
    #expect(fixture.value(#"api_calls{method="get",path="users.all"}"#) == 3)
    #expect(fixture.value(#"some_other_thing{a="b"}"#) == 4)
    #expect(fixture.value("debug_x_y") == 1)
  }

  @Test func `a time to live is the mapping's or the file's`() throws {
    let file = try ConvertRules.convert(
      Array("defaults: {ttl: 1h30m}\nmappings:\n- {match: a, name: a, ttl: 10m}\n".utf8))
    let rules = try RuleFile.parse(file.output.array)
    #expect(rules.families.map { $0.ttlSeconds } == [600, 5400])
    #expect(file.notes.isEmpty)
  }

  @Test func `a time of months is kept, and told where a rule can have none so long`() throws {
    let file = try ConvertRules.convert(
      Array(
        "mappings:\n- {match: a, name: a, ttl: 2160h, summary_options: {max_age: 2160h}}\n".utf8))
    let rules = try RuleFile.parse(file.output.array)
    #expect(rules.families.map { $0.ttlSeconds } == [7_776_000, nil])
    #expect(rules.families[0].options.windowMilliseconds == 576 * 3_600_000)
    #expect(
      file.notes.map { $0.description } == [
        "line 2, column 62: a window has 576h at most: so has this one"
      ])
  }

  @Test func `timings are summaries where nothing else is said`() throws {
    let (fixture, notes) = try fixture(
      """
      mappings:
      - match: a.*
        name: a
        summary_options:
          quantiles:
          - {quantile: 0.99, error: 0.001}
          - quantile: 0.5
            error: 0.05
          max_age: 1m30s
      """)
    #expect(notes == [])
    fixture.apply("a.x", "d", 3)
    fixture.apply("b", "d", 3)
    #expect(fixture.page.contains("# TYPE a summary\n"))
    #expect(fixture.page.contains(#"a{quantile="0.5"}"#))
    #expect(fixture.page.contains(#"b{quantile="0.9"}"#), "\(fixture.page)")
  }

  @Test(arguments: [
    (#"^a\.b$"#, "a.b", []), (#"a\.b"#, "**a.b**", []), (#"."#, "**", []), (#".*"#, "**", []),
    (#"^a\.([^.]+)\.(.*)$"#, "a.*.**", [1, 2]), (#"(.*)\.x$"#, "**.x", [1]),
    (#"a\.([^.]*)$"#, "**a.*", [2]), (#"^a\..*\.([^\.]+)$"#, "a.**.*", [2]),
  ])
  func `a regex becomes a glob`(_ regex: String, _ glob: String, _ stars: [Int]) {
    guard case .glob(let found, let places) = RegexGlob.convert(Array(regex.utf8)) else {
      Issue.record("\(regex) is refused")
      return
    }
    #expect(found == glob)
    #expect(places == stars)
  }

  @Test(arguments: [
    #"a(b|c)"#, #"^a\.(\d+)$"#, #"a+"#, #"^(.*)\.(.*)$"#, #"^([^.]+)_x$"#, #"(.*)a"#, #"a.b"#,
    #"[a-z]"#,
    #"a$b"#, #"^(.*)([^.]*)$"#, #"\w"#, #"(a"#, #"a\"#, #"^([^.]+)"#,
  ])
  func `a regex that leaves a choice or says more than a glob is refused`(_ regex: String) {
    if case .glob(let glob, _) = RegexGlob.convert(Array(regex.utf8)) {
      Issue.record("\(regex) became \(glob)")
    }
  }

  @Test func `what cannot be carried over is told with its line, and the rest is carried`() throws {
    let (fixture, notes) = try fixture(
      """
      mappings:
      - match: a
        name: a
        ratio: 5
        labels: {le: x}
      - match: ^b(\\d)$
        match_type: regex
        name: b
      - match: ^c\\.(.*)$
        match_type: regex
        name: c_$1_total
      - match: d.*
        name: d_$2
      - name: e
      """)
    #expect(
      notes == [
        "line 4, column 10: unknown name ratio is left out",
        "line 5, column 16: the label le is left out: it is the sidecar's own, or cannot be one",
        "line 12, column 3: the mapping is left out: this name cannot be one, or has a $ without a *",
        "line 14, column 3: the mapping is left out: it needs a match",
        "line 6, column 10: the mapping is left out: a group is (.*), (.+), ([^.]*) or ([^.]+) here",
        "line 9, column 3: the mapping is left out: $ takes a number, as in ${1}",
      ])
    fixture.apply("a", "c")
    #expect(fixture.value("a") == 1)
  }

  @Test(arguments: [
    ("mappings:\n- match: a\n  name: \"a\n", "line 3, column 9"),
    ("mappings:\n\t- match: a\n", "line 2, column 1"),
    ("mappings:\n- match: &x a\n", "line 2, column 10"),
    ("mappings:\n- match: a\n name: b\n", "line 3, column 2"), ("- a\n", "line 1, column 1"),
    ("mappings: [a, b\n", "line 1"), ("mappings: {a: b} c\n", "line 1, column 11"),
    ("a: 1\na: 2\n", "line 2, column 1"), ("{\"mappings\": [}", "line 1, column 15"),
  ])
  func `a file that cannot be read is refused with the place`(_ text: String, _ place: String) {
    do throws(JSON.Mistake) {
      _ = try ConvertRules.convert(Array(text.utf8))
      Issue.record("\(text) is read")
    } catch { #expect(error.description.hasPrefix(place), "\(error.description)") }
  }
}

@Suite struct ConvertRulesFuzzTests {
  @Test func `whatever a mapping file says, what it becomes is a rules file or a mistake`() {
    Fuzzer(
      "mapping-files", pieces: ["- ", ": ", "\n  ", "match: ", "name: $1", "[", "}", "'", "${1}"]
    )
    .run { input, _, label in
      do throws(JSON.Mistake) {
        let rules = try ConvertRules.convert(input).output.array
        let mistakes = RuleFile.read(rules).mistakes.map { $0.description }
        #expect(
          mistakes.isEmpty, "\(label): \(mistakes) in \(String(decoding: rules, as: UTF8.self))")
      } catch {}
    }
  }
}
