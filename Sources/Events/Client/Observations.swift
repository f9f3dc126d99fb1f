internal import SidecarPlatform

/// Observed values of one series that wait to be sent, in bounded memory: up to 256 individually,
/// then as means of the values between two bounds, with their number. Counts and the sum stay
/// exact, and so do buckets if the bounds are known; without bounds, values within 6 % are merged.
struct Observations {
  private struct Bin {
    var count: UInt64 = 0
    var sum = 0.0
    var least = Double.infinity
    var greatest = -Double.infinity
  }

  /// Values kept individually.
  static let each = 256
  /// Values per line.
  private static let packed = 64

  private let bounds: [Double]?
  private var values: [Double] = []
  private var bins: [UInt16: Bin] = [:]

  init(bounds: [Double]?) { self.bounds = bounds }

  var isEmpty: Bool { values.isEmpty && bins.isEmpty }

  mutating func add(_ value: Double) {
    values.append(value)
    if values.count >= Self.each { fold() }
  }

  /// Makes room in `values`.
  private mutating func fold() {
    for value in values {
      let key = key(value)
      var bin = bins[key] ?? Bin()
      bin.count += 1
      bin.sum += value
      bin.least = min(bin.least, value)
      bin.greatest = max(bin.greatest, value)
      bins[key] = bin
    }
    values.removeAll(keepingCapacity: true)
  }

  /// The bucket; or sign, exponent and the first four bits after the point.
  private func key(_ value: Double) -> UInt16 {
    guard let bounds else { return UInt16(truncatingIfNeeded: value.bitPattern >> 48) }
    var low = 0
    var high = bounds.count
    while low < high {
      let middle = (low + high) / 2
      if bounds[middle] < value { low = middle + 1 } else { high = middle }
    }
    return UInt16(low)
  }

  /// Writes lines, each preceded by its newline, until nothing is left or `buffer` has `end` bytes.
  mutating func drain(
    into buffer: inout ByteBuffer, end: Int, head: [UInt8], type: StaticString, tail: [UInt8]
  ) {
    while !values.isEmpty, buffer.count < end {
      buffer.append(head)
      for value in values.suffix(Self.packed) {
        buffer.append(UInt8(ascii: ":"))
        Self.append(value, to: &buffer)
      }
      values.removeLast(min(Self.packed, values.count))
      buffer.append(type)
      buffer.append(tail)
    }
    while buffer.count < end, let (key, bin) = bins.first {
      bins[key] = nil
      buffer.append(head)
      buffer.append(UInt8(ascii: ":"))
      // Rounding must not move the mean out of its bucket.
      Self.append(min(max(bin.sum / Double(bin.count), bin.least), bin.greatest), to: &buffer)
      buffer.append(type)
      if bin.count > 1 {
        buffer.append("|@")
        Decimal.append(1 / Double(bin.count), to: &buffer)
      }
      buffer.append(tail)
    }
  }

  /// The shortest text that parses as the same number.
  static func append(_ value: Double, to buffer: inout ByteBuffer) {
    if value >= 0, value < 1e15, value == value.rounded() {
      Decimal.append(UInt64(value), to: &buffer)
    } else {
      Decimal.append(value, to: &buffer)
    }
  }
}
