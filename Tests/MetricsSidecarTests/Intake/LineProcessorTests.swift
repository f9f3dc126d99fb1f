import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct LineProcessorTests {
  private func apply(_ text: String, _ source: IntakeCounts.Source = .statsd) throws -> (
    fixture: Fixture, processor: LineProcessor
  ) {
    let fixture = try Fixture()
    let processor = LineProcessor(registry: fixture.registry, limits: Limits())
    let bytes = Array(text.utf8)
    if source == .spectator {
      _ = processor.spectatorLines(bytes.span.bytes, from: 0, until: .max)
    } else {
      processor.lines(bytes.span.bytes, from: 0, source)
    }
    return (fixture, processor)
  }

  @Test(arguments: [
    ("a#t=v:1|c", #"a_total{t="v"}"#, 1.0), ("a,t=v,u.x=w:1|c", #"a_total{t="v",u_x="w"}"#, 1),
    ("a[t=v].b:5|g", #"a_b{t="v"}"#, 5), ("a:1|c:2|c|@0.5:3|c", "a_total", 8),
    ("a:1:2:3|c", "a_total", 6), ("a:3|c|@0.1", "a_total", 30),
  ])
  func `an event's dialect decides its labels`(
    _ line: String, _ series: String, _ value: Double
  ) throws {
    let (fixture, processor) = try apply(line)
    #expect(fixture.value(series) == value, "\(fixture.page)")
    #expect(processor.counts.rejectedCount == 0)
  }

  @Test(arguments: [
    "a#t=v:1|c|#u:w", "a,t=v:1|c|#u:w", "a:1|c:2|x", "a:1|c:2|c|#t:v", "a:1|c:x|c", "a:1|c:|c",
    "a:1|c:2", "a:1|c|@0:2|c",
  ])
  func `a line of two dialects, or several samples of which one is wrong, counts not at all`(
    _ line: String
  ) throws {
    let (fixture, processor) = try apply(line)
    #expect(fixture.page == "")
    #expect(processor.counts.rejectedCount == 1)
  }

  @Test func `a time that no clock writes is none`() throws {
    let (fixture, processor) = try apply("g:1|g|T1e400\ng:3|g|T9.9e99")
    #expect(fixture.value("g") == 3)
    #expect(processor.counts.rejectedCount == 0)
  }

  @Test func `a thousand samples or values look their line up once`() throws {
    let name = String(repeating: "n", count: 4000)
    for (line, types, count) in [
      (name + String(repeating: ":1|c:2|ms", count: 450), 2, 900),
      (name + String(repeating: ":1", count: 1000) + "|h", 1, 1000),
    ] {
      let (fixture, processor) = try apply(line)
      #expect(fixture.registry.resolvedLines == types)
      #expect(processor.counts.rejectedCount == count)
    }
    let (fixture, processor) = try apply("a:1:2:3:4|c|#t:v")
    #expect(fixture.registry.resolvedLines == 1)
    #expect(fixture.value(#"a_total{t="v"}"#) == 10)
    #expect(processor.counts.events(.statsd, 0x63) == 4)
  }

  @Test func `spectator's meters become series`() throws {
    let (fixture, processor) = try apply(
      """
      c:a,id=x:2
      c:a,id=x:3
      t:wait:0.5
      T:wait:1.5
      d:size:100
      g,300:level:7
      m:peak:5
      m:peak:3
      C:own,k=v:100
      C:own,k=v:130
      X,1543160297100:own,k=v:150
      C:own,k=v:20
      C:own,k=v:25
      c:a
      """, .spectator)
    #expect(fixture.value(#"a_total{id="x"}"#) == 5, "\(fixture.page)")
    #expect(fixture.value("wait_seconds_sum") == 2)
    #expect(fixture.value("wait_seconds_count") == 2)
    #expect(fixture.value("size_sum") == 100)
    #expect(fixture.value("level") == 7)
    #expect(fixture.value("peak") == 5)
    #expect(fixture.value(#"own_total{k="v"}"#) == 55)
    #expect(processor.counts.rejectedCount == 1)
    #expect(processor.counts.events(.spectator, UInt8(ascii: "C")) == 4)
  }

  /// From one total of a source to the next, and what its counter has then.
  @Test(
    arguments: [
      ([5, 7], 2), ([5, .max], 0), ([.max - 1, .max, 0, 3], 5), ([100, 3, 4], 1),
      ([1 << 60, 1 << 60 + 1], 1), ([0], 0),
    ] as [([UInt64], Double)])
  func `a whole total rolls over at 2^64, and a new start counts from there`(
    _ totals: [UInt64], _ expected: Double
  ) throws {
    let lines = totals.map { "U:bytes:\($0)\n" }.joined()
    let (fixture, processor) = try apply(lines, .spectator)
    #expect(fixture.value("bytes_total") == expected)
    #expect(processor.counts.rejectedCount == 0)
  }

  @Test func `no line makes a sum infinite`() throws {
    let worst = String(repeating: "c:1e100|c|@1e-15\nh:1e100|h|@1e-15\ng:+1e100|g\n", count: 1000)
    let (fixture, _) = try apply(worst + "c:1e200|c\nh:1|h|@1e-300\ng:+1e308|g\ng:+1e308|g")
    for name in ["c_total", "h_sum", "h_count", "g"] {
      let value = try #require(fixture.value(name))
      #expect(value.isFinite && value > 1e15, "\(name) \(value)")
    }
  }

  @Test func `a tag without a name is none`() throws {
    let (fixture, _) = try apply("a:1|c|#:v,,b:,c\na:2|c|#b,c:")
    #expect(fixture.value("a_total") == 3, "\(fixture.page)")
  }

  @Test func `a tag may have a # of its own`() throws {
    let (fixture, _) = try apply("a:1|c|#b:1,#c:2\na:2|c|##c:2,b:1,#\na:4|c|#b:1,c:2,#:3")
    #expect(fixture.value(#"a_total{b="1",c="2"}"#) == 7, "\(fixture.page)")
  }

  @Test func `a dialect that is switched off is a part of the name`() throws {
    let fixture = try Fixture()
    let processor = LineProcessor(registry: fixture.registry, limits: Limits())
    processor.dialects = []
    processor.line(Array("a,t=v:1|c".utf8).span.bytes, .statsd)
    #expect(fixture.value("a_t_v_total") == 1)
  }
}
