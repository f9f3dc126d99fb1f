/// What values are multiplied with, each known by a number of one byte.
struct Scales {
  /// How many different ones a file may have.
  static let limit = 200

  /// Number 0 is 1: values as they are.
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
