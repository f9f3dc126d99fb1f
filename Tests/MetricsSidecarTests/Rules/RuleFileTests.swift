import SidecarRules
import Testing

@testable import MetricsSidecar

@Suite struct RuleFileTests {
  @Test(arguments: [
    ("", "line 1, column 1: the text ends where a value should be"),
    ("[]", "line 1, column 1: expected an object: { … }"),
    (
      "{\"familie\": []}", "line 1, column 13: unknown name \"familie\": did you mean \"families\"?"
    ),
    ("{\n \"unmatched\": \"keep\"}", "line 2, column 15: \"unmatched\" is \"expose\" or \"drop\""),
    ("{\"families\": [{}]}", "line 1, column 15: a family needs a \"name\""),
    (
      #"{"families": [{"name": "a"}]}"#,
      "line 1, column 15: a family needs a \"type\": "
        + "counter, gauge, histogram, summary, set or event"
    ),
    (
      #"{"families": [{"name": "a b", "type": "counter"}]}"#,
      "line 1, column 24: a family's name has letters, digits, _ and :, and starts with no digit"
    ),
    (
      #"{"families": [{"name": "h", "type": "histogram", "buckets": [2, 1]}]}"#,
      "line 1, column 65: each bucket is above the one before it"
    ),
    (
      #"{"families": [{"name": "a", "type": "counter", "labels": ["le"]}]}"#,
      "line 1, column 59: the label le is the sidecar's own"
    ),
    (
      #"{"families": [{"name": "a", "type": "counter", "events": [{}]}]}"#,
      "line 1, column 59: an event needs an \"event\": a name, or a glob with *"
    ),
    ("{\"a\": 1, \"a\": 2}", "line 1, column 10: \"a\" is there twice"),
    ("[1, 2-3]", "line 1, column 8: a malformed number"),
    ("[-]", "line 1, column 3: a malformed number"),
    ("[1e999]", "line 1, column 7: a number that is too large"),
    ("{} x", "line 1, column 4: there is more after the end of the document"),
    (
      "{\"a\": \"\\q\"}",
      "line 1, column 9: an escape that JSON does not have: \\ with \"\\/bfnrt or uXXXX"
    ),
  ])
  func `a mistake is told with its line and column`(_ text: String, _ expected: String) {
    do throws(JSON.Mistake) {
      _ = try RuleFile.parse(Array(text.utf8))
      Issue.record("no mistake found")
    } catch { #expect(error.description == expected) }
  }

  @Test func `a rules file damaged anywhere is refused or read, and never crashes`() throws {
    let text = Array(
      (#"{"families": [{"name": "a", "type": "histogram", "buckets": [1, 2.5e1], "#
        + #""labels": {"x": "y"}, "#
        + #""events": [{"event": "*", "when": {"k": {"not": ["\u00e4"]}}}]}]}"#)
        .utf8)
    _ = try RuleFile.parse(text)
    for index in text.indices {
      for byte in [0, 34, 44, 91, 92, 125, 200] as [UInt8] {
        var damaged = text
        damaged[index] = byte
        _ = try? RuleFile.parse(damaged)
      }
      _ = try? RuleFile.parse(Array(text[..<index]))
    }
  }

  @Test func `deep nesting is refused`() {
    #expect(throws: JSON.Mistake.self) {
      try RuleFile.parse([UInt8](repeating: UInt8(ascii: "["), count: 100_000))
    }
  }
}
