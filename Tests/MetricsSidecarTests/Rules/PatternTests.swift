import Testing

@testable import MetricsSidecar

@Suite struct PatternTests {
  @Test(arguments: [
    ("a", "a", true), ("a", "b", false), ("a", "ab", false), ("*", "", true), ("*", "x", true),
    ("a*", "abc", true), ("a*", "ba", false), ("*c", "abc", true), ("a*c", "ac", true),
    ("a*c", "a", false), ("a*b*c", "axbxc", true), ("a*b*c", "axcxb", false),
    ("ab*ba", "aba", false),
    ("**", "x", true), ("a*aa", "aaa", true),
  ])
  func `a star stands for any text`(_ pattern: String, _ text: String, _ expected: Bool) {
    #expect(Pattern(pattern).matches(Array(text.utf8)[...]) == expected)
  }
}
