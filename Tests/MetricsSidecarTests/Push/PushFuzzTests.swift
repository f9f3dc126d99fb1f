import Foundation
import Platform
import Testing

@testable import MetricsSidecar

/// A small generator that replays from its seed (SplitMix64).
private struct Dice: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}

/// Bodies, bent at random, never trap and never bring a store out of order. `FUZZ_SEED` and
/// `FUZZ_ROUNDS` replay and lengthen a run.
@Suite struct PushFuzzTests {
  private static let rounds: Range<UInt64> = {
    let environment = ProcessInfo.processInfo.environment
    let first = environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
    return first..<(first + (environment["FUZZ_ROUNDS"].flatMap { UInt64($0) } ?? 1500))
  }()

  private static let pieces = [
    "# TYPE ", "# HELP ", "histogram\n", "summary\n", "counter\n", "_bucket", "_sum", "_count",
    "{", "}", "\"", "\\", "\n", " ", "le=\"", "quantile=\"0.5\"", "+Inf", "NaN", "1e999", ",", "=",
    "a 1\n", "job=\"x\"", "instance=\"\"", "\u{e9}", "\0", "9223372036854775807", "__name__",
  ]

  private func bend(_ bytes: inout [UInt8], _ dice: inout Dice) {
    if bytes.isEmpty { return }
    let at = Int.random(in: 0..<bytes.count, using: &dice)
    switch Int.random(in: 0..<6, using: &dice) {
    case 0: bytes[at] = UInt8.random(in: 0...255, using: &dice)
    case 1: bytes.remove(at: at)
    case 2: bytes.insert(contentsOf: Self.pieces.randomElement(using: &dice)!.utf8, at: at)
    case 3: bytes.removeSubrange(at..<min(bytes.count, at + 9))
    case 4: bytes.removeLast(bytes.count - at)
    default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 20)], at: at)
    }
  }

  @Test func `bent texts leave a store that a restart finds as it was`() throws {
    let fixture = try PushFixture()
    let paths = ["/j", "/j/k/1", "/j/instance/x", "/j/instance@base64/=", "/q"]
    let modes: [GroupWriter.Mode] = [.replace, .merge, .aggregate(.sum), .aggregate(.max)]
    let taken = pushedTexts.map(\.body)
    let corpus = taken + taken + taken + refusedTexts.map(\.body)
    var takenCount = 0
    for seed in Self.rounds {
      var dice = Dice(state: seed)
      let count = Int.random(in: 1...2, using: &dice)
      var bytes = Array((0..<count).map { _ in corpus.randomElement(using: &dice)! }.joined().utf8)
      for _ in 0..<Int.random(in: 0...2, using: &dice) { bend(&bytes, &dice) }
      let path = paths.randomElement(using: &dice)!
      let key = try PushFixture.key(path)
      fixture.batch.begin(key)
      fixture.now += 1
      do {
        try TextParser.parse(bytes.span.bytes, into: fixture.batch, limits: fixture.limits)
        let mode = modes.randomElement(using: &dice)!
        let isDryRun = Bool.random(using: &dice)
        let before = fixture.page
        do {
          try fixture.store.push(
            key, fixture.batch, mode: mode, timeToLive: 0, now: fixture.now, isDryRun: isDryRun)
          takenCount += 1
          if isDryRun { #expect(fixture.page == before, "seed \(seed)") }
        } catch {
          #expect(fixture.page == before, "seed \(seed)")
          fixture.store.fail(key, timeToLive: 0, now: fixture.now)
        }
      } catch {}
      if seed % 100 == 0 {
        let page = Set(fixture.page.split(separator: "\n"))
        let (series, times) = (fixture.store.seriesCount, Set(fixture.times.split(separator: "\n")))
        try fixture.reopen()
        // The order of groups and names may be another.
        #expect(Set(fixture.page.split(separator: "\n")) == page, "seed \(seed)")
        #expect(fixture.store.seriesCount == series, "seed \(seed)")
        #expect(Set(fixture.times.split(separator: "\n")) == times, "seed \(seed)")
        let lines = fixture.page.split(separator: "\n").filter { !$0.hasPrefix("#") }
        let names = lines.map { $0[..<$0.lastIndex(of: " ")!] }
        #expect(Set(names).count == names.count, "a series twice, seed \(seed)")
      }
    }
    #expect(takenCount > Self.rounds.count / 10)
  }

  /// Messages with every field that is read.
  private static let messages: [[UInt8]] = [
    [10, 10, 1, 97, 24, 0, 34, 11, 26, 9, 9, 0, 0, 0, 0, 0, 0, 8, 64],
    [
      30, 10, 1, 104, 24, 4, 34, 23, 58, 21, 8, 5, 17, 0, 0, 0, 0, 0, 0, 30, 64, 26, 9, 8, 2, 17, 0,
      0, 0, 0, 0, 0,
    ],
    [
      22, 10, 1, 98, 18, 2, 104, 105, 24, 1, 34, 13, 10, 6, 10, 1, 107, 18, 1, 118, 48, 5, 40, 0, 0,
    ],
  ]

  @Test func `bent protobuf never traps`() throws {
    let batch = PushBatch()
    let key = try PushFixture.key("/j")
    for seed in Self.rounds {
      var dice = Dice(state: seed)
      var bytes = Self.messages.randomElement(using: &dice)! + Self.messages[0]
      for _ in 0..<Int.random(in: 1...4, using: &dice) { bend(&bytes, &dice) }
      batch.begin(key)
      do {
        try ProtobufParser.parse(bytes.span.bytes, into: batch, limits: PushLimits())
      } catch {}
    }
  }

  @Test func `bent gzip and snappy never trap and never exceed the limit`() {
    for seed in Self.rounds {
      var dice = Dice(state: seed)
      let isGzip = Bool.random(using: &dice)
      let corpus = (isGzip ? gzipped : snapped).map(\.base64)
      var bytes = Array(Data(base64Encoded: corpus.randomElement(using: &dice)!)!)
      for _ in 0..<Int.random(in: 1...4, using: &dice) { bend(&bytes, &dice) }
      var output = ByteBuffer()
      do {
        if isGzip {
          try Inflate.gunzip(bytes.span.bytes, limit: 500, into: &output)
        } else {
          try Snappy.decode(bytes.span.bytes, limit: 500, into: &output)
        }
      } catch {}
      #expect(output.count <= 500, "seed \(seed)")
    }
  }

  @Test func `bent paths and password files never trap`() {
    let corpus = [
      "/j/k@base64/YQ==", "@base64/YS9i/x/1", "/j%20/a/%ff", "ci:pbkdf2-sha256$9$AA==$AA==",
    ]
    for seed in Self.rounds {
      var dice = Dice(state: seed)
      var bytes = Array(corpus.randomElement(using: &dice)!.utf8)
      for _ in 0..<Int.random(in: 1...4, using: &dice) { bend(&bytes, &dice) }
      do { _ = try GroupingKey(path: bytes.span.bytes, limits: PushLimits()) } catch {}
      do { _ = try PushAuth(bytes) } catch {}
    }
  }
}
