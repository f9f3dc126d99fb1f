import SidecarPlatform

/// Numbers as the official Python client writes them: `4.0`, `0.005`, `1e+16`, `+Inf`, `NaN`.
enum NumberFormat {
  @_optimize(speed)
  static func append(_ value: Double, to buffer: inout ByteBuffer) {
    if let whole = Int64(exactly: value), whole.magnitude < 1_000_000_000_000_000 {
      if whole == 0, value.sign == .minus { buffer.append("-") }
      append(whole, to: &buffer)
      buffer.append(".0")
    } else {
      Decimal.append(value, to: &buffer)
    }
  }

  /// A whole number by hand: the most common value by far.
  @_optimize(speed)
  static func append(_ value: Int64, to buffer: inout ByteBuffer) {
    if value < 0 { buffer.append(UInt8(ascii: "-")) }
    Decimal.append(value.magnitude, to: &buffer)
  }
}
