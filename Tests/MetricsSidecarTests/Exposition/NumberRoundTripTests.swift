import Foundation
import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Numbers of every kind through the page's text and back, by the C library's `strtod` and by our
/// own reader. A failure names its seed; `FUZZ_SEED` begins there.
@Suite struct NumberRoundTripTests {
  private static let firstSeed =
    ProcessInfo.processInfo.environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? 1

  /// Any bits, whole numbers, decimal fractions, powers, neighbours of powers, the subnormal.
  private func value(_ dice: inout Dice) -> Double {
    let sign = dice.below(2) == 0 ? 1.0 : -1.0
    switch dice.below(7) {
    case 0: return Double(bitPattern: dice.next())
    case 1: return sign * Double(dice.next() >> UInt64(dice.below(64)))
    case 2: return sign * Double(dice.below(1_000_000_000)) / pow(10, Double(dice.below(12)))
    case 3: return sign * pow(10, Double(dice.below(640) - 320))
    case 4: return sign * pow(2, Double(dice.below(2098) - 1074)).nextUp
    case 5: return sign * pow(2, Double(dice.below(2098) - 1074)).nextDown
    default: return sign * Double(bitPattern: dice.next() >> UInt64(12 + dice.below(52)))
    }
  }

  @Test func `every number comes back to the last bit, in as few digits as that takes`() {
    for seed in Self.firstSeed..<(Self.firstSeed &+ 100_000) {
      var dice = Dice(seed)
      let value = value(&dice)
      var buffer = ByteBuffer()
      NumberFormat.append(value, to: &buffer)
      let text = String(decoding: buffer.array, as: UTF8.self)
      guard value.isFinite else {
        let expected = value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf"
        #expect(text == expected, "FUZZ_SEED=\(seed)")
        continue
      }
      let read = strtod(text, nil)
      let ours = Decimal.parse(buffer.bytes)
      // Bits, so that 0 and -0 are two numbers.
      guard read.bitPattern == value.bitPattern, ours.bitPattern == value.bitPattern else {
        Issue.record("\(value) is written \(text): FUZZ_SEED=\(seed)")
        return
      }
      let digits = Self.digits(text)
      #expect(digits.count <= 17, "\(text): FUZZ_SEED=\(seed)")
      // Swift's own text is the shortest there is; whole numbers are written in full.
      if value.magnitude < 1e-4 || value != value.rounded() {
        #expect(digits == Self.digits("\(value)"), "\(text): FUZZ_SEED=\(seed)")
      }
    }
  }

  /// The digits that count: without sign, point, exponent, and zeros at either end.
  private static func digits(_ text: String) -> Substring {
    let mantissa = text.prefix { $0 != "e" }.filter(\.isNumber)
    let start = mantissa.drop { $0 == "0" }
    return start.prefix(start.count - start.reversed().prefix { $0 == "0" }.count)
  }

  @Test func `texts as clients write them are read as strtod reads them`() {
    for seed in Self.firstSeed..<(Self.firstSeed &+ 50_000) {
      var dice = Dice(seed)
      var text = ["", "-", "+"][dice.below(3)]
      let whole = String(dice.next() >> UInt64(dice.below(64)))
      let fraction = String(dice.next() >> UInt64(dice.below(64)))
      switch dice.below(4) {
      case 0: text += whole
      case 1: text += "\(whole).\(fraction)"
      case 2: text += ".\(fraction)"
      default: text += "0.\(String(repeating: "0", count: dice.below(30)))\(fraction)"
      }
      if dice.below(3) == 0 { text += "e\(dice.below(700) - 350)" }
      let bytes = Array(text.utf8)
      let (ours, theirs) = (Decimal.parse(bytes.span.bytes), strtod(text, nil))
      #expect(ours.bitPattern == theirs.bitPattern, "\(text): FUZZ_SEED=\(seed)")
    }
  }

  @Test(arguments: ExpositionFormat.allCases)
  func `NaN, infinities and both zeros as each format wants them`(_ format: ExpositionFormat) throws
  {
    let fixture = try Fixture()
    let values: [(String, Double, String)] = [
      ("a", .nan, "NaN"), ("b", .infinity, "+Inf"), ("c", -.infinity, "-Inf"), ("d", -0.0, "-0.0"),
      ("e", 0, "0.0"),
    ]
    for (name, value, _) in values { fixture.apply(name, "g", value) }
    let writer = ExpositionWriter(
      Snapshot(fixture.registry, filter: NameFilter(), isOpenMetrics: format.isOpenMetrics),
      shape: ExpositionShape(format: format), filter: NameFilter())
    var page = ByteBuffer()
    while !writer.write(into: &page, byteCount: 1 << 20) {}
    let bytes = page.array
    for (name, value, text) in values {
      // A gauge's field 1 in protobuf: the eight bytes of the double, lowest first.
      let wanted =
        format == .protobuf
        ? [0x12, 9, 0x09] + (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
        : Array("\n\(name) \(text)\n".utf8)
      #expect(bytes.indices.contains { bytes[$0...].starts(with: wanted) }, "\(name) in \(format)")
    }
  }
}
