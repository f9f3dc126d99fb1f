import Testing

@Suite struct TidyTests {
  @Test(.enabled(if: Tree.isCheckout), arguments: HouseRule.allCases)
  func `the tree keeps each rule of the house`(rule: HouseRule) throws {
    let files = try Tree.trackedFiles()
    try #require(files.count > 100, "git lists \(files.count) files")
    let breaches = files.flatMap(rule.breaches(in:))
    #expect(breaches.isEmpty, "\(rule.rawValue):\n\(breaches.joined(separator: "\n"))")
  }

  /// A rule that nothing can break shows nothing: each has one file that breaks it, beside its
  /// nearest neighbour that does not.
  @Test(arguments: [
    (
      HouseRule.`nothing at the root but the layout`, TrackedFile("notes.txt"),
      TrackedFile("docs/notes.txt")
    ),
    (
      .`no file over 300 KB`, TrackedFile("docs/a.png", byteCount: 300_001, text: ""),
      TrackedFile("docs/a.png", byteCount: 300_000, text: "")
    ),
    (.`no leftovers`, TrackedFile("Tests/state.damaged-1"), TrackedFile("Tests/state")),
    (
      .`no leftovers`, TrackedFile("Sources/a.swift", text: "<<<<<<< main\n"),
      TrackedFile("docs/a.md", text: "<<<<<<< main\n")
    ),
    (.`no leftovers`, TrackedFile("Sources/a.swift.orig"), TrackedFile("Sources/orig.swift")),
    (
      .`no file of code over 400 lines`,
      TrackedFile("Sources/a.swift", text: String(repeating: "a\n", count: 401)),
      TrackedFile("Sources/a.swift", text: String(repeating: "a\n", count: 400))
    ),
    (
      .`no file of code over 400 lines`,
      TrackedFile("Scripts/a", text: "#!/bin/sh\n" + String(repeating: "a\n", count: 400)),
      TrackedFile("chart/files/a.json", text: String(repeating: "a\n", count: 500))
    ),
    (.`no function over 70 lines`, function(lineCount: 71), function(lineCount: 70)),
    (
      .`no line of code over 100 columns`,
      TrackedFile("a.py", text: String(repeating: "ü", count: 101)),
      TrackedFile("a.py", text: String(repeating: "ü", count: 100))
    ),
    (
      .`no line of code over 100 columns`,
      TrackedFile("Sources/a.swift", text: "/// " + String(repeating: "a", count: 97)),
      TrackedFile("Sources/a.swift", text: "/// https://" + String(repeating: "a", count: 97))
    ),
    (
      .`no line of code over 100 columns`,
      TrackedFile("Sources/a.c", text: "// " + String(repeating: "a", count: 98)),
      TrackedFile("docs/a.md", text: String(repeating: "a", count: 200))
    ),
    (
      .`no file with two public types`,
      TrackedFile("Sources/a.swift", text: "public struct A {\n}\npackage final class B {\n}\n"),
      TrackedFile("Sources/a.swift", text: "public struct A {\n  public enum B {}\n}\nenum C {}\n")
    ),
    (
      .`no unclear words in comments and documents`,
      TrackedFile("Sources/a.swift", text: "/// Told once.\nlet a = 1\n"),
      TrackedFile("Sources/a.swift", text: "/// Reported once.\nlet told = \"told\"\n")
    ),
    (
      .`no unclear words in comments and documents`,
      TrackedFile("Sources/a.c", text: "int a;\t// stays for ever\n"),
      TrackedFile("Sources/a.c", text: "int a;\t// stays forever\n")
    ),
    (
      .`no unclear words in comments and documents`,
      TrackedFile("docs/a.md", text: "Whoever asks gets an answer.\n"),
      TrackedFile("CHANGELOG.md", text: "Whoever asks gets an answer.\n")
    ),
  ])
  func `each rule finds what breaks it, and takes what just does not`(
    rule: HouseRule, broken: TrackedFile, kept: TrackedFile
  ) {
    #expect(rule.breaches(in: broken).count == 1)
    #expect(rule.breaches(in: kept).isEmpty)
  }

  private static func function(lineCount: Int) -> TrackedFile {
    let body = String(repeating: "    call()\n", count: lineCount - 2)
    return TrackedFile(
      "Sources/a.swift", text: "struct A {\n  func run() {\n\(body)  }\n  func next() {\n  }\n}\n")
  }
}
