import Foundation
import SidecarFuzzSupport
import SidecarRules
import Testing

@testable import MetricsSidecar
@testable import SidecarConvertRules

@Suite struct ConvertRulesTests {
  /// What a mapping file makes of some events: a page's lines.
  private func fixture(_ mapping: String) throws -> (fixture: Fixture, notes: [String]) {
    let file = try MappingFile(text: Array(mapping.utf8))
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
    let file = try MappingFile(
      text: Array("defaults: {ttl: 1h30m}\nmappings:\n- {match: a, name: a, ttl: 10m}\n".utf8))
    let rules = try RuleFile.parse(file.output.array)
    #expect(rules.families.map { $0.ttlSeconds } == [600, 5400])
    #expect(file.notes.isEmpty)
  }

  @Test func `a time of months is kept, and told where a rule can have none so long`() throws {
    let file = try MappingFile(
      text: Array(
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

  @Test func `regexes come behind the globs, in their order, with groups by number and by name`()
    throws
  {
    let (fixture, notes) = try fixture(
      #"""
      mappings:
      - {match: '^(.*)\.(?P<x>\w+)$', match_type: regex, name: late, labels: {a: $1, b: '${x}!'}}
      - {match: '.', match_type: regex, name: rest, labels: {all: $0, cost: '$$5'}}
      - {match: '*.glob', name: globbed, labels: {a: $1}}
      """#)
    #expect(notes == [])
    fixture.apply("x.glob", "c")
    fixture.apply("x.y.z", "c", 2)
    fixture.apply("x-", "c", 3)
    #expect(fixture.value(#"globbed{a="x"}"#) == 1, "\(fixture.page)")
    #expect(fixture.value(#"late{a="x.y",b="z!"}"#) == 2)
    #expect(fixture.value(#"rest{all="x",cost="$5"}"#) == 3)
  }

  @Test func `where the order is off, a glob with a literal part comes before a star`() throws {
    let (fixture, notes) = try fixture(
      """
      defaults: {glob_disable_ordering: yes}
      mappings:
      - {match: a.*.*, name: first}
      - {match: a.*.c, name: second}
      - {match: a.b.*, name: third}
      """)
    #expect(notes == [])
    for name in ["a.b.c", "a.x.c", "a.x.y"] { fixture.apply(name, "c") }
    #expect(fixture.value("third") == 1 && fixture.value("second") == 1, "\(fixture.page)")
    #expect(fixture.value("first") == 1)
  }

  @Test func `one name has mappings of several types: the first event decides, as there`() throws {
    let (fixture, notes) = try fixture(
      """
      mappings:
      - {match: a.*, name: n, match_metric_type: counter, labels: {x: $1}}
      - {match: b.*, name: n, match_metric_type: gauge, labels: {y: $1}}
      - {match: t, name: t, match_metric_type: observer}
      - {match: t.count, name: t_count, match_metric_type: counter}
      """)
    #expect(notes == [])
    fixture.apply("b.1", "g", 7)
    #expect(fixture.apply("a.1", "c") == .typeConflict)
    fixture.apply("t.count", "c", 4)
    #expect(fixture.apply("t", "m", 4) == .typeConflict)
    #expect(fixture.value(#"n{y="1"}"#) == 7)
    #expect(fixture.value("t_count") == 4)
  }

  @Test func `what cannot be carried over is told with its line, and the rest is carried`() throws {
    let (fixture, notes) = try fixture(
      """
      mappings:
      - match: a
        name: a
        ratio: 5
        labels: {le: x}
      - match: ^b(\\d$
        match_type: regex
        name: b
      - match: ^c\\.(.*)$
        match_type: regex
        name: c_$1_total
      - match: d.*
        name: d_$2
      - name: e
      - match: f
        name: 9f
      """)
    let nothing = { (word: String) in
      "$\(word) stands for nothing, as there: a $ takes all letters, digits and _ behind it. "
        + "Write ${1}_${2} for two of them"
    }
    #expect(
      notes == [
        "line 4, column 10: unknown name ratio is left out",
        "line 5, column 16: the label le is left out: it is the sidecar's own, or cannot be one",
        "line 6, column 10: the mapping is left out: its regex, byte 3: a ( without its )",
        "line 9, column 3: " + nothing("1_total"), "line 12, column 3: " + nothing("2"),
        "line 14, column 3: the mapping is left out: it needs a match",
        "line 15, column 3: the mapping is left out: this name cannot be one",
      ])
    fixture.apply("a", "c")
    fixture.apply("c.x", "c")
    fixture.apply("d.x", "c")
    #expect(fixture.value("a") == 1 && fixture.value("c_") == 1 && fixture.value("d_") == 1)
  }

  @Test func `what only looks like a mistake does not make the rules incomplete`() throws {
    let odd = try MappingFile(text: Array("mappings:\n- {match: a.*, name: a_$2}\n".utf8))
    #expect(odd.notes.count == 1 && !odd.isIncomplete)
    let lost = try MappingFile(text: Array("mappings:\n- {match: a, name: a, x: 1}\n".utf8))
    #expect(lost.isIncomplete)
  }

  @Test func `a native histogram keeps its classic buckets`() throws {
    let options = "histogram_options: {native_histogram_bucket_factor: 1.1}"
    let file = try MappingFile(
      text: Array("mappings:\n- {match: a, name: a, observer_type: histogram, \(options)}\n".utf8))
    let family = try RuleFile.parse(file.output.array).families[0]
    #expect(family.kind == nil && family.timingKind == .nativeHistogram)
    #expect(family.buckets == [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
    #expect(file.notes.isEmpty)
  }

  @Test func `a further mapping of a family has its own ttl, and buckets by labels`() throws {
    let (fixture, notes) = try fixture(
      """
      mappings:
      - {match: a.x, name: a, ttl: 10m, help: one, observer_type: histogram, buckets: [1, 2]}
      - {match: a.y, name: a, ttl: 600s, help: one, observer_type: histogram, buckets: [1.0, 2]}
      - match: a.z
        name: a
        ttl: 5m
        help: two
        observer_type: histogram
        buckets: [1]
      - {match: a.u, name: a}
      - {match: a.v, name: a, observer_type: histogram, buckets: [3], labels: {l: v, m: v}}
      - {match: a.w, name: a, observer_type: histogram, buckets: [4], labels: {m: w, l: w}}
      - {match: b.x, name: b, quantiles: [{quantile: 0.5}]}
      - {match: b.y, name: b, summary_options: {max_age: 1m}}
      - {match: b.z, name: b, quantiles: [{quantile: 0.5}], match_metric_type: counter}
      - {match: b.l, name: b, labels: {l: v}}
      """)
    let lost = { (what: String, name: String) in
      "\(what) of this mapping: lost, as \(name) has what its first one says"
    }
    #expect(
      notes
        == [
          "line 4, column 3: " + lost("the help", "a"),
          "line 9, column 12: " + lost("the buckets", "a with these labels"),
          "line 10, column 3: " + lost("the observer type", "a"),
          "line 12, column 60: " + lost("the buckets", "a with these labels"),
          "line 14, column 3: " + lost("the quantiles", "b with these labels"),
          "line 14, column 52: " + lost("the max_age", "b with these labels"),
        ])
    let entries = fixture.rules.families.filter { $0.name == "a" }
    #expect(entries.map { $0.ttlSeconds } == [600, 600, 300, 0, 0, 0])
    #expect(entries.map { $0.buckets } == [[1, 2], [1, 2], [1, 2], [1, 2], [3], [3]])
    let summaries = fixture.rules.families.filter { $0.name == "b" }
    #expect(
      summaries.map { $0.options.quantiles } == [[0.5], [0.5], [0.5], [0.5, 0.9, 0.99]])
    for name in ["x", "v", "w"] { fixture.apply("a.\(name)", "h", 2) }
    #expect(fixture.value(#"a_bucket{le="2.0"}"#) == 1)
    #expect(fixture.value(#"a_bucket{l="w",m="w",le="3.0"}"#) == 1)
  }

  @Test(arguments: [
    ("two_$1_$2", "two_", "1_$2"), ("${1}_${2}", "x_y", nil), ("$1", "x", nil),
    ("n_$2.", "n_y_", nil), ("a_$$1", "a_", "$1"), ("a${1_b", "a", "1_b"),
  ])
  func `a glob's $ takes what it takes there`(
    _ template: String, _ name: String, _ told: String?
  ) throws {
    let (fixture, notes) = try fixture(
      "mappings:\n- {match: m.*.*, name: m, labels: {l: '\(template)'},"
        + " match_metric_type: counter}\n")
    fixture.apply("m.x.y", "c")
    let value = name == "n_y_" ? "n_y." : name
    #expect(fixture.value("m{l=\"\(value)\"}") == 1, "\(fixture.page)")
    #expect(notes.count == (told == nil ? 0 : 1))
    if let told { #expect(notes[0].hasPrefix("line 2, column 39: $\(told) stands for nothing")) }
  }

  @Test func `a glob's $10 behind its $1 keeps the 0, as there`() throws {
    let (fixture, notes) = try fixture(
      "mappings:\n- {match: 'm.*.*.*.*.*.*.*.*.*.*', name: m, match_metric_type: counter,"
        + " labels: {a: '$1.$10', b: '$10.$1', c: '${1}.$10', d: '$1.${10}'}}\n")
    fixture.apply("m.a.b.c.d.e.f.g.h.i.j", "c")
    #expect(fixture.value(#"m{a="a.j0",b="j.a",c="a.j",d="a.j"}"#) == 1, "\(fixture.page)")
    #expect(notes.count == 1 && notes[0].hasSuffix("Write ${10}"), "\(notes)")
  }

  @Test(
    arguments: [
      ("summary_options: {age_buckets: 5}", "age_buckets is left out"),
      ("summary_options: {buf_cap: 5}", "buf_cap is left out"),
      ("action: keep", "action is map or drop"),
      ("match_type: exact", "match_type is glob or regex"), ("labels: x", "labels are left out"),
      ("histogram_options: 3", "histogram_options are left out"),
      ("observer_type: histogram\n  buckets: 5", "expected a list of numbers"),
      ("help: \"\\ud83d\"", nil), ("help: \"\\q\"", nil), ("help: \"\\x4\"", nil),
    ] as [(String, String?)])
  func `nothing is lost without a word`(_ member: String, _ told: String?) throws {
    let text = "mappings:\n- match: a\n  name: a\n  \(member)\n"
    guard let told else {
      #expect(throws: JSON.Mistake.self) { try MappingFile(text: Array(text.utf8)) }
      return
    }
    let (_, notes) = try fixture(text)
    #expect(notes.count == 1 && notes[0].contains(told), "\(notes)")
  }
}

@Suite struct ConvertRulesFuzzTests {
  @Test func `whatever a mapping file says, what it becomes is a rules file or a mistake`() {
    Fuzzer(
      "mapping-files",
      pieces: [
        "- ", ": ", "\n  ", "match: ", "&a ", "*a", "<<: ", ">-\n  ", "name: $1", "[", "}", "'",
        "${1}",
      ]
    )
    .run { input, _, label in
      do throws(JSON.Mistake) {
        let rules = try MappingFile(text: input).output.array
        let mistakes = RuleFile.read(rules).mistakes.map { $0.description }
        #expect(
          mistakes.isEmpty, "\(label): \(mistakes) in \(String(decoding: rules, as: UTF8.self))")
      } catch {}
    }
  }
}
