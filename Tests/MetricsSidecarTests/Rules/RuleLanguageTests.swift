import Foundation
import SidecarFuzzSupport
import SidecarRules
import Testing

@testable import MetricsSidecar

@Suite struct RuleLanguageTests {
  @Test func `every mistake is told, in the order of the text`() {
    let text = #"""
      {"unmatched": "keep", "colour": 1,
       "families": [
        {"name": "9a", "type": "sum", "events": [{"event": 1, "wen": {}}]},
        {"name": "b", "type": "counter", "buckets": [1], "labels": ["x", "x"]},
        {"action": "drop", "help": "why", "events": [{"event": "a", "match": "last"}]},
        {"name": "c", "type": "counter", "constants": {"q": "$2"}, "events": [{"event": "a.*"}]}]}
      """#
    let mistakes = RuleFile.read(Array(text.utf8)).mistakes.map { $0.description }
    #expect(
      mistakes == [
        #"line 1, column 15: "unmatched" is "expose" or "drop""#,
        #"line 1, column 33: unknown name "colour": "#
          + "here may stand unmatched, match, separator, families",
        "line 3, column 12: a family's name has letters, digits, _ and :, and starts with no digit",
        #"line 3, column 26: "type" is counter, gauge, histogram, summary, set or event"#,
        "line 3, column 54: expected a text in double quotes",
        #"line 3, column 64: unknown name "wen": did you mean "when"?"#,
        "line 4, column 3: the label x is there twice",
        #"line 4, column 47: "buckets" are for histograms"#,
        #"line 5, column 30: "help" has no meaning where the action is drop"#,
        #"line 5, column 72: "match" is "first" or "all""#,
        "line 6, column 3: $2 in q: an event of this family has fewer * or groups",
      ])
  }

  @Test func `more labels than a series can have are one mistake, and are not compared`() {
    // All of one name: compared with each other, each would be a mistake of its own.
    let labels = [String](repeating: "\"x\"", count: 257).joined(separator: ",")
    let text = #"{"families": [{"name": "a", "type": "counter", "labels": [\#(labels)]}]}"#
    let mistakes = RuleFile.read(Array(text.utf8)).mistakes.map { $0.message }
    #expect(mistakes.count == 1 && mistakes[0].contains("256"), "\(mistakes.prefix(2))")
  }

  @Test(arguments: [
    ("jobs.*.*", "jobs.mail.done", "$1", "mail"),
    ("jobs.*.*", "jobs.mail.done", "$2-$1", "done-mail"),
    ("*", "a", "all", "all"), ("*", "a", "$$1", "$1"), ("a*c*", "abcd", "<$1$2>", "<bd>"),
    ("a*", "a", "$1", ""), ("*", "a", "5$", "5$"),
  ])
  func `a label takes what a star stands for`(
    _ event: String, _ name: String, _ template: String, _ value: String
  ) throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [{"name": "x_total", "type": "counter", "constants": {"v": "\#(template)"},
          "events": [{"event": "\#(event)"}]}]}
        """#)
    fixture.apply(name, "c", 3)
    let series = value.isEmpty ? "x_total" : #"x_total{v="\#(value)"}"#
    #expect(fixture.value(series) == 3, "\(fixture.page)")
  }

  @Test func `an event that a rule drops feeds what stands above it and nothing else`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "seen_total", "type": "counter", "events": [{"event": "debug.kept"}]},
          {"action": "drop", "events": [{"event": "debug.*"}]},
          {"name": "all_total", "type": "counter", "events": [{"event": "*"}]}]}
        """#)
    #expect(fixture.apply("debug.kept", "c") == nil)
    #expect(fixture.apply("debug.other", "c") == .dropped)
    #expect(fixture.apply("x", "c") == nil)
    #expect(fixture.value("seen_total") == 1)
    #expect(fixture.value("all_total") == 1)
  }

  @Test(arguments: [
    ("all", "", 1.0), ("first", "", 0), ("all", #", "match": "first""#, 0),
    ("first", #", "match": "all""#, 1),
  ])
  func `the first match ends the search where the file or the rule says so`(
    _ file: String, _ rule: String, _ second: Double
  ) throws {
    let fixture = try Fixture(
      rules: #"""
        {"match": "\#(file)", "families": [
          {"name": "a_total", "type": "counter", "events": [{"event": "x"\#(rule)}]},
          {"name": "b_total", "type": "counter", "events": [{"event": "*"}]}]}
        """#)
    fixture.apply("x", "c")
    #expect(fixture.value("a_total") == 1)
    #expect(fixture.value("b_total") == second)
  }

  @Test(arguments: [10, 100, 1000, 10_000])
  func `however many rules there are, an event is held only against those that may match`(
    _ count: Int
  ) {
    var rules: [Rule] = []
    for index in 0..<count {
      for event in ["service\(index).done", "service\(index).*"] {
        rules.append(Rule(event: Pattern(event), conditions: [], family: 0))
      }
    }
    rules.append(Rule(event: Pattern("*.done"), conditions: [], family: 0))
    let matcher = RuleMatcher(rules)
    #expect(matcher.candidates(for: Array("service7.done".utf8)) == [14, 15, 2 * count])
    #expect(matcher.candidates(for: Array("other".utf8)) == [])
  }
}

/// Every example of docs/rules.md is a rules file that works.
@Suite struct RulesDocumentTests {
  @Test func `the examples of the document have no mistakes`() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("docs/rules.md")
    let text = try String(contentsOf: file, encoding: .utf8)
    let examples = text.components(separatedBy: "```json\n").dropFirst()
      .map { $0.components(separatedBy: "```")[0] }
    #expect(examples.count >= 5)
    for example in examples {
      let mistakes = RuleFile.read(Array(example.utf8)).mistakes
      #expect(mistakes.isEmpty, "\(mistakes.map { $0.description }) in \(example)")
    }
  }
}

@Suite struct RuleFuzzTests {
  @Test func `rules bent and cut are read or refused, and never crash`() {
    let pieces = [
      "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00e9", "\\ud800", "null", "true", "*", "$1",
      "\"families\"", "\"events\"", "\"event\"", "\"buckets\"", "1e308", "-",
    ]
    Fuzzer("rules", pieces: pieces, rounds: 5000).run { text, _, label in
      let (rules, mistakes) = RuleFile.read(text)
      // Rules without a mistake can be used.
      if mistakes.isEmpty { _ = RuleMatcher(rules.rules).candidates(for: text) }
      for mistake in mistakes { #expect(mistake.position.line >= 1, "\(label)") }
    }
  }
}
