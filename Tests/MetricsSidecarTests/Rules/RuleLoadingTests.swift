import Foundation
import SidecarPlatform
import SidecarRules
import Testing

@testable import MetricsSidecar

@Suite struct RuleLoadingTests {
  private func file(_ text: String) throws -> String {
    let path = NSTemporaryDirectory() + "rules-\(UUID().uuidString.prefix(8))"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  private func family(_ name: String, _ members: String = "") -> String {
    #"{"name": "\#(name)", "type": "counter"\#(members), "events": [{"event": "\#(name)"}]}"#
  }

  @Test func `the bytes in force are answered without being parsed, and so are refused ones`()
    throws
  {
    let good = #"{"families": [\#(family("a"))]}"#
    let path = try file(good)
    defer { try? FileManager.default.removeItem(atPath: path) }
    var reloads = Reloads()
    #expect(try RuleLoading.load(path, &reloads)?.families.count == 1)
    #expect(try RuleLoading.load(path, &reloads) == nil)
    try "{".write(toFile: path, atomically: true, encoding: .utf8)
    for _ in 0..<2 {
      #expect(throws: RuleLoading.Failure.self) { try RuleLoading.load(path, &reloads) }
    }
    #expect(reloads.refused?.mark.byteCount == 1)
    try good.write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try RuleLoading.load(path, &reloads) == nil, "the rules in force are still these")
    try (good + " ").write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try RuleLoading.load(path, &reloads)?.families.count == 1)
    #expect(try RuleLoading.load("", &reloads)?.families.count == 0)
    #expect(try RuleLoading.load("", &reloads) == nil)
  }

  @Test func `mistakes end, and so do labels and conditions`() {
    func mistakes(_ text: String) -> [JSON.Mistake] { RuleFile.read(Array(text.utf8)).mistakes }
    let names = (0..<5000).map { #""l\#($0)""# }
    let labels = names.joined(separator: ",")
    let pairs = names.map { $0 + ":\"x\"" }.joined(separator: ",")
    for members in [
      #", "labels": [\#(labels)]"#, #", "labels": {\#(pairs)}"#, #", "constants": {\#(pairs)}"#,
    ] {
      let found = mistakes(#"{"families": [\#(family("a", members))]}"#)
      #expect(found.count == 1 && found[0].message.hasPrefix("more than 256"), "\(found.prefix(3))")
    }
    let when = #"{"name": "a", "type": "counter", "events": [{"event": "a", "when": {\#(pairs)}}]}"#
    #expect(mistakes(#"{"families": [\#(when)]}"#).count == 1)
    #expect(mistakes("{\(pairs)}").count == RuleFile.mistakeLimit)
    let bad = [String](repeating: "{}", count: 5000).joined(separator: ",")
    #expect(mistakes(#"{"families": [\#(bad)]}"#).count <= RuleFile.mistakeLimit + 3)
  }

  @Test func `a found family is held against the few entries that may have made it`() throws {
    let entries = (0..<2000).map {
      #"{"name": "m\#($0)_${1}", "type": "event", "events": [{"event": "m\#($0).*"}]}"#
    }
    let rules = #"{"families": [\#(entries.joined(separator: ","))]}"#
    let fixture = try Fixture(rules: rules)
    for n in 0..<2000 { fixture.apply("m\(n).x", "g", Double(n)) }
    for name in ["m7_x", "m1999_x"] {
      #expect(fixture.registry.makerMatcher.candidates(for: Array(name.utf8)).count <= 2)
    }
    fixture.registry.commit()
    try fixture.reopen()
    fixture.registry.reload(fixture.rules)
    #expect(fixture.value("m1999_x") == 1999)
    #expect(fixture.registry.families.allSatisfy { $0.isCurrent })
  }
}
