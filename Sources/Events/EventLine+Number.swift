internal import SidecarPlatform

/// The numbers of a line.
extension EventLine {
  /// The number that `range` spells, or NaN. A whole number up to 2^53 and a power of ten up to 22
  /// are exact, so one division rounds correctly; the rest takes the slow path.
  @inline(__always)
  static func number(_ line: RawSpan, _ range: Range<Int>) -> Double {
    var index = range.lowerBound
    let end = range.upperBound
    var isNegative = false
    if index < end, line.at(index) == UInt8(ascii: "-") || line.at(index) == UInt8(ascii: "+") {
      isNegative = line.at(index) == UInt8(ascii: "-")
      index += 1
    }
    var mantissa: UInt64 = 0
    var digits = 0
    var fraction = 0
    var hasPoint = false
    while index < end {
      let byte = unsafe line[unchecked: index]
      if byte >= 48, byte <= 57 {
        mantissa = mantissa &* 10 &+ UInt64(byte - 48)
        digits += 1
        if hasPoint { fraction += 1 }
      } else if byte == UInt8(ascii: "."), !hasPoint {
        hasPoint = true
      } else {
        return slowNumber(line, range, from: index, mantissa, digits, -fraction, isNegative)
      }
      index += 1
    }
    if digits == 0 { return .nan }
    if digits > 19 || mantissa > 1 << 53 || fraction > 22 {
      return slowNumber(line, range, from: end, mantissa, digits, -fraction, isNegative)
    }
    let magnitude =
      fraction == 0 ? Double(mantissa) : Double(mantissa) / Decimal.powerOfTen(fraction)
    return isNegative ? -magnitude : magnitude
  }

  /// Digits have been read up to `index`; an exponent may follow. `Decimal.parse` takes some 3 us
  /// for `1e99`, of which a frame may have 200,000.
  @inline(never)
  static func slowNumber(
    _ line: RawSpan, _ range: Range<Int>, from index: Int, _ mantissa: UInt64, _ digits: Int,
    _ exponent: Int, _ isNegative: Bool
  ) -> Double {
    if digits > 0, digits <= 19, let more = self.exponent(line, index..<range.upperBound),
      let magnitude = Decimal.scaled(mantissa, exponent: exponent + more)
    {
      return isNegative ? -magnitude : magnitude
    }
    return Decimal.parse(line.extracting(range))
  }

  /// The exponent of `e-99`, 0 for no text; `nil` for anything else.
  static func exponent(_ line: RawSpan, _ range: Range<Int>) -> Int? {
    var index = range.lowerBound
    if index == range.upperBound { return 0 }
    guard line.at(index) | 0x20 == UInt8(ascii: "e") else { return nil }
    index += 1
    var isNegative = false
    if index < range.upperBound,
      line.at(index) == UInt8(ascii: "-") || line.at(index) == UInt8(ascii: "+")
    {
      isNegative = line.at(index) == UInt8(ascii: "-")
      index += 1
    }
    let count = range.upperBound - index
    guard count > 0, count <= 3 else { return nil }
    var value = 0
    while index < range.upperBound {
      let digit = line.at(index) &- 48
      guard digit < 10 else { return nil }
      value = value * 10 + Int(digit)
      index += 1
    }
    return isNegative ? -value : value
  }
}
