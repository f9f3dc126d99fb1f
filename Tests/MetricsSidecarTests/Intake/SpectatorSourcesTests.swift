import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct SpectatorSourcesTests {
  private static let second: UInt64 = 1_000_000_000

  private func increase(
    _ sources: inout SpectatorSources, _ name: String, _ total: Double, at seconds: UInt64
  ) -> Double? {
    let bytes = Array(name.utf8)
    return sources.increase(bytes.span.bytes, to: total, now: seconds * Self.second)
  }

  @Test func `with a time to live, sources that were silent make room`() {
    var sources = SpectatorSources(limit: 10, timeToLive: 60 * Self.second)
    for n in 0..<10 { #expect(increase(&sources, "n\(n)", 5, at: 1) == 0) }
    #expect(increase(&sources, "other", 5, at: 2) == nil)
    #expect(increase(&sources, "n0", 7, at: 30) == 2)
    #expect(increase(&sources, "other", 5, at: 62) == 0)
    #expect(increase(&sources, "other", 9, at: 63) == 4)
    #expect(sources.count == 2)
    // The one that was heard in time goes on.
    #expect(increase(&sources, "n0", 8, at: 64) == 1)
  }

  @Test func `without one, known sources go on and new ones are refused for ever`() {
    var sources = SpectatorSources(limit: 1, timeToLive: 0)
    #expect(increase(&sources, "a", 5, at: 1) == 0)
    #expect(increase(&sources, "b", 5, at: 1_000_000) == nil)
    #expect(increase(&sources, "a", 6, at: 1_000_000) == 1)
    #expect(sources.count == 1)
  }

  @Test func `the greatest value is that of the minute`() {
    var sources = SpectatorSources(limit: 2, timeToLive: 0)
    let name = Array("m".utf8)
    for (seconds, value, expected) in [
      (60, 5.0, 5.0), (70, 3, 5), (80, 7, 7), (119, 1, 7), (120, 1, 1),
    ] {
      #expect(
        sources.maximum(name.span.bytes, value, now: UInt64(seconds) * Self.second) == expected)
    }
  }
}
