import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Datagrams of kept and bent lines, through the grammar, the dialects and the registry, to the
/// page. `Fuzzer` says how a run is replayed.
@Suite struct ApplierFuzzTests {
  private static let pieces = [
    ":", "|", "#", "@", ",", "=", "[", "]", ".", "+", "-", "1e308", "nan", "\n", "\r",
    "\"", "\\", "{", "}", " ", "\u{e9}", "le:1", "le=1", "quantile:1", "__name__:x", "|c", "|g",
    "_count", "_bucket", "_total", "overflow:true",
  ]

  @Test(arguments: ["statsd-lines", "tags-librato", "tags-influxdb", "tags-signalfx", "spectator"])
  func `whatever comes, a page stays one that Prometheus reads`(_ parser: String) throws {
    var limits = Limits()
    limits.series = 500
    let fixture = try Fixture(limits: limits)
    let processor = LineProcessor(registry: fixture.registry, limits: limits)
    var round = 0
    Fuzzer(parser, pieces: Self.pieces, rounds: 1500).run { bytes, _, _ in
      if parser == "spectator" {
        _ = processor.spectatorLines(bytes.span.bytes, from: 0, until: .max)
      } else {
        processor.lines(bytes.span.bytes, from: 0, .statsd)
      }
      processor.registry.commit()
      round += 1
      if round % 250 == 0 { check(fixture.page) }
    }
    check(fixture.page)
  }

  /// Each line is a comment or `name{label="value",…} number`, no line is there twice, and each
  /// family has one type.
  private func check(_ page: String) {
    var names: Set<Substring> = []
    for line in page.split(separator: "\n") {
      if line.hasPrefix("# ") {
        #expect(!line.hasPrefix("# TYPE") || names.insert(line).inserted, "\(line)")
        continue
      }
      let space = line.lastIndex(of: " ")
      guard let space else { return #expect(Bool(false), "\(line)") }
      let name = line[..<space]
      #expect(names.insert(name).inserted, "twice: \(line)")
      #expect(Double(line[line.index(after: space)...].replacing("Inf", with: "inf")) != nil)
      #expect(isSeries(name), "\(line)")
    }
  }

  /// `name`, or `name{label="value",…}` with `\`, `"` and newline escaped in values.
  private func isSeries(_ text: Substring) -> Bool {
    var rest = Array(text.utf8)[...]
    func isLetter(_ byte: UInt8) -> Bool {
      byte == 0x5f || byte == 0x3a || (0x61...0x7a).contains(byte | 0x20)
    }
    func word() -> Bool {
      guard let first = rest.first, isLetter(first) else { return false }
      rest = rest.drop { isLetter($0) || (0x30...0x39).contains($0) }
      return true
    }
    guard word() else { return false }
    if rest.isEmpty { return true }
    guard rest.popFirst() == UInt8(ascii: "{") else { return false }
    while rest.first != UInt8(ascii: "}") {
      guard word(), rest.popFirst() == UInt8(ascii: "="), rest.popFirst() == UInt8(ascii: "\"")
      else { return false }
      while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
        guard byte == UInt8(ascii: "\\") else { continue }
        guard let next = rest.popFirst(), "\\\"n".utf8.contains(next) else { return false }
      }
      if rest.first == UInt8(ascii: ",") { rest.removeFirst() }
    }
    return rest.count == 1
  }
}
