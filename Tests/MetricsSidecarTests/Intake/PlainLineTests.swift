import Foundation
import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import SidecarEvents
@testable import MetricsSidecar

/// The short way for plain lines that are known means the same as the long way, bit for bit.
/// `FUZZ_SEED` and `FUZZ_ROUNDS` replay and lengthen a run.
@Suite struct PlainLineTests {
  private static let names = ["a", "app.requests", "ghijklmn", "http.request.duration", "_e{5,4}"]
  private static let values = [
    "1", "0", "12", "007", "1.5", ".5", "3.", "0.00012345", "123456789012345", "12345678901234.5",
    "1234567890123456", "-1", "+2", "1e3", "", "1:2", "nan", "1..2", "99999999999999999999",
  ]
  private static let types = ["c", "g", "ms", "h", "d", "s", "m", "x", "cc", ""]
  private static let fields = [
    "", "|#t:v", "|#endpoint:/path/1,method:GET", "|#", "|", "|#t:v|@0.5", "|@0.25|#t:v",
    "|#t:v|c:abc", "|#t:v|#u:w", "|#12345678", "|#t:v\r", "\r", "|#\r", "|#t:v,", "|#a|",
  ]
  private static let bends: [UInt8] = Array(":|#@,.\n\r\0=019cgms_".utf8) + [0x80, 0xba, 0xff]

  private static func line(_ dice: inout Dice) -> [UInt8] {
    var bytes = Array(
      (names.randomElement(using: &dice)! + ":" + values.randomElement(using: &dice)! + "|"
        + types.randomElement(using: &dice)! + fields.randomElement(using: &dice)!).utf8)
    guard Int.random(in: 0..<3, using: &dice) == 0 else { return bytes }
    for _ in 0..<Int.random(in: 1...3, using: &dice) where !bytes.isEmpty {
      let at = Int.random(in: 0..<bytes.count, using: &dice)
      switch Int.random(in: 0..<3, using: &dice) {
      case 0: bytes[at] = bends.randomElement(using: &dice)!
      case 1: bytes.remove(at: at)
      default: bytes.insert(bends.randomElement(using: &dice)!, at: at)
      }
    }
    return bytes
  }

  @Test func `known lines and bent ones count the same on both ways`() throws {
    let environment = ProcessInfo.processInfo.environment
    var dice = Dice(environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? 1)
    let rounds = environment["FUZZ_ROUNDS"].flatMap { Int($0) } ?? 4000
    var limits = Limits()
    limits.series = 300
    limits.lineByteCount = 60
    let short = try Side(limits)
    let long = try Side(limits)
    for round in 0..<rounds {
      let lines = (0..<Int.random(in: 1...6, using: &dice)).map { _ in Self.line(&dice) }
      let bytes = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
      short.processor.lines(bytes.span.bytes, from: 0, .statsd)
      // The long way: each line by itself, as it is found.
      for line in bytes.split(separator: UInt8(ascii: "\n")) {
        let line = Array(line)
        long.processor.line(line.span.bytes, .statsd)
      }
      short.fixture.registry.commit()
      long.fixture.registry.commit()
      if round % 100 == 0 || round == rounds - 1 {
        try #require(
          short.fixture.page == long.fixture.page,
          "after \(lines.map { String(decoding: $0, as: UTF8.self) })")
        try #require(short.counts == long.counts)
      }
    }
    #expect(short.processor.counts.events(.statsd, UInt8(ascii: "c")) > 100)
  }

  @Test func `a line is found at every place of its bytes, and read no further`() throws {
    for tail in 0..<20 {
      let short = try Side(Limits())
      let text = "n:1|c|#" + String(repeating: "t", count: tail)
      for before in 0..<10 {
        // Memory that ends with the line, so that a read beyond it is seen by the sanitizer.
        let bytes = Array((String(repeating: "\n", count: before) + text).utf8)
        short.processor.lines(bytes.span.bytes, from: 0, .statsd)
      }
      #expect(short.fixture.value("n_total") == 10, "\(short.fixture.page)")
    }
  }

  @Test func `lines without a colon are not looked through for that of a line far behind them`() {
    for (count, isFound) in [(10, true), (500, true), (520, false), (100_000, false)] {
      let bytes = [UInt8](repeating: UInt8(ascii: "a"), count: count) + Array(":1|c".utf8)
      let line = bytes.withUnsafeBytes { bytes in PlainLine(LineBytes(bytes), from: 0, .process) }
      #expect((line != nil) == isFound, "\(count)")
    }
  }

  @Test func `a name longer than a table's entry can say is no other name`() throws {
    var limits = Limits()
    limits.lineByteCount = 1 << 20
    limits.nameByteCount = 1 << 20
    let side = try Side(limits)
    let names = ["n", String(repeating: "n", count: 65_537), String(repeating: "n", count: 65_535)]
    for _ in 0..<3 {
      for name in names {
        let bytes = Array("\(name):1|c".utf8)
        side.processor.lines(bytes.span.bytes, from: 0, .statsd)
      }
    }
    // The long ones are longer than a record's key, so they are refused; none of them counts as
    // `n`.
    #expect(side.fixture.value("n_total") == 3)
    for name in names[1...] { #expect(side.fixture.value("\(name)_total") == nil) }
  }

  @Test func `lines that fill the table's chunks to the last word are all found again`() throws {
    // Entries of 4 words, which divide a chunk, and of 5, which do not.
    for first in [10_000, 1_000_000] {
      let side = try Side(Limits())
      for round in 0..<2 {
        for number in 0..<9000 {
          let bytes = Array("n:1|g|#t:\(first + number)".utf8)
          side.processor.lines(bytes.span.bytes, from: 0, .statsd)
        }
        #expect(side.processor.counts.events(.statsd, UInt8(ascii: "g")) == (round + 1) * 9000)
      }
      #expect(side.fixture.registry.seriesCount == 9000)
    }
  }

  private struct Side {
    let fixture: Fixture
    let processor: LineProcessor

    init(_ limits: Limits) throws {
      fixture = try Fixture(limits: limits)
      processor = LineProcessor(registry: fixture.registry, limits: limits)
    }

    var counts: [UInt64] {
      processor.counts.accepted + processor.counts.lineErrors + processor.counts.rejections
    }
  }
}
