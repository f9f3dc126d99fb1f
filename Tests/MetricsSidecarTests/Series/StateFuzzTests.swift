import Foundation
import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// State files that another version, another program or a broken disk has written: they are
/// refused, or what they hold can be used. `Fuzzer` says how a run is replayed.
@Suite struct StateFuzzTests {
  @Test func `a bent state file is refused or can be used`() throws {
    let fixture = try Fixture()
    for n in 0..<4 { fixture.apply("a", "c", Double(n), tags: "n:\(n)") }
    fixture.apply("wait", "m", 5)
    fixture.registry.commit()
    let made = [UInt8](try #require(FileManager.default.contents(atPath: fixture.path)))
    let path = fixture.path + "-bent"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let fuzzer = Fuzzer("state", rounds: 500, more: [Array(made.prefix(8192))])
    var usedCount = 0
    try fuzzer.run { bytes, _, _ in
      // A state file is larger than what is kept of it here: zeros follow.
      try Data(bytes + [UInt8](repeating: 0, count: max(0, made.count - bytes.count)))
        .write(to: URL(fileURLWithPath: path))
      guard let state = try? StateFile(try MappedFile(path: path, limit: 1 << 20)) else { return }
      let registry = Registry(state: state, rules: Rules(), limits: Limits())
      var page = ByteBuffer()
      ExpositionWriter.append(registry, to: &page)
      registry.commit()
      usedCount += 1
    }
    #expect(usedCount > 0)
  }
}
