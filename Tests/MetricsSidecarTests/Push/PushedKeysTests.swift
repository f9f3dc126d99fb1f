import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct PushedKeysTests {
  private func record(_ path: String, _ key: String) throws -> ByteKey {
    PushedKeys.record(try PushFixture.key(path).identity, Array(key.utf8))
  }

  /// Pushes one more under a key, as the API does: not where it is known.
  private func push(
    _ fixture: PushFixture, _ path: String, _ key: String, series: Int = 1
  ) throws {
    let record = try record(path, key)
    guard !fixture.store.file.has(record) else { return }
    let text = (0..<series).map { "n{s=\"\($0)\"} 1\n" }.joined()
    let parsed = try fixture.parse(path, text, mode: .aggregate(.sum))
    fixture.store.begin(
      parsed, mode: .aggregate(.sum), timeToLive: 0, now: fixture.moment, isDryRun: false,
      pushedKey: record)
    var left = Int.max
    _ = try fixture.store.goOn(fixture.batch, &left)
  }

  private func value(_ file: PushFile, _ path: String) throws -> Double {
    let group = file.group(try PushFixture.key(path).identity)
    guard let family = GroupBytes.family(group, at: GroupBytes.headByteCount) else { return 0 }
    return group.double(at: family.range.upperBound - 8)
  }

  @Test func `a key counts once for each group, also after a start`() throws {
    let fixture = try PushFixture()
    for key in ["a", "b", "a"] {
      try push(fixture, "/one", key)
      try push(fixture, "/two", key)
      try fixture.reopen()
    }
    #expect(fixture.store.groupCount == 2)
    #expect(try value(fixture.store.file, "/one") == 2)
    #expect(try value(fixture.store.file, "/two") == 2)
  }

  @Test func `the last 10,000 keys are known`() throws {
    let fixture = try PushFixture()
    for number in 0..<PushedKeys.limit { try push(fixture, "/job", "\(number)") }
    try fixture.reopen()
    #expect(fixture.store.file.has(try record("/job", "0")))
    for number in 0..<3 { try push(fixture, "/job", "more \(number)") }
    #expect(fixture.store.file.keys.count == PushedKeys.limit + 1)
    for number in 0..<3 { #expect(!fixture.store.file.has(try record("/job", "\(number)"))) }
    #expect(fixture.store.file.has(try record("/job", "3")))
    #expect(try value(fixture.store.file, "/job") == Double(PushedKeys.limit + 3))
  }

  @Test func `killed after any store, a push and its key are both there or neither is`() throws {
    let fixture = try PushFixture(fileByteCount: 4 << 20)
    let copy = fixture.path + "-copy"
    defer { try? FileManager.default.removeItem(atPath: copy) }
    var checks = 0
    var current = ""
    var before = 0.0
    fixture.store.file.afterStore = {
      checks += 1
      guard checks % 7 == 0 || checks < 50 else { return }
      try? FileManager.default.removeItem(atPath: copy)
      try? FileManager.default.copyItem(atPath: fixture.path, toPath: copy)
      do {
        let again = try PushFile(try MappedFile(path: copy, limit: 4 << 20))
        let isKnown = again.has(try self.record("/job", current))
        let value = try self.value(again, "/job")
        #expect(value == (isKnown ? before + 1 : before), "store \(checks)")
      } catch { Issue.record("store \(checks): \(error)") }
    }
    // So many that several moves to another region are among them.
    for number in 0..<500 {
      current = "\(number)"
      before = Double(number)
      try push(fixture, "/job", current, series: 60)
      fixture.store.file.goOnMoving(1 << 20)
    }
    #expect(fixture.store.file.moveCount > 3)
    #expect(checks > 1000)
  }
}
