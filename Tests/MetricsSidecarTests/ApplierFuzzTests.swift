import Foundation
import Platform
import Testing

@testable import MetricsSidecar

/// Datagrams of bent lines, through the grammar, the dialects and the registry, to the page.
/// `FUZZ_SEED` and `FUZZ_ROUNDS` replay and lengthen a run.
@Suite struct ApplierFuzzTests {
  private static let rows = [
    "http.request:12|c|#route:root,status:200", "a:1:2:3|h|@0.25|#t:v|c:abc|T1656581400",
    "b:-5.5|g", "people:user@x|s", "a:1|c:320|ms|@0.1:5|g", "a#t=v,u=w:1|c", "a,t=v:1|c",
    "a[t=v,u=w].b:1e-3|d", "c:a,id=failed:1", "X,1543160297100:a:7", "g,300:a:3", "S:a:YW5u",
    "_e{5,4}:title|text", "_sc|name|0",
  ]
  private static let pieces = [
    ":", "|", "#", "@", ",", "=", "[", "]", ".", "+", "-", "1e308", "nan", "\n", "\r", "\0",
    "\"", "\\", "{", "}", " ", "\u{e9}", "le:1", "le=1", "quantile:1", "__name__:x", "|c", "|g",
    "_count", "_bucket", "_total", "overflow:true",
  ]

  @Test func `whatever comes, a page stays one that Prometheus reads`() throws {
    let environment = ProcessInfo.processInfo.environment
    var dice = Dice(state: environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? 1)
    let rounds = environment["FUZZ_ROUNDS"].flatMap { Int($0) } ?? 4000
    var limits = Limits()
    limits.series = 500
    let fixture = try Fixture(limits: limits)
    let applier = Applier(registry: fixture.registry, limits: limits)
    for round in 0..<rounds {
      var bytes = Array(
        (0..<3).map { _ in Self.rows.randomElement(using: &dice)! }
          .joined(separator: "\n").utf8)
      for _ in 0..<Int.random(in: 0...6, using: &dice) where !bytes.isEmpty {
        let at = Int.random(in: 0..<bytes.count, using: &dice)
        switch Int.random(in: 0..<4, using: &dice) {
        case 0: bytes[at] = UInt8.random(in: 0...255, using: &dice)
        case 1: bytes.remove(at: at)
        case 2: bytes.insert(contentsOf: Self.pieces.randomElement(using: &dice)!.utf8, at: at)
        default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 20)], at: at)
        }
      }
      if round % 3 == 0 {
        applier.spectatorLines(bytes.span.bytes)
      } else {
        applier.lines(bytes.span.bytes, from: 0, .statsd)
      }
      applier.registry.commit()
      if round % 200 == 0 { check(fixture.page) }
    }
    check(fixture.page)
  }

  /// Each line is a comment or `name{label="value",…} number`, no line is there twice, and each
  /// family has one type.
  private func check(_ page: String) {
    var names: Set<Substring> = []
    for line in page.split(separator: "\n") {
      if line.hasPrefix("# ") {
        #expect(!line.hasPrefix("# TYPE") || names.insert(line).inserted, "\(line)")
        continue
      }
      let space = line.lastIndex(of: " ")
      guard let space else { return #expect(Bool(false), "\(line)") }
      let name = line[..<space]
      #expect(names.insert(name).inserted, "twice: \(line)")
      #expect(Double(line[line.index(after: space)...].replacing("Inf", with: "inf")) != nil)
      #expect(isSeries(name), "\(line)")
    }
  }

  /// `name`, or `name{label="value",…}` with `\`, `"` and newline escaped in values.
  private func isSeries(_ text: Substring) -> Bool {
    var rest = Array(text.utf8)[...]
    func isLetter(_ byte: UInt8) -> Bool {
      byte == 0x5f || byte == 0x3a || (0x61...0x7a).contains(byte | 0x20)
    }
    func word() -> Bool {
      guard let first = rest.first, isLetter(first) else { return false }
      rest = rest.drop { isLetter($0) || (0x30...0x39).contains($0) }
      return true
    }
    guard word() else { return false }
    if rest.isEmpty { return true }
    guard rest.popFirst() == UInt8(ascii: "{") else { return false }
    while rest.first != UInt8(ascii: "}") {
      guard word(), rest.popFirst() == UInt8(ascii: "="), rest.popFirst() == UInt8(ascii: "\"")
      else { return false }
      while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
        guard byte == UInt8(ascii: "\\") else { continue }
        guard let next = rest.popFirst(), "\\\"n".utf8.contains(next) else { return false }
      }
      if rest.first == UInt8(ascii: ",") { rest.removeFirst() }
    }
    return rest.count == 1
  }
}

/// A small generator that replays from its seed (SplitMix64).
private struct Dice: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}
