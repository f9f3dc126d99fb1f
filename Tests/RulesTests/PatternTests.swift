import SidecarRules
import SidecarRules
import Testing

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

  /// Pattern, separator, name, captures joined by "|"; nil where it does not match.
  @Test(arguments: [
    ("a.b", "", "a.b", ""), ("a.b", "", "a.bc", nil), ("a.*", "", "a.b.c", "b.c"),
    ("a.*", ".", "a.b.c", nil), ("a.*", ".", "a.b", "b"), ("a.*", ".", "a.", ""),
    ("a.**", ".", "a.b.c", "b.c"), ("*.b", ".", "x.y.b", nil), ("**.b", ".", "x.y.b", "x.y"),
    ("*.*.c", ".", "a.b.c", "a|b"), ("*.*.c", ".", "a.b.x.c", nil),
    ("**a*", ".", "xa.ba", "xa.b|"), ("*a*", "", "banana", "b|nana"),
    ("**.*.c", ".", "a.b.c.d.c", "a.b.c|d"), ("*", "", "", ""), ("**", ".", "a.b", "a.b"),
    ("***", "", "ab", "ab"), ("a*b*c", "", "abc", "|"), ("a*a", "", "a", nil),
    ("*a*b", ".", "xaa.b", nil), ("*a**b", ".", "xaa.b", "x|a."),
  ])
  func `a star stands for as little as it can, and crosses a separator only when doubled`(
    _ pattern: String, _ separator: String, _ name: String, _ captures: String?
  ) {
    let found = Pattern(pattern, separator: separator.utf8.first ?? 0)
      .captures(Array(name.utf8)[...])
    #expect(
      found.map { $0.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "|") }
        == captures)
  }

  @Test func `all patterns and names of a few letters match as the simplest matcher has it`() {
    let letters = Array("a.*".utf8)
    for separator in [UInt8(0), UInt8(ascii: ".")] {
      for pattern in words(letters, 5) {
        let compiled = Pattern(String(decoding: pattern, as: UTF8.self), separator: separator)
        for name in words(Array("a.".utf8), 4) {
          #expect(
            compiled.matches(name[...]) == matches(pattern[...], name[...], separator),
            "\(String(decoding: pattern, as: UTF8.self)) \(String(decoding: name, as: UTF8.self))")
        }
      }
    }
  }

  private func words(_ letters: [UInt8], _ length: Int) -> [[UInt8]] {
    var all: [[UInt8]] = [[]]
    var last = all
    for _ in 0..<length {
      last = last.flatMap { word in letters.map { word + [$0] } }
      all += last
    }
    return all
  }

  private func matches(
    _ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>, _ separator: UInt8
  ) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    guard first == UInt8(ascii: "*") else {
      return name.first == first && matches(pattern.dropFirst(), name.dropFirst(), separator)
    }
    let rest = pattern.drop { $0 == first }
    let isFree = separator == 0 || rest.startIndex - pattern.startIndex > 1
    for count in 0...name.count {
      if matches(rest, name.dropFirst(count), separator) { return true }
      if count < name.count, !isFree, name[name.startIndex + count] == separator { return false }
    }
    return false
  }
}
