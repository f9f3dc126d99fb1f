import SidecarRules
import Testing

@testable import MetricsSidecar
@testable import SidecarConvertRules

/// The YAML of mapping files.
@Suite struct MappingTextTests {
  private func fixture(_ mapping: String) throws -> (fixture: Fixture, notes: [String]) {
    let file = try MappingFile(text: Array(mapping.utf8))
    let rules = String(decoding: file.output.array, as: UTF8.self)
    return (try Fixture(rules: rules), file.notes.map { $0.description })
  }

  @Test(
    arguments: [
      (#""\u00fc\x41\U0001f631\t\e\N""#, "üA😱\t\u{1b}\u{85}"), (#""a\/b\\""#, "a/b\\"),
      ("\"a  \n     b\n\n    c\"", "a b\nc"), ("\"a \\\n     b\\t\n    c\"", "a b\t c"),
      ("'it''s\n    one'", "it's one"), ("a b\n    c # d", "a b c"), ("a\n\n    b", "a\nb"),
      ("don't \"x\"", "don't \"x\""), ("\"null\"", "null"), ("~", ""), ("Null", ""),
      ("\"# no\n    # comment\" # one", "# no # comment"), ("a#b", "a#b"),
      ("&x a b", "a b"), ("&x\n    a", "a"), ("&x 'a*b' # c", "a*b"),
      ("|\n    a # no comment\n      b\n\n    c\n\n", "a # no comment\n  b\n\nc\n"),
      (">-\n    a\n    b\n\n    c\n      d\n    e\n", "a b\nc\n  d\ne"),
      ("|+\n    a\n\n", "a\n\n\n"), ("|2-\n     a\n    b", " a\nb"), (">\n    \n    a", "\na\n"),
    ] as [(String, String?)])
  func `text is read as YAML has it`(_ written: String, _ help: String?) throws {
    let mapping =
      "\u{feff}---\nmappings:\n- match: a\n  help: \(written)\n  name: a\n...\nname: {\n"
    let file = try? MappingFile(text: Array(mapping.utf8))
    let found = try file.map { try RuleFile.parse($0.output.array).families[0].help }
    #expect(found == help)
    #expect(file == nil || file?.notes.isEmpty == true)
  }

  @Test(arguments: [
    "mappings: null", "mappings: ~", "mappings:", "mappings: []", "---\n# nothing\n",
  ])
  func `nothing is nothing`(_ text: String) throws {
    let file = try MappingFile(text: Array(text.utf8))
    #expect(try RuleFile.parse(file.output.array).families.count == 1)
    #expect(file.notes.isEmpty)
  }

  @Test func `aliases stand for what they name, and << takes its members but those that are there`()
    throws
  {
    let (fixture, notes) = try fixture(
      """
      defaults: {histogram_options: &buckets {buckets: [1, 2]}}
      mappings:
      - &timed
        match: a.*
        name: &name a
        help: *name
        observer_type: histogram
        labels: &labels
          env: prod
          team: &team "core team"
      - <<: *timed
        match: b.*
        name: b
        labels:
          <<: [*labels, {env: test, zone: z}]
          lead: *team
      - {match: c, <<: *timed, name: c, histogram_options: *buckets}
      """)
    #expect(notes == [])
    fixture.apply("a.x", "d", 1)
    fixture.apply("b.x", "d", 1)
    fixture.apply("c", "d", 1)
    let shared = #"env="prod""#
    #expect(fixture.value("a_count{\(shared),team=\"core team\"}") == 1, "\(fixture.page)")
    #expect(
      fixture.value("b_count{\(shared),lead=\"core team\",team=\"core team\",zone=\"z\"}") == 1)
    #expect(fixture.value("c_bucket{\(shared),team=\"core team\",le=\"2.0\"}") == 1)
    #expect(fixture.page.contains("# HELP b a\n"))
  }

  @Test func `a few aliases that stand for millions of values are refused`() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...9 {
      let items = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(items)]\n"
    }
    do throws(JSON.Mistake) {
      _ = try MappingFile(text: Array(text.utf8))
      Issue.record("read")
    } catch { #expect(error.message.contains("200,000 values")) }
  }

  @Test func `null members are as if they were not there, and flow text may be wrapped`() throws {
    let (fixture, notes) = try fixture(
      """
      defaults: ~
      mappings: [{match: a.*, name: a, ttl: null, help: some
         more text, labels: , scale: ~, observer_type: }]
      """)
    #expect(notes == [])
    fixture.apply("a.b", "c")
    #expect(fixture.page.contains("# HELP a some more text\n"))
  }

  @Test(arguments: [
    ("mappings:\n- match: a\n  name: \"a\n", "line 3, column 9"),
    ("mappings:\n\t- match: a\n", "line 2, column 1"),
    ("mappings:\n- match: *x\n", "line 2, column 10"),
    ("mappings:\n- match: !!str a\n", "line 2, column 10"),
    ("mappings:\n- &\n  match: a\n", "line 2, column 3"),
    ("mappings:\n- <<: a\n", "line 2, column 7"),
    ("a: &x b\nmappings: *x c\n", "line 2, column 11"),
    ("mappings: | a\n", "line 1, column 11"),
    ("mappings:\n- match: a\n name: b\n", "line 3, column 2"), ("- a\n", "line 1, column 1"),
    ("mappings: [a, b\n", "line 1"), ("mappings: {a: b} c\n", "line 1, column 11"),
    ("a: 1\na: 2\n", "line 2, column 1"), ("{\"mappings\": [}", "line 1, column 15"),
  ])
  func `a file that cannot be read is refused with the place`(_ text: String, _ place: String) {
    do throws(JSON.Mistake) {
      _ = try MappingFile(text: Array(text.utf8))
      Issue.record("\(text) is read")
    } catch { #expect(error.description.hasPrefix(place), "\(error.description)") }
  }
}
