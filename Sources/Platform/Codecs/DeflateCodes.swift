/// The codes of lengths and distances, RFC 1951 §3.2.5.
struct DeflateCodes {
  static let lengthBase = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
  ]
  static let lengthExtra = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
  ]
  static let distanceBase = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
    3073, 4097, 6145, 8193, 12_289, 16_385, 24_577,
  ]
  static let distanceExtra = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
  ]
  /// The order in which the lengths of the code of lengths are written, §3.2.7.
  static let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
  private var lengths = [UInt8](repeating: 0, count: 259)

  init() {
    for code in Self.lengthBase.indices {
      let end = code + 1 < 29 ? Self.lengthBase[code + 1] : 259
      for length in Self.lengthBase[code]..<end { lengths[length] = UInt8(code) }
    }
  }

  @inline(__always)
  func length(_ length: Int) -> Int { Int(lengths[length]) }

  /// Two codes for each power of two: the bit after the highest selects one.
  @inline(__always)
  func distance(_ distance: Int) -> Int {
    let value = UInt32(truncatingIfNeeded: distance - 1)
    if value < 4 { return Int(value) }
    let high = 31 - value.leadingZeroBitCount
    return 2 * high + Int(value >> UInt32(high - 1) & 1)
  }

  /// Lengths of codes as they are written: 16 repeats the last 3–6 times, 17 and 18 are zeros.
  static func runs(_ lengths: [UInt8]) -> [(symbol: Int, extra: Int, extraBitCount: Int)] {
    var runs: [(symbol: Int, extra: Int, extraBitCount: Int)] = []
    var index = 0
    while index < lengths.count {
      let length = lengths[index]
      var count = 1
      while index + count < lengths.count, lengths[index + count] == length { count += 1 }
      if length == 0, count >= 3 {
        count = min(count, 138)
        runs.append(count <= 10 ? (17, count - 3, 3) : (18, count - 11, 7))
      } else if count >= 4 {
        count = min(count, 7)
        runs.append((Int(length), 0, 0))
        runs.append((16, count - 4, 2))
      } else {
        for _ in 0..<count { runs.append((Int(length), 0, 0)) }
      }
      index += count
    }
    return runs
  }
}
