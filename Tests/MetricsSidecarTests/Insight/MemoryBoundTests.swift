import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// What the limits allow beside what a container has.
struct MemoryBoundTests {
  private func bound(_ arguments: [String], of limit: Int64) throws -> MemoryBound {
    guard case .run(_, let options) = try Commands.sidecar.read(["serve"] + arguments) else {
      throw Errno.invalid
    }
    return MemoryBound(try Settings(options), limit: limit)
  }

  @Test func `the defaults fit the 64 MiB of the chart`() throws {
    let bound = try bound(["--push", "--otlp", "localhost:4318"], of: 64 << 20)
    #expect(bound.byteCount > 40 << 20)
    #expect(bound.warning.isEmpty)
  }

  @Test func `points of a request take no more than its limit`() {
    let limits = Limits()
    #expect(MemoryLayout<OTLPPoint>.stride * limits.otlpPoints <= limits.otlpByteCount)
    #expect(MemoryLayout<OTLPPoint>.stride <= 64)
  }

  @Test(arguments: [
    (["--max-series", "100000"], "Lower --max-exposition-size (98 MiB) --max-series (62 MiB)"),
    (["--max-client-memory", "1GiB"], "Lower --max-client-memory (1024 MiB)"),
    (["--otlp", "localhost:4318", "--max-otlp-streams", "400000"], "--max-otlp-streams (77 MiB)"),
    (["--otlp", "localhost:4318", "--max-otlp-size", "12MiB"], "--max-otlp-size (24 MiB)"),
    (["--push", "--max-push-size", "64MiB"], "Lower --max-push-size (384 MiB)"),
    (["--max-series", "10000000", "--max-exemplars", "1000000"], "--max-series (6199 MiB)"),
  ])
  func `a warning names the flags to lower`(_ flags: [String], _ words: String)
    throws
  {
    let warning = try bound(flags, of: 64 << 20).warning
    #expect(warning.contains(words), "\(warning)")
    #expect(try bound(flags, of: 0).warning.isEmpty)
  }
}
