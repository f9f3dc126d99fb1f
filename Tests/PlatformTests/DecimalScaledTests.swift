import SidecarFuzzSupport
import SidecarPlatform
import Testing

@Suite struct DecimalScaledTests {
  private func parsed(_ mantissa: UInt64, _ exponent: Int) -> Double {
    let text = Array("\(mantissa)e\(exponent)".utf8)
    return Decimal.parse(text.span.bytes)
  }

  @Test func `a scaled number is the one that the C library reads, or none`() {
    var dice = Dice(41)
    var found = 0
    for round in 0..<60_000 {
      // Of all lengths, and in the vicinity of powers of two, where roundings turn.
      var mantissa = dice.next() >> UInt64(dice.below(64))
      if round % 3 == 0 { mantissa = 1 << UInt64(dice.below(64)) &+ UInt64(dice.below(5)) &- 2 }
      let exponent = dice.below(640) - 320
      guard let scaled = Decimal.scaled(mantissa, exponent: exponent) else { continue }
      found += 1
      #expect(scaled == parsed(mantissa, exponent), "\(mantissa)e\(exponent)")
    }
    #expect(found > 50_000)
  }

  @Test(arguments: [
    (UInt64(1), 99), (1, -99), (9_007_199_254_740_993, 5), (9_999_999_999_999_999_999, 270),
    (123_456_789, -290), (1, 22), (5, -1), (0, 300), (17_976_931_348_623_157, 285),
  ])
  func `known numbers are exact`(_ mantissa: UInt64, _ exponent: Int) throws {
    let scaled = try #require(Decimal.scaled(mantissa, exponent: exponent))
    #expect(scaled == parsed(mantissa, exponent))
  }

  @Test func `what 128 bits do not decide is left to the C library`() {
    // Half way between two numbers, and beyond what a Double holds.
    #expect(Decimal.scaled(9_007_199_254_740_993, exponent: 0) == nil)
    #expect(Decimal.scaled(1, exponent: 23) == nil)
    for (mantissa, exponent) in [(UInt64(1), 301), (1, -301), (99, 307), (.max, 300), (1, 9999)] {
      #expect(Decimal.scaled(mantissa, exponent: exponent) == nil)
    }
  }
}
