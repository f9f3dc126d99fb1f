import SidecarEvents
import SidecarPlatform
import SidecarRules
import Testing

@testable import MetricsSidecar

/// How much work a turn does between two looks at the clock. The time of these turns is over from
/// the start, so each look ends one.
@Suite struct IntakeTimeTests {
  /// It takes a name of 240 bytes 10,000 steps and more.
  private static let rules = #"""
    {"families": [{"name": "x_total", "type": "counter", "events": [{"regex": "(?:a?){40}b"}]}]}
    """#

  private func processor(_ fixture: Fixture) -> LineProcessor {
    LineProcessor(registry: fixture.registry, limits: Limits())
  }

  private func line(_ number: Int) -> String {
    String(repeating: "a", count: 240) + "\(number):1|c\n"
  }

  /// How many lines each turn applies until all are.
  private func turns(_ bytes: RawSpan, _ step: (RawSpan, Int) -> Int) -> [Int] {
    var counts: [Int] = []
    var start = 0
    while start < bytes.byteCount, counts.count <= 10_000 {
      let stop = step(bytes, start)
      var count = 0
      for index in start..<stop where bytes.at(index) == UInt8(ascii: "\n") { count += 1 }
      counts.append(count)
      start = stop
    }
    return counts
  }

  @Test(arguments: [IntakeCounts.Source.events, .statsd, .tcp, .spectator])
  func `lines that take the rules long have a turn each, others sixteen or more`(
    _ source: IntakeCounts.Source
  ) throws {
    for (rules, most, least) in [(Self.rules, 1, 1), ("{}", 64, 16)] {
      let fixture = try Fixture(rules: rules)
      let processor = processor(fixture)
      let isSpectator = source == .spectator
      let text = (0..<64).map { isSpectator ? "c:n\(line($0).dropLast(5)):1\n" : line($0) }
      let bytes = Array(text.joined().utf8)
      let counts = turns(bytes.span.bytes) { bytes, start in
        switch source {
        case .events: processor.frame(bytes, from: start, source, until: 0)
        case .tcp: processor.plain(bytes, from: start, source, until: 0)
        default: processor.datagram(bytes, from: start, source, until: 0)
        }
      }
      #expect(counts.max() ?? 0 <= most, "\(counts)")
      #expect(counts.dropLast().min() ?? 0 >= least, "\(counts)")
      #expect(counts.reduce(0, +) == 64)
      #expect(processor.counts.acceptedCount == 64)
    }
  }

  @Test func `lines of one datagram each are counted together`() throws {
    let fixture = try Fixture(rules: "{}")
    let processor = processor(fixture)
    var ends = 0
    for number in 0..<160 {
      let bytes = Array(line(number).utf8)
      _ = processor.datagram(bytes.span.bytes, from: 0, .udp, until: 0)
      if processor.hasEnded { ends += 1 }
    }
    #expect(ends == 10)
  }

  @Test func `of known lines a look comes every few kilobytes`() throws {
    let fixture = try Fixture(rules: "{}")
    let processor = processor(fixture)
    let bytes = Array(String(repeating: "a:1|c\n", count: 10_000).utf8)
    processor.lines(bytes.span.bytes, from: 0, .statsd)
    let counts = turns(bytes.span.bytes) { processor.lines($0, from: $1, .statsd, until: 0) }
    #expect(counts.allSatisfy { $0 <= 1_500 }, "\(counts)")
    #expect(fixture.value("a_total") == 20_000)
  }

  @Test func `a frame whose time was over with its last line is whole with the next turn`() throws {
    let fixture = try Fixture(rules: Self.rules)
    let processor = processor(fixture)
    let bytes = Array(line(1).utf8)
    let stop = processor.frame(bytes.span.bytes, from: 0, .events, until: 0)
    #expect(stop == bytes.count && processor.hasEnded)
    #expect(processor.counts.framesApplied == 0)
    _ = processor.frame(bytes.span.bytes, from: stop, .events, until: 0)
    #expect(!processor.hasEnded && processor.counts.framesApplied == 1)
    #expect(processor.counts.acceptedCount == 1)
  }

  /// A name of the longest length, and the most steps that a file can have.
  @Test func `whatever the rules are, one event takes them a bounded number of steps`() throws {
    let hard = #"{"regex": "(?:a?){950}(?:a?){950}(?:a?){950}(?:a?){950}(?:a?){950}b"}"#
    let glob = #"{"event": "**a*a*a*a*a*a*a*a*a*a*b*"}"#
    for event in [hard, glob] {
      let events = Array(repeating: event, count: event == hard ? 10 : 20_000)
      let fixture = try Fixture(
        rules: #"{"families": [{"name": "x", "type": "counter", "events": ["#
          + events.joined(separator: ",") + "]}]}")
      let name = String(repeating: "a", count: 256)
      let rejection = fixture.apply(name, "c")
      #expect(rejection == .nameTooLong)
      #expect(fixture.registry.ruleWork <= Pattern.workLimit + 514 * RegularExpression.stepLimit)
      #expect(fixture.apply("b", "c") == nil)
    }
  }
}
