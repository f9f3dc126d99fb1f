import Foundation
import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Lines of all kinds with numbers, rates and clients at the edges, time that jumps, and restarts.
/// `FUZZ_SEED` and `FUZZ_ROUNDS` replay and lengthen a run.
@Suite struct KindFuzzTests {
  private static let rules = #"""
    {"families": [
      {"name": "wait", "type": "summary", "max_buckets": 16, "window": "8s", "labels": ["t"],
       "events": [{"event": "v"}]},
      {"name": "size", "type": "histogram", "native": true, "max_buckets": 16, "labels": ["t"],
       "events": [{"event": "v"}]},
      {"name": "both", "type": "histogram", "native": true, "buckets": [-1, 0, 1],
       "bucket_factor": 1.003, "zero_threshold": 0.5, "events": [{"event": "v"}]},
      {"name": "users", "type": "set", "exact": 16, "window": "8s", "labels": ["t"],
       "events": [{"event": "m"}]},
      {"name": "busy", "type": "gauge", "merge": "livesum", "window": "3s", "client": "pid",
       "labels": ["t"], "events": [{"event": "g"}]},
      {"name": "most", "type": "gauge", "merge": "max", "events": [{"event": "g"}]}]}
    """#
  private static let numbers = [
    "0", "-0", "1", "-1", "0.5", "3.7", "1e308", "-1e308", "5e-324", "-5e-324", "2.2e-308", "1e-5",
    "65536", "12345678901234567890", "nan", "inf", "-inf", "", "1:2:3", "+1", "1e400",
  ]
  private static let rates = ["", "", "", "|@0.3", "|@1", "|@1e-300", "|@0.0001", "|@2", "|@0"]
  private static let types = ["d", "h", "ms", "s", "g", "c"]

  @Test func `whatever comes, counts agree, and a restart changes nothing`() throws {
    let environment = ProcessInfo.processInfo.environment
    var dice = Dice(environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? 1)
    let rounds = environment["FUZZ_ROUNDS"].flatMap { Int($0) } ?? 300
    var limits = Limits()
    limits.series = 60
    limits.gaugeClients = 3
    let fixture = try Fixture(rules: Self.rules, limits: limits)
    var now: UInt64 = 1_000_000
    for round in 0..<rounds {
      now = now &+ UInt64.random(in: 0...2000, using: &dice)
      if round % 37 == 36 { now -= UInt64.random(in: 0...20_000, using: &dice) }
      fixture.time(now)
      lines(fixture, &dice)
      if Bool.random(using: &dice) {
        fixture.registry.connectionEnded(UInt64.random(in: 1...6, using: &dice))
      }
      fixture.registry.commit()
      let page = fixture.page
      check(page)
      guard round % 20 == 0 else { continue }
      // Parts of connections end with a restart, so they end before it here.
      for owner in UInt64(1)...6 { fixture.registry.connectionEnded(owner) }
      fixture.registry.commit()
      let kept = fixture.protobuf
      try fixture.reopen()
      fixture.time(now)
      #expect(fixture.protobuf == kept)
    }
  }

  private func lines(_ fixture: Fixture, _ dice: inout Dice) {
    let processor = LineProcessor(registry: fixture.registry, limits: fixture.limits)
    for _ in 0..<40 { line(processor, &dice) }
  }

  private func line(_ processor: LineProcessor, _ dice: inout Dice) {
    let type = Self.types.randomElement(using: &dice)!
    let name = type == "s" ? "m" : type == "g" ? "g" : "v"
    var value = Self.numbers.randomElement(using: &dice)!
    if Bool.random(using: &dice) { value = "\(Double.random(in: -100...100, using: &dice))" }
    var text = "\(name):\(value)|\(type)" + Self.rates.randomElement(using: &dice)!
    text += "|#t:\(Int.random(in: 0...8, using: &dice)),pid:\(Int.random(in: 0...3, using: &dice))"
    if Bool.random(using: &dice) { text += "|c:\(Int.random(in: 0...3, using: &dice))" }
    let bytes = Array(text.utf8)
    processor.registry.owners.current = UInt64.random(in: 0...6, using: &dice)
    processor.line(bytes.span.bytes, .statsd)
    processor.registry.owners.current = 0
  }

  /// Each number is one, and what two families have of the same samples is the same.
  private func check(_ page: String) {
    var counts: [Substring: Double] = [:]
    for line in page.split(separator: "\n") where !line.hasPrefix("#") {
      let space = line.lastIndex(of: " ")!
      let number = Double(line[line.index(after: space)...].replacing("Inf", with: "inf"))
      #expect(number != nil, "\(line)")
      if line.contains("_count") { counts[line[..<space]] = number }
    }
    for label in 0...8 {
      #expect(counts["wait_count{t=\"\(label)\"}"] == counts["size_count{t=\"\(label)\"}"])
    }
  }
}
