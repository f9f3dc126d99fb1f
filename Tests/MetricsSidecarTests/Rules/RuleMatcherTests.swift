import SidecarRules
import Testing

@testable import MetricsSidecar

@Suite struct RuleMatcherTests {
  @Test func `a name finds the rules that match it among thousands, in the order of the file`() {
    var rules: [Rule] = []
    let patterns = [
      "a", "a*", "*a", "*", "ab*cd", "ab*long-enough-suffix", "ab**cd", "abc", "", "**b*",
    ]
    for index in 0..<3000 {
      rules.append(
        Rule(event: Pattern(patterns[index % 10] + (index < 10 ? "" : "\(index)")), conditions: []))
    }
    let matcher = RuleMatcher(rules)
    for name in ["a", "", "abcd", "abxlong-enough-suffix", "b", "ab12cd", "a17", "zz", "abc7"] {
      let bytes = Array(name.utf8)
      let expected = rules.indices.filter { rules[$0].event.matches(bytes[...]) }
      let found = matcher.candidates(for: bytes)
      #expect(found.filter { rules[$0].event.matches(bytes[...]) } == expected)
      #expect(found == found.sorted())
      #expect(found.count <= expected.count + 2, "\(name): \(found.count) are tried")
    }
  }
}
