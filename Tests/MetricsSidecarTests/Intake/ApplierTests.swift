import Foundation
import Platform
import Testing

@testable import MetricsSidecar

@Suite struct ApplierTests {
  private func apply(_ text: String, _ source: IntakeCounts.Source = .statsd) throws -> (
    fixture: Fixture, applier: Applier
  ) {
    let fixture = try Fixture()
    let applier = Applier(registry: fixture.registry, limits: Limits())
    let bytes = Array(text.utf8)
    if source == .spectator {
      applier.spectatorLines(bytes.span.bytes)
    } else {
      applier.lines(bytes.span.bytes, from: 0, source)
    }
    return (fixture, applier)
  }

  @Test(arguments: [
    ("a#t=v:1|c", #"a_total{t="v"}"#, 1.0), ("a,t=v,u.x=w:1|c", #"a_total{t="v",u_x="w"}"#, 1),
    ("a[t=v].b:5|g", #"a_b{t="v"}"#, 5), ("a:1|c:2|c|@0.5:3|c", "a_total", 8),
    ("a:1:2:3|c", "a_total", 6), ("a:3|c|@0.1", "a_total", 30),
  ])
  func `an event's dialect decides its labels`(
    _ line: String, _ series: String, _ value: Double
  ) throws {
    let (fixture, applier) = try apply(line)
    #expect(fixture.value(series) == value, "\(fixture.page)")
    #expect(applier.counts.rejectedCount == 0)
  }

  @Test(arguments: [
    "a#t=v:1|c|#u:w", "a,t=v:1|c|#u:w", "a:1|c:2|x", "a:1|c:2|c|#t:v", "a:1|c:x|c", "a:1|c:|c",
    "a:1|c:2", "a:1|c|@0:2|c",
  ])
  func `a line of two dialects, or several samples of which one is wrong, counts not at all`(
    _ line: String
  ) throws {
    let (fixture, applier) = try apply(line)
    #expect(fixture.page == "")
    #expect(applier.counts.rejectedCount == 1)
  }

  @Test func `spectator's meters become series`() throws {
    let (fixture, applier) = try apply(
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
    #expect(applier.counts.rejectedCount == 1)
    #expect(applier.counts.events(.spectator, UInt8(ascii: "C")) == 4)
  }

  @Test func `a dialect that is switched off is a part of the name`() throws {
    let fixture = try Fixture()
    fixture.registry.dialects = []
    fixture.apply("a,t=v")
    #expect(fixture.value("a_t_v_total") == 1)
  }
}
