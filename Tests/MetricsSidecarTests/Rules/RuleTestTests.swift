import SidecarRules
import Testing

@testable import MetricsSidecar

@Suite struct RuleTestTests {
  private func result(_ text: String, rules: String = Self.rules) throws -> (
    cases: Int, told: String
  ) {
    let rules = try RuleFile.parse(Array(rules.utf8))
    let bytes = Array(text.utf8)
    let test = try RuleTest(bytes.span.bytes, "t", rules)
    return (test.caseCount, String(decoding: test.told.array, as: UTF8.self))
  }

  private static let rules = #"""
    {"families": [
      {"name": "a_total", "type": "counter", "help": "A", "events": [{"event": "a"}]},
      {"action": "drop", "events": [{"event": "no.*"}]},
      {"name": "t_seconds", "type": "histogram", "buckets": [1], "labels": ["l"],
       "events": [{"event": "t"}]}]}
    """#

  @Test(arguments: [
    "a:1|c\n--\na_total 1.0", "== x\na:1|c\r\na:2|c\r\n-----\r\na_total 3.0\r\n",
    "# c\n\na:1|c\n--\n# comment\n# TYPE a_total counter\n# HELP a_total A\na_total 1.0\n",
    "--\na_total 0.0\n", "b:1|c\n--\nb_total 1.0\na_total 0.0",
    "t:2|d\n--\nt_seconds_sum 2.0\n...\n", "no.a:1|c\n--\n! dropped_by_rules no.a:1|c\n",
    "a:x|c\na:y|c\na:x|c\n--\n! bad_value a:y|c\n! bad_value a:x|c\n! bad_value a:x|c\n",
    "a:1|c|k:v\n--\n? tag_like_field a:1|c|k:v\na_total 1.0",
    "_family|h|histogram|1\nh:0.5|d\n--\n...", "a:1|c:2|c\n--\na_total 3.0",
  ]) func `a case passes`(_ text: String) throws {
    let (cases, told) = try result(text)
    #expect(cases == 1 && told.isEmpty, "\(told)")
  }

  @Test func `each difference is told with its line`() throws {
    let (cases, told) = try result(
      """
      == One
      a:1|c
      b:1|c
      no.a:1|c
      --
      a_total 2.0
      c_total 1.0
      == Two, which begins anew
      a:1|c
      --
      a_total 1.0
      == Three
      a:1|c
      """)
    #expect(cases == 3)
    #expect(
      told == """
        t: line 6: One
          expected  a_total 2.0
          actual    a_total 1.0
        t: line 7: One
          expected  c_total 1.0
          actual    no such line
        t: line 5: One
          expected  no such line, or ...
          actual    ! dropped_by_rules no.a:1|c
        t: line 5: One
          expected  no such line, or ...
          actual    b_total 1.0
        t: Three
          expected  a line -- and what the page has then
        t: Three
          expected  no such line, or ...
          actual    a_total 1.0

        """)
  }

  @Test func `a file without a case is told`() throws {
    for text in ["", "\n", "# nothing\n", "== title\n", "==\n== \n"] {
      let (cases, told) = try result(text)
      #expect(cases == 0 && told.contains("expected  a case"))
    }
  }

  @Test func `any bytes are a test`() throws {
    for seed in 0..<40 {
      let text = (0..<200).map { _ in "a:1|c\n-=.#! \0".randomElement()! }
      _ = try result(String(text) + "\(seed)")
    }
  }
}
