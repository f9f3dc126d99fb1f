import SidecarPlatform

/// A sample's value as Go's `ParseFloat` accepts it, which Prometheus uses.
enum Number {
  /// `nil` if the text is not a number. Hexadecimal numbers and `_` are not accepted.
  static func parse(_ text: RawSpan) -> Double? {
    if let simple = parseSimple(text) { return simple }
    guard text.byteCount > 0 else { return nil }
    let value = Decimal.parse(text)
    // Digits beyond what a Double can hold; infinity has a name.
    if value.isInfinite, text.at(text.byteCount - 1) <= UInt8(ascii: "9") { return nil }
    return value.isNaN && !isNaN(text) ? nil : value
  }

  /// Up to 15 digits with a point are exact: a whole number by a power of ten that is exact too.
  @inline(__always)
  private static func parseSimple(_ text: RawSpan) -> Double? {
    let count = text.byteCount
    guard count > 0, count <= 17 else { return nil }
    var index = 0
    let isNegative = text.at(0) == UInt8(ascii: "-")
    if isNegative { index = 1 }
    var digits: Int64 = 0
    var digitCount = 0
    var fraction = -1
    while index < count {
      let byte = text.at(index)
      if byte >= 48, byte <= 57 {
        digits = digits * 10 + Int64(byte - 48)
        digitCount += 1
        if fraction >= 0 { fraction += 1 }
      } else if byte == UInt8(ascii: "."), fraction < 0 {
        fraction = 0
      } else {
        return nil
      }
      index += 1
    }
    guard digitCount > 0, digitCount <= 15 else { return nil }
    var value = Double(digits)
    if fraction > 0 { value /= Decimal.powerOfTen(fraction) }
    return isNegative ? -value : value
  }

  private static func isNaN(_ text: RawSpan) -> Bool {
    text.byteCount == 3 && text.at(0) | 0x20 == UInt8(ascii: "n")
      && text.at(1) | 0x20 == UInt8(ascii: "a") && text.at(2) | 0x20 == UInt8(ascii: "n")
  }
}
