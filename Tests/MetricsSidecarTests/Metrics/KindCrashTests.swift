import SidecarEvents
import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Sketches change many cells at once: a process killed after any single store has to leave them as
/// they were before a transaction or after it.
@Suite struct KindCrashTests {
  private static let rules = #"""
    {"families": [
      {"name": "wait", "type": "summary", "max_buckets": 16, "window": "4s",
       "events": [{"event": "wait"}]},
      {"name": "size", "type": "histogram", "native": true, "max_buckets": 16, "buckets": [1, 10],
       "events": [{"event": "size"}]},
      {"name": "users", "type": "set", "exact": 16, "window": "4s", "events": [{"event": "user"}]},
      {"name": "busy", "type": "gauge", "merge": "sum", "events": [{"event": "busy"}]}]}
    """#

  @Test func `killed after any store, a sketch is as before its frame or as after it`() throws {
    var limits = Limits()
    limits.gaugeClients = 2
    let fixture = try Fixture(rules: Self.rules, limits: limits)
    let copy = fixture.path + "-copy"
    defer { try? FileManager.default.removeItem(atPath: copy) }
    fixture.time(0)
    fixture.registry.commit()
    let path = fixture.path
    var compared = 0
    for frame in 0..<40 {
      fixture.time(UInt64(frame) * 700)
      let before = Data(fixture.protobuf)
      var snapshots: [Data] = []
      var stores = 0
      fixture.registry.state.afterStore = {
        stores += 1
        // Each store would be thousands of copies; these meet every kind of place over the frames.
        if stores % 41 == frame % 41 {
          snapshots.append(FileManager.default.contents(atPath: path)!)
        }
      }
      apply(frame, to: fixture)
      fixture.registry.commit()
      fixture.registry.state.afterStore = nil
      let page = Data(fixture.protobuf)
      for snapshot in snapshots {
        fixture.registry = nil
        try snapshot.write(to: URL(fileURLWithPath: copy))
        let state = try StateFile(try MappedFile(path: copy, limit: 16 << 20))
        fixture.registry = Registry(state: state, rules: fixture.rules, limits: limits)
        fixture.time(UInt64(frame) * 700)
        let found = Data(fixture.protobuf)
        compared += 1
        #expect(found == before || found == page)
      }
      try fixture.reopen()
      fixture.time(UInt64(frame) * 700)
      #expect(Data(fixture.protobuf) == page)
    }
    #expect(compared > 200)
  }

  private func apply(_ frame: Int, to fixture: Fixture) {
    for n in 0..<8 {
      let value = Double(n * n + 1) * Double(frame + 1) * (n % 3 == 0 ? -1 : 1)
      fixture.apply("wait", "d", value, weight: 1 / 0.3)
      fixture.apply("size", "d", value, weight: 1 / 0.7)
      fixture.see("user", "u\(frame * 5 + n)")
    }
    fixture.from(UInt64(frame + 1) * 2) { fixture.apply("busy", "g", Double(frame)) }
    fixture.registry.connectionEnded(UInt64(frame + 1) * 2)
  }
}
