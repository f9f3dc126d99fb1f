import SidecarEvents
import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite(.serialized) struct StateFileTests {
  @Test func `numbers survive a reopen and uncommitted ones do not`() throws {
    let fixture = try Fixture()
    fixture.apply("a", "c", 3)
    fixture.registry.commit()
    fixture.apply("a", "c", 5)
    fixture.apply("b", "c", 1)
    try fixture.reopen()
    #expect(fixture.page == "# TYPE a_total counter\na_total 3.0\n")
  }

  @Test func `a process killed after any single store leaves whole transactions only`() throws {
    let rules = #"""
      {"families": [
        {"name": "sum_total", "type": "counter", "events": [{"event": "*"}]},
        {"name": "parts_total", "type": "counter", "labels": ["n"], "events": [{"event": "*"}]}]}
      """#
    let fixture = try Fixture(rules: rules)
    let copy = fixture.path + "-copy"
    defer { try? FileManager.default.removeItem(atPath: copy) }
    var snapshots: [Data] = []
    let path = fixture.path
    fixture.registry.state.afterStore = {
      snapshots.append(FileManager.default.contents(atPath: path)!)
    }
    let id = SessionID(high: 1, low: 2)
    let slot = try fixture.open(id, now: 1)
    // Two frames: new series, known series, and the session's position, in one transaction each.
    for frame in UInt64(1)...2 {
      for n in 0..<3 { fixture.apply("e", "c", 1, tags: "n:\(n)") }
      fixture.apply("e", "c", 1, tags: "n:0")
      fixture.registry.state.store(slot.positionCell, frame)
      fixture.registry.commit()
    }
    fixture.registry.state.afterStore = nil
    #expect(snapshots.count > 50)
    var seen: Set<UInt64> = []
    for snapshot in snapshots {
      try snapshot.write(to: URL(fileURLWithPath: copy))
      let state = try StateFile(try MappedFile(path: copy, limit: 16 << 20))
      let registry = Registry(state: state, rules: fixture.rules, limits: Limits())
      let position = registry.sessions.find(id, in: state).map { state.value($0.positionCell) } ?? 0
      seen.insert(position)
      var sum = 0.0
      for record in registry.families[1].series { sum += state.number(record.headCell + 1) }
      let total = state.number(registry.families[0].series[0].headCell + 1)
      #expect(total == Double(position) * 4)
      #expect(sum == total)
    }
    #expect(seen == [0, 1, 2])
  }

  @Test func `a file cut at any length is refused or whole, and never crashes`() throws {
    let fixture = try Fixture()
    for n in 0..<20 { fixture.apply("a", "c", 1, tags: "n:\(n)") }
    fixture.registry.commit()
    let page = fixture.page
    let whole = FileManager.default.contents(atPath: fixture.path)!
    let copy = fixture.path + "-copy"
    defer { try? FileManager.default.removeItem(atPath: copy) }
    for length in stride(from: 1, to: 9000, by: 37) {
      try whole.prefix(length).write(to: URL(fileURLWithPath: copy))
      let state = try? StateFile(try MappedFile(path: copy, limit: 16 << 20))
      if let state {
        var buffer = ByteBuffer()
        ExpositionWriter.append(
          Registry(state: state, rules: fixture.rules, limits: Limits()), to: &buffer)
        #expect(String(decoding: buffer.array, as: UTF8.self) == page)
      }
    }
  }

  @Test func `a flipped bit is found, or changes nothing`() throws {
    let fixture = try Fixture()
    for n in 0..<10 { fixture.apply("a", "c", Double(n + 1), tags: "n:\(n)") }
    fixture.registry.commit()
    let page = fixture.page
    let whole = FileManager.default.contents(atPath: fixture.path)!
    let copy = fixture.path + "-copy"
    defer { try? FileManager.default.removeItem(atPath: copy) }
    var found = 0
    let used = fixture.registry.state.usedByteCount
    for bit in stride(from: 0, to: used * 8, by: 7) {
      var damaged = whole
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      try damaged.write(to: URL(fileURLWithPath: copy))
      guard let state = try? StateFile(try MappedFile(path: copy, limit: 16 << 20)) else {
        found += 1
        continue
      }
      var buffer = ByteBuffer()
      ExpositionWriter.append(
        Registry(state: state, rules: fixture.rules, limits: Limits()), to: &buffer)
      #expect(String(decoding: buffer.array, as: UTF8.self) == page, "bit \(bit)")
    }
    #expect(found > 500)
  }

  @Test func `noise is never taken for a state file`() throws {
    var generator = SystemRandomNumberGenerator()
    let path = NSTemporaryDirectory() + "noise-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    for _ in 0..<200 {
      let count = Int.random(in: 1...9000, using: &generator)
      let noise = Data((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
      try noise.write(to: URL(fileURLWithPath: path))
      #expect((try? StateFile(try MappedFile(path: path, limit: 16 << 20))) == nil)
    }
  }

  @Test func `the file grows for more series and refuses beyond its limit`() throws {
    var limits = Limits()
    limits.series = 1_000_000
    let fixture = try Fixture(limits: limits, stateByteCount: 1 << 20)
    var refused = 0
    for n in 0..<12_000 where fixture.apply("a", "c", 1, tags: "n:\(n)") != nil { refused += 1 }
    fixture.registry.commit()
    #expect(refused > 0)
    // Known series go on.
    #expect(fixture.apply("a", "c", 1, tags: "n:0") == nil)
    fixture.registry.commit()
    try fixture.reopen()
    #expect(fixture.value(#"a_total{n="0"}"#) == 2)
    #expect(fixture.registry.seriesCount == 12_000 - refused)
  }

  @Test func `a lower limit keeps all that is there, and the file does not grow`() throws {
    var limits = Limits()
    limits.series = 1_000_000
    let fixture = try Fixture(limits: limits)
    for n in 0..<20_000 { fixture.apply("a", "c", 1, tags: "n:\(n)") }
    fixture.registry.commit()
    let used = fixture.registry.state.usedByteCount
    let size = FileManager.default.contents(atPath: fixture.path)!.count
    #expect(used > 1 << 20)
    fixture.registry = nil
    let state = try StateFile(try MappedFile(path: fixture.path, limit: 1 << 20))
    fixture.registry = Registry(state: state, rules: fixture.rules, limits: limits)
    #expect(fixture.registry.seriesCount == 20_000)
    #expect(fixture.apply("a", "c", 1, tags: "n:7") == nil)
    #expect(fixture.apply("b", "c", 1) != nil)
    fixture.registry.commit()
    #expect(FileManager.default.contents(atPath: fixture.path)!.count == size)
    // A place that becomes free is used again.
    #expect(state.retryGrowth() == nil)
  }

  @Test func `the session silent for longest makes room, and one in use stays`() throws {
    var limits = Limits()
    limits.sessions = 3
    let fixture = try Fixture(limits: limits)
    for low in UInt64(1)...3 {
      let slot = try fixture.open(SessionID(high: 0, low: low), now: low)
      fixture.registry.state.store(slot.positionCell, low * 10)
      fixture.registry.commit()
    }
    fixture.registry.close(SessionID(high: 0, low: 2))
    fixture.registry.commit()
    fixture.registry.close(SessionID(high: 0, low: 3))
    let slot = try fixture.open(SessionID(high: 0, low: 9), now: 9)
    #expect(fixture.registry.state.value(slot.positionCell) == 0)
    try fixture.reopen()
    let sessions = fixture.registry.sessions
    #expect(sessions.count == 3)
    #expect(sessions.find(SessionID(high: 0, low: 2), in: fixture.registry.state) == nil)
    #expect(sessions.find(SessionID(high: 0, low: 1), in: fixture.registry.state) != nil)
  }
}
