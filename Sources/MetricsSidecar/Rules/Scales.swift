/// The factors for values, each identified by a one-byte number.
struct Scales {
  /// The most different factors of a file.
  static let limit = 200

  /// Number 0 is 1: values are not scaled.
  private var factors = [1.0]

  @inline(__always)
  subscript(number: UInt8) -> Double { factors[Int(number)] }

  mutating func number(of factor: Double) -> UInt8 {
    if factor == 0 { return 0 }
    if let known = factors.firstIndex(of: factor) { return UInt8(known) }
    guard factors.count <= Self.limit else { return 0 }
    factors.append(factor)
    return UInt8(factors.count - 1)
  }
}
