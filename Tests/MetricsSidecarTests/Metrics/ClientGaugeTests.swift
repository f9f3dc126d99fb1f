import Foundation
import Testing

@testable import MetricsSidecar

@Suite struct ClientGaugeTests {
  private func fixture(_ merge: String, _ more: String = "", limit: Int = 32) throws -> Fixture {
    var limits = Limits()
    limits.gaugeClients = limit
    let fixture = try Fixture(
      rules: """
        {"families": [
          {"name": "busy", "type": "gauge", "merge": "\(merge)"\(more),
           "events": [{"event": "busy"}]}]}
        """, limits: limits)
    fixture.time(0)
    return fixture
  }

  // Even numbers are connections, odd ones sessions.
  @Test(arguments: [
    ("last", 5.0), ("sum", 16), ("min", 4), ("max", 7), ("livesum", 16), ("livemin", 4),
    ("livemax", 7),
  ])
  func `several clients report one gauge`(_ merge: String, _ value: Double) throws {
    let fixture = try fixture(merge)
    fixture.from(2) { fixture.apply("busy", "g", 1) }
    fixture.from(3) { fixture.apply("busy", "g", 7) }
    fixture.from(2) { fixture.apply("busy", "g", 3, isDelta: true) }
    fixture.from(4) { fixture.apply("busy", "g", 5) }
    #expect(fixture.value("busy") == value)
  }

  @Test(arguments: [("livesum", 9.0), ("livemax", 7), ("sum", 10), ("max", 7)])
  func `a part of a live gauge ends with its connection`(_ merge: String, _ value: Double) throws {
    let fixture = try fixture(merge)
    fixture.from(2) { fixture.apply("busy", "g", 1) }
    fixture.from(4) { fixture.apply("busy", "g", 2) }
    fixture.from(6) { fixture.apply("busy", "g", 7) }
    fixture.registry.connectionEnded(2)
    #expect(fixture.value("busy") == value)
  }

  @Test func `with no client left a live sum is 0, and a live least or greatest is not there`()
    throws
  {
    for (merge, value) in [("livesum", 0.0 as Double?), ("livemin", nil), ("livemax", nil)] {
      let fixture = try fixture(merge)
      #expect(fixture.value("busy") == value)
      fixture.from(2) { fixture.apply("busy", "g", 1) }
      #expect(fixture.value("busy") == 1)
      fixture.registry.connectionEnded(2)
      #expect(fixture.value("busy") == value)
      #expect(fixture.protobuf.count > 10)
    }
  }

  @Test func `the end of a connection looks at what it owned and at nothing else`() throws {
    var limits = Limits()
    limits.gaugeClients = 4
    let fixture = try Fixture(
      rules: """
        {"families": [
          {"name": "busy", "type": "gauge", "merge": "livesum", "labels": ["n"],
           "events": [{"event": "busy"}]}]}
        """, limits: limits)
    fixture.time(0)
    fixture.from(2) {
      for number in 0..<1000 { fixture.apply("busy", "g", 1, tags: "n:\(number)") }
    }
    for owner in 2..<102 {
      fixture.from(UInt64(owner * 2)) { fixture.apply("busy", "g", 5, tags: "n:\(owner)") }
    }
    fixture.registry.owners.insert(1001)
    for owner in 2..<102 { fixture.registry.connectionEnded(UInt64(owner * 2)) }
    fixture.registry.connectionEnded(1001)
    #expect(fixture.registry.recordsLookedAt == 100)
    #expect(fixture.value(#"busy{n="50"}"#) == 1)
    fixture.registry.connectionEnded(2)
    #expect(fixture.registry.recordsLookedAt == 1100)
    #expect(fixture.value(#"busy{n="50"}"#) == 0)
  }

  @Test func `a part whose series has expired is not looked for in what came after it`() throws {
    let fixture = try fixture("livesum", #", "ttl": "10s""#)
    fixture.registry.testMonotonicTime = 1_000_000_000
    fixture.from(2) { fixture.apply("busy", "g", 1) }
    #expect(fixture.registry.owners.hasParts(2))
    let family = fixture.registry.families[0]
    fixture.registry.forgetSeries(family)
    #expect(!fixture.registry.owners.hasParts(2))
  }

  @Test func `a client that comes back under another owner takes its part along`() throws {
    let fixture = try fixture("livesum", #", "client": "pid""#)
    fixture.from(2) { fixture.apply("busy", "g", 3, tags: "pid:1") }
    fixture.from(4) { fixture.apply("busy", "g", 4, tags: "pid:1") }
    #expect(!fixture.registry.owners.hasParts(2))
    fixture.registry.connectionEnded(2)
    #expect(fixture.value("busy") == 4)
    fixture.registry.connectionEnded(4)
    #expect(fixture.value("busy") == 0)
  }

  @Test func `a gauge that a reload makes live ends with connections of before`() throws {
    let rules = { (merge: String) in
      try RuleFile.parse(
        Array(
          """
          {"families": [{"name": "busy", "type": "gauge", "merge": "\(merge)",
                         "events": [{"event": "busy"}]}]}
          """.utf8))
    }
    let fixture = try fixture("sum")
    fixture.from(2) { fixture.apply("busy", "g", 3) }
    fixture.from(4) { fixture.apply("busy", "g", 4) }
    fixture.registry.reload(try rules("livesum"))
    fixture.registry.connectionEnded(2)
    #expect(fixture.value("busy") == 4)
  }

  @Test func `a session's second connection keeps its part`() throws {
    let fixture = try fixture("livesum")
    fixture.registry.owners.insert(3)
    fixture.from(3) { fixture.apply("busy", "g", 7) }
    fixture.registry.owners.insert(3)
    fixture.registry.connectionEnded(3)
    #expect(fixture.value("busy") == 7)
    fixture.registry.connectionEnded(3)
    #expect(fixture.value("busy") == 0)
  }

  @Test func `after a restart connections are gone, and sessions have a minute to come back`()
    throws
  {
    let fixture = try fixture("livesum")
    fixture.from(2) { fixture.apply("busy", "g", 1) }
    fixture.from(3) { fixture.apply("busy", "g", 10) }
    fixture.from(5) { fixture.apply("busy", "g", 100) }
    fixture.registry.commit()
    try fixture.reopen()
    fixture.time(0)
    fixture.registry.owners.graceEnds = fixture.registry.now + 60_000
    #expect(fixture.value("busy") == 110)
    fixture.registry.owners.insert(5)
    fixture.time(59_000)
    fixture.registry.forgetAbsentSessions()
    #expect(fixture.value("busy") == 110)
    fixture.time(60_000)
    fixture.registry.forgetAbsentSessions()
    #expect(fixture.value("busy") == 100)
  }

  @Test func `without a connection, containers or a tag tell clients apart, and silence ends them`()
    throws
  {
    let fixture = try fixture("livesum", #", "client": "pid", "window": "10s""#)
    fixture.apply("busy", "g", 1, tags: "pid:1")
    fixture.apply("busy", "g", 2, tags: "pid:2")
    fixture.from(0, container: 77) { fixture.apply("busy", "g", 4, tags: "pid:1") }
    fixture.from(0, container: 78) { fixture.apply("busy", "g", 8) }
    fixture.apply("busy", "g", 16)
    #expect(fixture.value("busy") == 31)
    fixture.time(9000)
    fixture.apply("busy", "g", 2, tags: "pid:2")
    fixture.time(11_000)
    #expect(fixture.value("busy") == 2)
  }

  @Test func `beyond the limit a client is refused and counted, and known ones go on`() throws {
    let fixture = try fixture("livemax", limit: 3)
    for owner in [UInt64(2), 4, 6, 8, 4] {
      fixture.from(owner) { fixture.apply("busy", "g", Double(owner)) }
    }
    #expect(fixture.value("busy") == 6)
    #expect(fixture.registry.refusedClients == 1)
  }

  @Test(arguments: [("sum", 10.0), ("min", 0), ("max", 4)])
  func `what clients that have gone left behind stays, however many they were`(
    _ merge: String, _ value: Double
  ) throws {
    let fixture = try fixture(merge, limit: 3)
    for owner in 0..<5 {
      let number = UInt64(owner + 1) * 2
      fixture.from(number) { fixture.apply("busy", "g", Double(owner)) }
      fixture.registry.connectionEnded(number)
    }
    #expect(fixture.value("busy") == value)
    #expect(fixture.registry.refusedClients == 0)
  }

  @Test func `with a window, a sum forgets who has gone and is silent, and nobody else`() throws {
    let fixture = try fixture("sum", #", "window": "10s""#)
    fixture.from(2) { fixture.apply("busy", "g", 1) }
    fixture.from(4) { fixture.apply("busy", "g", 2) }
    fixture.registry.connectionEnded(2)
    fixture.time(10_000)
    #expect(fixture.value("busy") == 3)
    fixture.time(10_001)
    #expect(fixture.value("busy") == 2)
  }

  @Test func `without a window, the family's time to live is a client's too`() throws {
    let fixture = try fixture("sum", #", "client": "pid", "ttl": "10s""#)
    fixture.apply("busy", "g", 1, tags: "pid:1")
    fixture.time(8000)
    fixture.apply("busy", "g", 2, tags: "pid:2")
    fixture.time(10_001)
    #expect(fixture.value("busy") == 2)
  }

  @Test func `a line's container tells clients of datagrams apart`() throws {
    let fixture = try fixture("sum")
    let processor = LineProcessor(registry: fixture.registry, limits: fixture.limits)
    for line in ["busy:2|g|c:one", "busy:3|g|c:two", "busy:+1|g|c:one", "busy:5|g"] {
      let bytes = Array(line.utf8)
      processor.line(bytes.span.bytes, .statsd)
    }
    #expect(fixture.value("busy") == 11)
  }
}
