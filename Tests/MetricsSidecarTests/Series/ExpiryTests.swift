import SidecarEvents
import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Time to live, with a time that the tests have: seconds from when the registry was made.
@Suite struct ExpiryTests {
  private static let second: UInt64 = 1_000_000_000

  /// A fixture, and what the sidecar's turns do with it.
  private final class Turns {
    let fixture: Fixture
    let start = Clock.monotonicNanoseconds
    /// Whether a page is being written.
    var isRead = false

    init(
      rules: String = "{}", ttl: UInt64 = 60, change: (inout Limits) -> Void = { _ in }
    ) throws {
      var limits = Limits()
      limits.seriesTimeToLive = ttl * second
      change(&limits)
      fixture = try Fixture(rules: rules, limits: limits)
    }

    var registry: Registry { fixture.registry }

    /// A turn at `seconds` in which `events` came.
    func turn(at seconds: Double, _ events: () -> Void = {}) {
      turn(now: start + UInt64(seconds * 1e9), events)
    }

    private func turn(now: UInt64, _ events: () -> Void) {
      registry.testMonotonicTime = now
      events()
      if now >= registry.expiry.due { registry.expire(now: now) }
      registry.commit()
      registry.turnEnded(now: now, isRead: isRead)
    }

    /// Whether there is something to wait for.
    var isArmed: Bool { registry.expiry.due != .max }

    /// All turns that are due until `seconds`; how many they were.
    @discardableResult
    func wait(until seconds: Double) -> Int {
      let end = start + UInt64(seconds * 1e9)
      var count = 0
      while registry.expiry.due <= end {
        turn(now: registry.expiry.due) {}
        count += 1
      }
      return count
    }
  }

  @Test func `a family that has expired gives the spelling of its name up`() throws {
    let turns = try Turns()
    turns.registry.spellings.isOn = true
    turns.turn(at: 1) { turns.fixture.apply("k0", "c", 1, tags: "stays:1") }
    var used = 0
    for round in 1...20 {
      let start = Double(round) * 100
      turns.turn(at: start) { turns.fixture.apply("http.requests.\(1000 + round)") }
      #expect(!turns.registry.spellings.isEmpty)
      turns.wait(until: start + 90)
      #expect(turns.registry.spellings.isEmpty)
      if round == 2 { used = turns.registry.state.usedByteCount }
    }
    #expect(turns.registry.state.usedByteCount == used)
  }

  @Test func `a turn that began before a reload within it ends well`() {
    var expiry = Expiry()
    expiry.use(64 * Self.second)
    var transaction: UInt32 = 1
    for time in 1...600 as ClosedRange<UInt64> {
      // The reload notes its own time, the turn's end that of its start.
      for now in [time * Self.second + 5000, time * Self.second] {
        expiry.note(transaction, now: now)
        transaction += 1
      }
      // Nothing is taken for older than it is.
      let cutoff = expiry.cutoff(64 * Self.second, now: time * Self.second, transaction)
      #expect(cutoff ?? 0 <= UInt32(max(0, Int(time) - 64) * 2))
    }
  }

  @Test func `beside a series that stays, others of its family expire`() throws {
    let rules = #"""
      {"families": [
        {"name": "x_total", "type": "counter", "ttl": "10s", "events": [{"event": "x"}]},
        {"name": "x_total", "labels": ["a"], "events": [{"event": "y"}]},
        {"name": "z_total", "type": "counter", "constants": {"a": "b"}, "ttl": "10s",
         "events": [{"event": "z"}]}]}
      """#
    let turns = try Turns(rules: rules, ttl: 0)
    turns.turn(at: 1) {
      for event in ["x", "y", "z"] { turns.fixture.apply(event, "c", 1, tags: "a:b") }
    }
    #expect(turns.fixture.value(#"x_total{a="b"}"#) == 1)
    turns.wait(until: 30)
    #expect(turns.fixture.value(#"x_total{a="b"}"#) == nil)
    for series in ["x_total", #"z_total{a="b"}"#] { #expect(turns.fixture.value(series) == 1) }
    // Nothing is waited for any more; what stays is not looked at again.
    #expect(!turns.isArmed)
    turns.turn(at: 40) { turns.fixture.apply("x") }
    #expect(!turns.isArmed)
    // A reload knows them, too.
    turns.registry.reload(turns.fixture.rules)
    turns.wait(until: 90)
    for series in ["x_total", #"z_total{a="b"}"#] { #expect(turns.fixture.value(series) != nil) }
  }

  @Test func `a family that events make expires after a restart, too`() throws {
    let rules = #"""
      {"families": [
        {"name": "x_$1", "type": "counter", "ttl": "10s", "events": [{"event": "a.*"}]}]}
      """#
    let turns = try Turns(rules: rules, ttl: 0)
    turns.turn(at: 0) { turns.fixture.apply("a.b") }
    try turns.fixture.reopen()
    turns.turn(at: 5) { turns.fixture.apply("a.b") }
    #expect(turns.fixture.value("x_b") == 2)
    turns.wait(until: 30)
    #expect(turns.fixture.value("x_b") == nil)
  }

  @Test func `a moment noted by an earlier time than the last makes nothing older than it is`() {
    var expiry = Expiry()
    expiry.use(10 * Self.second)
    for (transaction, time) in [(1, 100), (2, 90), (3, 91), (4, 92), (5, 101), (6, 95)] {
      expiry.note(UInt32(transaction), now: UInt64(time) * Self.second)
    }
    #expect(expiry.cutoff(10 * Self.second, now: 109 * Self.second, 6) == nil)
    #expect(expiry.cutoff(10 * Self.second, now: 110 * Self.second, 6) == 4)
    #expect(expiry.cutoff(10 * Self.second, now: 111 * Self.second, 6) == 6)
  }

  @Test func `a reload between two turns of a look begins it anew`() throws {
    func rules(_ type: String) -> String {
      #"""
      {"families": [
        {"name": "big", "type": "\#(type)", "ttl": "1h", "labels": ["i"],
         "events": [{"event": "big"}]},
        {"name": "small", "type": "counter", "ttl": "1s", "labels": ["i"],
         "events": [{"event": "small"}]}]}
      """#
    }
    let turns = try Turns(rules: rules("counter")) { $0.series = 20_000 }
    turns.turn(at: 1) {
      for n in 0..<10_000 { turns.fixture.apply("big", "c", 1, tags: "i:\(n)") }
      turns.fixture.apply("small", "c", 1, tags: "i:1")
    }
    // A turn looks at 8,192 series; the next one is due at once.
    var now = 2.0
    while turns.registry.sweep.series == 0, now < 60 {
      turns.turn(at: now)
      now += 0.5
    }
    try #require(turns.registry.sweep.series > 1)
    turns.registry.reload(try RuleFile.parse(Array(rules("gauge").utf8)))
    turns.turn(at: now) { turns.fixture.apply("big", "g", 7, tags: "i:1") }
    turns.wait(until: 100)
    #expect(turns.fixture.page.contains("big{i=\"1\"} 7.0\n"))
    #expect(!turns.fixture.page.contains("small{"))
  }

  @Test func `a series without an event for its time to live leaves the page`() throws {
    let turns = try Turns()
    turns.turn(at: 1) {
      turns.fixture.apply("a", "c", 1, tags: "n:old")
      turns.fixture.apply("a", "c", 1, tags: "n:young")
    }
    turns.turn(at: 40) { turns.fixture.apply("a", "c", 1, tags: "n:young") }
    turns.wait(until: 60)
    #expect(turns.fixture.value(#"a_total{n="old"}"#) == 1)
    turns.wait(until: 70)
    #expect(turns.fixture.value(#"a_total{n="old"}"#) == nil)
    #expect(turns.fixture.value(#"a_total{n="young"}"#) == 2)
    #expect(turns.registry.seriesCount == 1)
    #expect(turns.registry.expiredSeries == 1)
    turns.wait(until: 110)
    #expect(turns.fixture.page == "")
    #expect(turns.registry.familyCount == 0)
  }

  @Test func `nothing ticks when nothing can expire, and little while something can`() throws {
    let forever = try Turns(ttl: 0)
    forever.turn(at: 1) { forever.fixture.apply("a") }
    #expect(!forever.isArmed)
    let turns = try Turns()
    turns.wait(until: 100)
    #expect(!turns.isArmed)
    turns.turn(at: 200) { turns.fixture.apply("a") }
    #expect(turns.isArmed)
    #expect(turns.wait(until: 10_000) <= 4)
    #expect(!turns.isArmed)
    #expect(turns.registry.seriesCount == 0)
  }

  @Test func `a series that comes back starts anew, also through a line that was known`() throws {
    let turns = try Turns()
    turns.turn(at: 1) { turns.fixture.apply("a", "c", 5, tags: "n:x") }
    turns.wait(until: 100)
    turns.turn(at: 101) { turns.fixture.apply("b", "c", 7, tags: "m:y") }
    turns.turn(at: 102) { turns.fixture.apply("a", "c", 1, tags: "n:x") }
    #expect(turns.fixture.value(#"a_total{n="x"}"#) == 1)
    #expect(turns.fixture.value(#"b_total{m="y"}"#) == 7)
  }

  @Test func `a rule's time to live goes before the global one, and 0 is for ever`() throws {
    let turns = try Turns(
      rules: #"""
        {"families": [
          {"name": "none", "type": "gauge", "ttl": "5s", "events": [{"event": "none"}]},
          {"name": "short", "type": "gauge", "labels": ["n"], "ttl": "5s",
           "events": [{"event": "s"}]},
          {"name": "ever", "type": "gauge", "labels": ["n"], "ttl": "0",
           "events": [{"event": "e"}]},
          {"name": "plain", "type": "gauge", "labels": ["n"], "events": [{"event": "p"}]}]}
        """#)
    turns.turn(at: 0) {
      for name in ["none", "s", "e", "p"] { turns.fixture.apply(name, "g", 2, tags: "n:1") }
    }
    turns.wait(until: 6)
    #expect(turns.fixture.value(#"short{n="1"}"#) == nil)
    #expect(turns.fixture.value(#"plain{n="1"}"#) == 2)
    turns.wait(until: 1000)
    // A family of the rules stays though it is empty, and one without labels keeps its value.
    #expect(
      turns.fixture.page == """
        # TYPE none gauge\nnone 2.0\n# TYPE short gauge\n# TYPE ever gauge\never{n="1"} 2.0
        # TYPE plain gauge\n
        """)
    #expect(!turns.isArmed)
  }

  @Test func `a series is kept no shorter than its time, and not an eighth longer`() throws {
    var generator = SystemRandomNumberGenerator()
    for ttl in [2.0, 60, 3600] {
      let turns = try Turns(ttl: UInt64(ttl))
      var last = 0.0
      var now = 0.0
      for _ in 0..<200 {
        now += Double.random(in: 0...ttl / 20, using: &generator)
        // Others keep the sidecar busy.
        turns.wait(until: now)
        let isLast = now < ttl * 3
        turns.turn(at: now) {
          turns.fixture.apply("other", "g")
          if isLast { turns.fixture.apply("a", "g") }
        }
        if isLast { last = now }
        if now < last + ttl { #expect(turns.fixture.value("a") != nil) }
        if now > last + ttl * 1.13 { #expect(turns.fixture.value("a") == nil, "\(now) \(last)") }
      }
    }
  }

  @Test func `series one after the other use the same records again`() throws {
    let turns = try Turns(ttl: 1) { $0.series = 2000 }
    var most = 0
    for step in 0..<300 {
      turns.wait(until: Double(step) / 10)
      turns.turn(at: Double(step) / 10) {
        for n in 0..<100 { turns.fixture.apply("a", "c", 1, tags: "n:\(step * 100 + n)") }
      }
      most = max(most, turns.registry.state.usedByteCount)
    }
    #expect(turns.registry.refusedSeries == 0)
    #expect(turns.registry.seriesCount + Int(turns.registry.expiredSeries) == 30_000)
    #expect(most < 300 << 10)
  }

  @Test func `records of one length serve series of another`() throws {
    let turns = try Turns(ttl: 1) { $0.series = 1000 }
    var most = 0
    for round in 0..<40 {
      let type: Character = round % 3 == 0 ? "h" : "c"
      let filling = String(repeating: "x", count: round * 7 % 200)
      turns.wait(until: Double(round) * 3)
      turns.turn(at: Double(round) * 3) {
        for n in 0..<300 { turns.fixture.apply("r\(round)", type, 1, tags: "n:\(filling)\(n)") }
      }
      #expect(turns.registry.seriesCount == 300)
      if round == 2 { most = turns.registry.state.usedByteCount }
    }
    #expect(turns.registry.refusedSeries == 0)
    #expect(turns.registry.state.usedByteCount < most * 2)
    try turns.fixture.reopen()
    #expect(turns.registry.seriesCount == 300)
  }

  @Test func `a record is not used again while a page is written from it`() throws {
    let turns = try Turns()
    turns.turn(at: 1) { turns.fixture.apply("a", "c", 5, tags: "n:x") }
    let snapshot = Snapshot(turns.registry, filter: NameFilter())
    turns.isRead = true
    turns.wait(until: 100)
    turns.turn(at: 100) { turns.fixture.apply("b", "c", 7, tags: "n:x") }
    var page = ByteBuffer()
    let writer = ExpositionWriter(snapshot, shape: ExpositionShape(), filter: NameFilter())
    while !writer.write(into: &page, byteCount: 1 << 20) {}
    #expect(
      String(decoding: page.array, as: UTF8.self)
        == "# TYPE a_total counter\na_total{n=\"x\"} 5.0\n")
    let before = turns.registry.state.usedByteCount
    turns.isRead = false
    turns.turn(at: 101)
    turns.turn(at: 102) { turns.fixture.apply("c", "c", 7, tags: "n:x") }
    #expect(turns.registry.state.usedByteCount == before)
  }

  @Test func `a session that was silent is forgotten, one with a connection is not`() throws {
    let turns = try Turns(ttl: 0) { $0.sessionTimeToLive = 60 * Self.second }
    let ids = (1...2).map { SessionID(high: 0, low: $0) }
    turns.turn(at: 1) {
      for id in ids {
        let slot = try? turns.fixture.open(id, now: 1)
        turns.registry.state.store(slot!.positionCell, UInt64(9))
      }
    }
    turns.turn(at: 2) { turns.registry.close(ids[0]) }
    turns.wait(until: 59)
    #expect(turns.registry.sessions.count == 2)
    turns.wait(until: 1000)
    #expect(turns.registry.sessions.count == 1)
    #expect(turns.registry.sessions.find(ids[1], in: turns.registry.state) != nil)
    // It starts from 0, as one that was never there.
    let slot = try turns.fixture.open(ids[0], now: 9)
    #expect(turns.registry.state.value(slot.positionCell) == 0)
  }

  @Test func `a session stays while one of two connections does`() throws {
    let turns = try Turns(ttl: 0) { $0.sessionTimeToLive = 60 * Self.second }
    let id = SessionID(high: 3, low: 4)
    turns.turn(at: 1) { for _ in 0..<2 { _ = try? turns.fixture.open(id, now: 1) } }
    turns.turn(at: 2) { turns.registry.close(id) }
    turns.wait(until: 500)
    #expect(turns.registry.sessions.count == 1)
    turns.turn(at: 501) { turns.registry.close(id) }
    turns.wait(until: 1000)
    #expect(turns.registry.sessions.count == 0)
  }

  @Test func `families whose only series was refused leave their place`() throws {
    let turns = try Turns {
      $0.series = 1; $0.families = 3
    }
    turns.turn(at: 0) {
      turns.fixture.apply("a", "g")
      for n in 0..<10 { #expect(turns.fixture.apply("g\(n)", "g") == .seriesLimit) }
    }
    #expect(turns.registry.familyCount == 1)
  }

  @Test func `a process killed at any store of expiry and reuse leaves whole frames only`() throws {
    let turns = try Turns(ttl: 10)
    let fixture = turns.fixture
    let path = fixture.path
    var snapshots: [[UInt8]] = []
    // A restart finds the series in the order of their records.
    func sorted(_ page: String) -> [Substring] { page.split(separator: "\n").sorted() }
    var pages = [sorted(fixture.page)]
    fixture.registry.state.afterStore = {
      snapshots.append([UInt8](FileManager.default.contents(atPath: path)!))
    }
    for round in 0..<6 {
      // Keys of other lengths: free records are cut and joined.
      let filling = String(repeating: "y", count: round * 40 % 130)
      turns.wait(until: Double(round) * 20)
      if sorted(fixture.page) != pages.last { pages.append(sorted(fixture.page)) }
      turns.turn(at: Double(round) * 20) {
        for n in 0..<3 { fixture.apply("a", "c", Double(n + 1), tags: "n:\(filling)\(n)") }
      }
      pages.append(sorted(fixture.page))
    }
    fixture.registry.state.afterStore = nil
    #expect(snapshots.count > 200)
    let copy = path + "-copy"
    defer { try? FileManager.default.removeItem(atPath: copy) }
    var at = 0
    for snapshot in snapshots {
      try Data(snapshot).write(to: URL(fileURLWithPath: copy))
      let state = try StateFile(try MappedFile(path: copy, limit: 16 << 20))
      var buffer = ByteBuffer()
      ExpositionWriter.append(
        Registry(state: state, rules: fixture.rules, limits: fixture.limits), to: &buffer)
      let page = sorted(String(decoding: buffer.array, as: UTF8.self))
      if page != pages[at] { at += 1 }
      try #require(at < pages.count && page == pages[at], "page \(at)")
    }
    #expect(at == pages.count - 1)
  }
}
