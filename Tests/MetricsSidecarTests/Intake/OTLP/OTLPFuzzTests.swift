import Foundation
import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Requests of kept and bent bytes. `Fuzzer` says how a run is replayed.
@Suite struct OTLPFuzzTests {
  private static let pieces = [
    "\u{a}", "\u{12}", "\u{1a}", "\u{3a}", "\u{0}", "\u{7f}", "\u{1}\u{0}", "le", "quantile",
    "service.name", "system.x", "a.b", "{", "}", "[", "]", ":", ",", "\"", "\\u00e9", "1e400",
    "\"-1\"", "null", "true", "NaN", "asInt", "dataPoints", "attributes", "18446744073709551615",
  ]

  @Test(arguments: ["otlp-protobuf", "otlp-json"])
  func `whatever comes, what is refused has no effect and a restart changes nothing`(
    _ parser: String
  ) throws {
    var limits = Limits()
    limits.series = 200
    limits.otlpStreams = 50
    let otlp = try OTLPFixture(limits: limits)
    var now: UInt64 = 9_000_000_000_000
    otlp.fixture.registry.testTime = now
    var round = 0
    var page = ""
    var failure: String?
    Fuzzer(parser, pieces: Self.pieces, rounds: 1500).run { bytes, _, _ in
      let answer = otlp.take(bytes, isJSON: parser == "otlp-json")
      let isRefused = answer.hasPrefix("400") || answer.hasPrefix("413")
      let after = otlp.page
      if isRefused, after != page { failure = "refused, and it has an effect: \(answer)" }
      page = after
      round += 1
      guard round % 100 == 0 else { return }
      now += 700_000
      do {
        try otlp.reopen()
      } catch { failure = "\(error)" }
      otlp.fixture.registry.testTime = now
      page = otlp.page
    }
    #expect(failure == nil)
    let kept = otlp.page
    try otlp.reopen()
    otlp.fixture.registry.testTime = now
    #expect(sorted(otlp.page) == sorted(kept))
  }

  @Test func `killed after any store, a request that is sent again counts once`() throws {
    let otlp = try OTLPFixture()
    let path = otlp.fixture.path
    var compared = 0
    for round in 1...12 {
      let requests = requests(UInt64(round))
      var snapshots: [Data] = []
      var stores = 0
      otlp.fixture.registry.state.afterStore = {
        stores += 1
        if stores % 29 == round { snapshots.append(FileManager.default.contents(atPath: path)!) }
      }
      for request in requests { #expect(otlp.take(request) == "") }
      otlp.fixture.registry.state.afterStore = nil
      let page = otlp.page
      for snapshot in snapshots {
        let copy = try OTLPFixture()
        copy.fixture.registry = nil
        copy.intake = nil
        try snapshot.write(to: URL(fileURLWithPath: copy.fixture.path))
        try copy.reopen()
        for request in requests { #expect(copy.take(request) == "") }
        compared += 1
        #expect(sorted(copy.page) == sorted(page))
      }
    }
    #expect(compared > 50)
  }

  private func sorted(_ page: String) -> [Substring] { page.split(separator: "\n").sorted() }

  /// Of two workers: sums, a delta, a histogram, an exponential one.
  private func requests(_ round: UInt64) -> [[UInt8]] {
    var requests: [[UInt8]] = []
    for worker in ["a", "b"] {
      var export = Export()
      export.resource[1].1 = worker
      let start: UInt64 = worker == "a" ? 1 : 2
      export.points = [
        Export.number(Double(round), start: start, time: round + 10, [("q", "1")]),
        Export.number(Double(round * 2), start: start, time: round + 10, [("q", "2")]),
      ]
      requests.append(export.bytes)
      export.name = "delta"
      export.temporality = 1
      export.points = [Export.number(1, start: round, time: round + 10)]
      requests.append(export.bytes)
      export.name = "wait"
      export.type = 9
      export.temporality = 2
      export.points = [
        Export.histogram(
          [round, round * 3], [1], sum: Double(round), start: start, time: round + 10)
      ]
      requests.append(export.bytes)
      export.name = "size"
      export.type = 10
      export.points = [
        Export.exponential(
          scale: 2, offset: 0, [UInt64](repeating: round, count: Int(round) * 4), start: start,
          time: round + 10)
      ]
      requests.append(export.bytes)
    }
    return requests
  }
}
