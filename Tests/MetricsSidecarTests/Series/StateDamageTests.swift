import SidecarEvents
import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Files that were damaged while a transaction was in flight, and numbers about to run out.
@Suite struct StateDamageTests {
  /// A file's bytes as a killed process leaves them, and the page of what was committed.
  private func killed() throws -> (bytes: [UInt8], used: Int, page: String) {
    let fixture = try Fixture()
    for round in 1...5 {
      for n in 0..<4 { fixture.apply("a", "c", Double(round + n), tags: "n:\(n)") }
      fixture.registry.commit()
    }
    let page = fixture.page
    for n in 1..<6 { fixture.apply("a", "c", 100, tags: "n:\(n)") }
    let bytes = [UInt8](FileManager.default.contents(atPath: fixture.path)!)
    return (bytes, fixture.registry.state.usedByteCount, page)
  }

  private func page(of bytes: [UInt8], at path: String) throws -> String? {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    guard let state = try? StateFile(try MappedFile(path: path, limit: 16 << 20)) else {
      return nil
    }
    var buffer = ByteBuffer()
    ExpositionWriter.append(Registry(state: state, rules: Rules(), limits: Limits()), to: &buffer)
    return String(decoding: buffer.array, as: UTF8.self)
  }

  @Test func `a changed byte beside a frame in flight is found, or changes nothing`() throws {
    let (whole, used, expected) = try killed()
    let path = NSTemporaryDirectory() + "damage-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(try page(of: whole, at: path) == expected)
    var found = 0
    for index in Array(0..<96) + Array(4096..<used) {
      for change in [1, 2, 3, 7, 15, 128] as [UInt8] {
        var damaged = whole
        damaged[index] ^= change
        if let page = try page(of: damaged, at: path) {
          #expect(page == expected, "byte \(index) changed by \(change)")
        } else {
          found += 1
        }
      }
    }
    #expect(found > 1000)
  }

  @Test func `numbers that run out start again, and a kill meanwhile changes nothing`() throws {
    let fixture = try Fixture()
    for n in 0..<3 { fixture.apply("a", "c", 1, tags: "n:\(n)") }
    fixture.registry.commit()
    fixture.registry = nil
    // The header as it is after four billion transactions, less six.
    var bytes = [UInt8](FileManager.default.contents(atPath: fixture.path)!)
    let number: UInt32 = 0xffff_ffea
    unsafe withUnsafeBytes(of: (number &* 0x9e37_79b1).littleEndian) {
      bytes.replaceSubrange(16..<20, with: $0)
    }
    unsafe withUnsafeBytes(of: (~number).littleEndian) { bytes.replaceSubrange(20..<24, with: $0) }
    try Data(bytes).write(to: URL(fileURLWithPath: fixture.path))
    try fixture.reopen()
    var snapshots: [[UInt8]] = []
    let path = fixture.path
    fixture.registry.state.afterStore = {
      snapshots.append([UInt8](FileManager.default.contents(atPath: path)!))
    }
    var pages = [fixture.page]
    for _ in 0..<12 {
      for n in 0..<3 { fixture.apply("a", "c", 1, tags: "n:\(n)") }
      fixture.registry.commit()
      pages.append(fixture.page)
    }
    fixture.registry.state.afterStore = nil
    let copy = path + "-copy"
    defer { try? FileManager.default.removeItem(atPath: copy) }
    var last = 0
    for snapshot in snapshots {
      let page = try #require(try page(of: snapshot, at: copy))
      let at = try #require(pages.firstIndex(of: page))
      #expect(at == last || at == last + 1)
      last = at
    }
    #expect(last == 12)
  }
}
