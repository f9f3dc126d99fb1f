import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// `--max-exposition-size`: the text of all series' lines has a bound.
@Suite struct ExpositionSizeTests {
  private func fixture(_ byteCount: Int, rules: String = "{}", ttl: UInt64 = 0) throws -> Fixture {
    var limits = Limits()
    limits.expositionByteCount = byteCount
    limits.seriesTimeToLive = ttl
    return try Fixture(rules: rules, limits: limits)
  }

  /// Tags of about a thousand bytes.
  private func tags(_ n: Int) -> String { "n:\(n),long:" + String(repeating: "v", count: 1000) }

  @Test func `beyond the limit new series are refused, known ones go on, totals stay right`() throws
  {
    let fixture = try fixture(8 << 10)
    let refused = (0..<20).filter { fixture.apply("jobs", tags: tags($0)) == .expositionLimit }
    #expect(refused == [], "they go to the series that takes what was refused")
    #expect(fixture.registry.refusedSeries > 10)
    #expect(fixture.apply("jobs", tags: tags(0)) == nil)
    let values = fixture.page.split(separator: "\n").filter { !$0.hasPrefix("#") }
      .map { Double($0.split(separator: " ").last!)! }
    #expect(values.reduce(0, +) == 21)
    #expect(fixture.value(#"jobs_total{overflow="true"}"#) == 13)
    #expect(fixture.apply("level", "g", 1, tags: tags(0)) == .expositionLimit)
    #expect(fixture.page.utf8.count < 9 << 10)
  }

  @Test func `what expires makes room again`() throws {
    let fixture = try fixture(4 << 10, ttl: 1_000_000_000)
    let registry = fixture.registry!
    for n in 0..<3 { fixture.apply("level", "g", 1, tags: tags(n)) }
    #expect(fixture.apply("level", "g", 1, tags: tags(3)) == .expositionLimit)
    registry.commit()
    registry.turnEnded(now: registry.monotonicNow, isRead: false)
    registry.expire(now: registry.monotonicNow + 10_000_000_000)
    #expect(registry.seriesCount == 0 && registry.textByteCount == 0)
    #expect(fixture.apply("level", "g", 1, tags: tags(3)) == nil)
  }

  private static let rules = #"""
    {"families": [
      {"name": "wait_seconds", "type": "histogram", "labels": ["n"], "events": [{"event": "wait"}]},
      {"name": "native_seconds", "type": "histogram", "native": true, "labels": ["n"],
       "events": [{"event": "wait"}]},
      {"name": "quantiles", "type": "summary", "labels": ["n"], "events": [{"event": "wait"}]},
      {"name": "${1}_made", "type": "event", "help": "Of a rule", "events": [{"event": "made.*"}]}]}
    """#

  /// Does random things that make series, families and declarations, or take them away.
  private func act(_ random: inout Dice, _ fixture: Fixture) throws {
    let n = random.below(30)
    switch random.below(12) {
    case 0...4: fixture.apply("jobs", tags: "n:\(n),m:\(random.below(3))")
    case 5, 6: fixture.apply("wait", "d", 0.3, tags: "n:\(n)")
    case 7: fixture.apply("made.\(n)", n % 2 == 0 ? "c" : "h")
    case 8: fixture.apply("event\(n)", "g")
    case 9:
      let text = Array("d\(n % 5)|counter|Help \(n)".utf8)
      _ = fixture.registry.declare(try Declaration(text))
    case 10:
      let text = n % 2 == 0 ? Self.rules : "{}"
      fixture.registry.reload(try RuleFile.parse(Array(text.utf8)))
    default:
      let now = fixture.registry.monotonicNow
      fixture.registry.commit()
      fixture.registry.turnEnded(now: now, isRead: false)
      fixture.registry.expire(now: now + UInt64(random.below(3)) * 1_000_000_000)
    }
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `the sum is that of the series and families that there are`(_ seed: UInt64) throws {
    var random = Dice(seed)
    let fixture = try fixture(64 << 10, rules: Self.rules, ttl: 2_000_000_000)
    for _ in 0..<300 { try act(&random, fixture) }
    let registry = fixture.registry!
    var sum = 0
    for family in registry.families where !family.name.isEmpty {
      sum += family.headByteCount
      for record in family.series {
        sum += family.textByteCount(key: registry.state.keyByteCount(record))
      }
    }
    #expect(registry.textByteCount == sum)
    registry.commit()
  }

  @Test func `a restart counts the same`() throws {
    let fixture = try fixture(1 << 20, rules: Self.rules)
    for n in 0..<50 {
      fixture.apply("jobs", tags: "n:\(n)")
      fixture.apply("wait", "d", 0.3, tags: "n:\(n)")
    }
    let before = fixture.registry.textByteCount
    fixture.registry.commit()
    try fixture.reopen()
    #expect(fixture.registry.textByteCount == before)
  }

  @Test(arguments: ExpositionFormat.allCases)
  func `a page is not longer than the sum says, in any format`(_ format: ExpositionFormat) throws {
    let fixture = try fixture(1 << 20, rules: Self.rules)
    for n in 0..<200 {
      fixture.apply("jobs", "c", .pi * 1e10, tags: tags(n))
      fixture.apply("wait", "d", 1 / 3, tags: "n:\(n)")
    }
    let page = try fixture.scraped(ExpositionShape(format: format), isGzip: false).bytes
    #expect(page.count < fixture.registry.textByteCount * 9 / 8)
    #expect(page.count > fixture.registry.textByteCount / 4)
  }

  @Test func `a declared help text has room, or is refused`() throws {
    let fixture = try fixture(4 << 10)
    let text = Array(("d|counter|" + String(repeating: "h", count: 5000)).utf8)
    #expect(fixture.registry.declare(try Declaration(text)) == .expositionLimit)
    #expect(fixture.registry.textByteCount == 0)
  }
}
