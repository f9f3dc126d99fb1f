import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Kept and bent bodies never trap and never bring a store out of order. `Fuzzer` says how a run is
/// replayed.
@Suite struct PushFuzzTests {
  private static let pieces = [
    "# TYPE ", "# HELP ", "histogram\n", "summary\n", "counter\n", "_bucket", "_sum", "_count",
    "{", "}", "\"", "\\", "\n", " ", "le=\"", "quantile=\"0.5\"", "+Inf", "NaN", "1e999", ",", "=",
    "a 1\n", "job=\"x\"", "instance=\"\"", "\u{e9}", "9223372036854775807", "__name__",
  ]

  @Test func `bent texts leave a store that a restart finds as it was`() throws {
    let fixture = try PushFixture()
    let paths = ["/j", "/j/k/1", "/j/instance/x", "/j/instance@base64/=", "/q"]
    let modes: [GroupWriter.Mode] = [.replace, .merge, .aggregate(.sum), .aggregate(.max)]
    var takenCount = 0
    var round = 0
    try Fuzzer("push-text", pieces: Self.pieces, rounds: 1500).run { bytes, dice, label in
      let key = try PushFixture.key(paths[dice.below(paths.count)])
      fixture.batch.begin(key)
      fixture.now += 1
      do {
        try fixture.batch.take(bytes.span.bytes, isProtobuf: false, fixture.limits)
        let mode = modes[dice.below(modes.count)]
        let isDryRun = dice.below(2) == 0
        let before = fixture.page
        do {
          try fixture.store.push(
            key, fixture.batch, mode: mode, timeToLive: 0, now: fixture.moment, isDryRun: isDryRun)
          takenCount += 1
          if isDryRun { #expect(fixture.page == before, "\(label)") }
        } catch {
          #expect(fixture.page == before, "\(label)")
          fixture.store.fail(key, timeToLive: 0, now: fixture.moment)
        }
      } catch {}
      round += 1
      if round % 100 == 0 { try checkRestart(fixture, label) }
    }
    #expect(takenCount > round / 20)
  }

  private func checkRestart(_ fixture: PushFixture, _ label: String) throws {
    let page = Set(fixture.page.split(separator: "\n"))
    #expect(fixture.store.series.count == fixture.store.seriesCount, "\(label)")
    let (series, times) = (fixture.store.seriesCount, Set(fixture.times.split(separator: "\n")))
    try fixture.reopen()
    // The order of groups and names may be another.
    #expect(Set(fixture.page.split(separator: "\n")) == page, "\(label)")
    #expect(fixture.store.seriesCount == series, "\(label)")
    #expect(Set(fixture.times.split(separator: "\n")) == times, "\(label)")
    #expect(fixture.store.series.count == series, "\(label)")
    let lines = fixture.page.split(separator: "\n").filter { !$0.hasPrefix("#") }
    let names = lines.map { $0[..<$0.lastIndex(of: " ")!] }
    #expect(Set(names).count == names.count, "a series twice, \(label)")
  }

  @Test func `bent protobuf never traps, in a group, in a sum, on a page`() throws {
    let fixture = try PushFixture()
    var takenCount = 0
    try Fuzzer("push-protobuf").run { bytes, dice, label in
      // A few groups that are sums of all that could be added.
      let path = "/j/k/\(dice.below(8))"
      let isSum = dice.below(4) > 0
      guard
        fixture.refusal({
          try fixture.push(path, protobuf: bytes, mode: isSum ? .aggregate(.sum) : .replace)
        }) == nil
      else { return }
      takenCount += 1
      guard takenCount % 50 == 0 else { return }
      let page = fixture.protobufPage
      // The parser takes what the page says, but for what other groups have too.
      fixture.batch.begin(try PushFixture.key("/other"))
      try fixture.batch.take(page.span.bytes, isProtobuf: true, fixture.limits)
      #expect(fixture.batch.families.count <= page.count, "\(label)")
      try checkRestart(fixture, label)
    }
    #expect(takenCount > 0)
  }

  @Test func `bent gzip never traps and never exceeds the limit`() {
    Fuzzer("inflate").run { bytes, _, label in
      var output = ByteBuffer()
      do { try Inflate.gunzip(bytes.span.bytes, limit: 500, into: &output) } catch {}
      #expect(output.count <= 500, "\(label)")
    }
  }

  @Test func `bent snappy never traps and never exceeds the limit`() {
    Fuzzer("snappy").run { bytes, _, label in
      var output = ByteBuffer()
      do { try Snappy.decode(bytes.span.bytes, limit: 500, into: &output) } catch {}
      #expect(output.count <= 500, "\(label)")
    }
  }

  @Test func `bent paths and password files never trap`() {
    Fuzzer("push-paths", pieces: ["/", "@base64/", "%", "=", "$", ":"]).run { bytes, _, _ in
      do { _ = try GroupingKey(path: bytes.span.bytes, limits: PushLimits()) } catch {}
      do { _ = try PushAuth(bytes) } catch {}
    }
  }
}
