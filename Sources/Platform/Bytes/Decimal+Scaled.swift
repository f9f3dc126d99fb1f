extension Decimal {
  /// `mantissa` · 10^`exponent`, correctly rounded; `nil` where 128 bits cannot decide which of two
  /// numbers is nearer, and near the ends of a Double's range: `parse` handles those.
  ///
  /// The power is made by squaring, in 128 bits with the top one set. Each multiplication is off by
  /// less than 8 units of the last place and an error doubles with each of nine squarings, so that
  /// the product is off by less than 2^16 of them.
  public static func scaled(_ mantissa: UInt64, exponent: Int) -> Double? {
    if mantissa == 0 { return 0 }
    guard exponent.magnitude <= 300 else { return nil }
    var base =
      exponent < 0
      ? Wide(high: 0xcccc_cccc_cccc_cccc, low: 0xcccc_cccc_cccc_cccd, exponent: -3)
      : Wide(high: 0xa000_0000_0000_0000, low: 0, exponent: 4)
    let zeros = mantissa.leadingZeroBitCount
    var product = Wide(high: mantissa << UInt64(zeros), low: 0, exponent: 64 - zeros)
    var rest = exponent.magnitude
    while rest > 0 {
      if rest & 1 == 1 { product = product.times(base) }
      rest >>= 1
      if rest > 0 { base = base.times(base) }
    }
    let cut = product.high & 0x7ff
    if cut == 0x400 && product.low < 1 << 16 || cut == 0x3ff && product.low > ~(1 << 16) {
      return nil
    }
    guard product.exponent > -1020, product.exponent < 1023 else { return nil }
    let rounded = product.high >> 11 + (product.high >> 10 & 1)
    return Double(
      sign: .plus, exponent: product.exponent - 53, significand: Double(rounded))
  }

  /// `high` and `low` are the bits after the point, the first of them set; times 2^`exponent`.
  private struct Wide {
    var high: UInt64
    var low: UInt64
    var exponent: Int

    func times(_ other: Wide) -> Wide {
      var (top, middle) = high.multipliedFullWidth(by: other.high)
      Self.add(high.multipliedFullWidth(by: other.low).high, &top, &middle)
      Self.add(low.multipliedFullWidth(by: other.high).high, &top, &middle)
      if top >> 63 == 1 {
        return Wide(high: top, low: middle, exponent: exponent + other.exponent)
      }
      return Wide(
        high: top << 1 | middle >> 63, low: middle << 1, exponent: exponent + other.exponent - 1)
    }

    private static func add(_ part: UInt64, _ top: inout UInt64, _ middle: inout UInt64) {
      let (sum, carries) = middle.addingReportingOverflow(part)
      middle = sum
      if carries { top &+= 1 }
    }
  }
}
