import Platform

/// Undoes gzip (RFC 1952) and the deflate within it (RFC 1951), up to a bound.
///
/// What must stay true: never more than `limit` bytes come out, whatever goes in.
struct Inflate: ~Escapable {
  enum Failure: Error { case malformed, tooLarge }

  private let bytes: RawSpan
  private var at = 0
  private var bits: UInt32 = 0
  private var bitCount: UInt32 = 0
  private let limit: Int

  @_lifetime(copy bytes)
  private init(_ bytes: RawSpan, limit: Int) {
    self.bytes = bytes
    self.limit = limit
  }

  /// Appends what `bytes`, one gzip member or several, stand for.
  static func gunzip(
    _ bytes: RawSpan, limit: Int, into output: inout ByteBuffer
  ) throws(Failure) {
    var inflate = Inflate(bytes, limit: output.count + limit)
    repeat { try inflate.member(&output) } while inflate.at < bytes.byteCount
  }

  // MARK: gzip

  private mutating func member(_ output: inout ByteBuffer) throws(Failure) {
    guard bytes.byteCount - at >= 18, bytes.at(at) == 0x1f, bytes.at(at + 1) == 0x8b,
      bytes.at(at + 2) == 8
    else { throw .malformed }
    let flags = bytes.at(at + 3)
    at += 10
    if flags & 4 != 0 {
      let count = Int(try byte()) | Int(try byte()) << 8
      guard bytes.byteCount - at >= count else { throw .malformed }
      at += count
    }
    if flags & 8 != 0 { try skipText() }
    if flags & 16 != 0 { try skipText() }
    if flags & 2 != 0 { _ = try byte(); _ = try byte() }
    let start = output.count
    try blocks(&output, from: start)
    let plain = output.bytes.extracting(start..<output.count)
    guard try word() == CRC32.of(plain),
      try word() == UInt32(truncatingIfNeeded: plain.byteCount)
    else { throw .malformed }
  }

  private mutating func byte() throws(Failure) -> UInt8 {
    guard at < bytes.byteCount else { throw .malformed }
    at += 1
    return bytes.at(at - 1)
  }

  private mutating func word() throws(Failure) -> UInt32 {
    var value: UInt32 = 0
    for shift in 0..<4 { value |= UInt32(try byte()) << UInt32(8 * shift) }
    return value
  }

  private mutating func skipText() throws(Failure) { while try byte() != 0 {} }

  // MARK: deflate

  private mutating func take(_ count: UInt32) throws(Failure) -> UInt32 {
    while bitCount < count {
      bits |= UInt32(try byte()) << bitCount
      bitCount += 8
    }
    let value = bits & ((1 << count) - 1)
    bits >>= count
    bitCount -= count
    return value
  }

  private mutating func blocks(_ output: inout ByteBuffer, from start: Int) throws(Failure) {
    bits = 0
    bitCount = 0
    var isLast = false
    while !isLast {
      isLast = try take(1) == 1
      switch try take(2) {
      case 0: try stored(&output)
      case 1: try compressed(.fixedLengths, .fixedDistances, &output, from: start)
      case 2:
        let (lengths, distances) = try tables()
        try compressed(lengths, distances, &output, from: start)
      default: throw .malformed
      }
    }
  }

  private mutating func stored(_ output: inout ByteBuffer) throws(Failure) {
    // Whole bytes that were taken in ahead of their use do not exist: bits are taken as needed.
    bits = 0
    bitCount = 0
    let count = Int(try byte()) | Int(try byte()) << 8
    let check = Int(try byte()) | Int(try byte()) << 8
    guard count ^ check == 0xffff, bytes.byteCount - at >= count else { throw .malformed }
    if output.count + count > limit { throw .tooLarge }
    output.append(bytes.extracting(at..<(at + count)))
    at += count
  }

  private mutating func compressed(
    _ lengths: HuffmanTable, _ distances: HuffmanTable, _ output: inout ByteBuffer,
    from start: Int
  ) throws(Failure) {
    while true {
      let symbol = try self.symbol(lengths)
      if symbol < 256 {
        if output.count >= limit { throw .tooLarge }
        output.append(UInt8(truncatingIfNeeded: symbol))
        continue
      }
      if symbol == 256 { return }
      guard symbol < 286 else { throw .malformed }
      let length =
        Int(Deflate.lengthBase[symbol - 257])
        + Int(try take(UInt32(Deflate.lengthBits[symbol - 257])))
      let code = try self.symbol(distances)
      guard code < 30 else { throw .malformed }
      let distance =
        Int(Deflate.distanceBase[code])
        + Int(try take(UInt32(Deflate.distanceBits[code])))
      guard distance <= output.count - start else { throw .malformed }
      if output.count + length > limit { throw .tooLarge }
      output.repeatBytes(distance: distance, count: length)
    }
  }

  /// One symbol, bit by bit, by the canonical code's first codes (as in Mark Adler's `puff`).
  private mutating func symbol(_ table: HuffmanTable) throws(Failure) -> Int {
    var code = 0
    var first = 0
    var index = 0
    for length in 1...15 {
      code |= Int(try take(1))
      let count = Int(table.counts[length])
      if code - count < first { return Int(table.symbols[index + code - first]) }
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    throw .malformed
  }

  private mutating func tables() throws(Failure) -> (HuffmanTable, HuffmanTable) {
    let lengthCount = Int(try take(5)) + 257
    let distanceCount = Int(try take(5)) + 1
    let codeCount = Int(try take(4)) + 4
    guard lengthCount <= 286, distanceCount <= 30 else { throw .malformed }
    var codeLengths = [UInt8](repeating: 0, count: 19)
    for index in 0..<codeCount {
      codeLengths[Int(Deflate.codeOrder[index])] = UInt8(try take(3))
    }
    guard let codes = HuffmanTable(codeLengths[...]) else { throw .malformed }
    var lengths: [UInt8] = []
    while lengths.count < lengthCount + distanceCount {
      let symbol = try self.symbol(codes)
      var value: UInt8 = 0
      var count = 1
      switch symbol {
      case 0..<16: value = UInt8(symbol)
      case 16:
        guard let last = lengths.last else { throw .malformed }
        value = last
        count = 3 + Int(try take(2))
      case 17: count = 3 + Int(try take(3))
      default: count = 11 + Int(try take(7))
      }
      for _ in 0..<count { lengths.append(value) }
    }
    guard lengths.count == lengthCount + distanceCount, lengths[256] != 0,
      let literals = HuffmanTable(lengths[..<lengthCount]),
      let distances = HuffmanTable(lengths[lengthCount...])
    else { throw .malformed }
    return (literals, distances)
  }
}

/// A canonical code: how many symbols have each length, and the symbols in the order of their codes.
struct HuffmanTable {
  fileprivate var counts = [UInt16](repeating: 0, count: 16)
  fileprivate var symbols: [UInt16]

  /// `nil` where more codes of a length are claimed than there are.
  init?(_ lengths: ArraySlice<UInt8>) {
    symbols = [UInt16](repeating: 0, count: lengths.count)
    for length in lengths { counts[Int(length)] += 1 }
    var left = 1
    for length in 1...15 {
      left = left << 1 - Int(counts[length])
      if left < 0 { return nil }
    }
    var offsets = [Int](repeating: 0, count: 16)
    for length in 1..<15 { offsets[length + 1] = offsets[length] + Int(counts[length]) }
    for (symbol, length) in lengths.enumerated() where length > 0 {
      symbols[offsets[Int(length)]] = UInt16(symbol)
      offsets[Int(length)] += 1
    }
    counts[0] = 0
  }

  /// RFC 1951 §3.2.6.
  static var fixedLengths: HuffmanTable {
    var lengths = [UInt8](repeating: 8, count: 288)
    for symbol in 144..<256 { lengths[symbol] = 9 }
    for symbol in 256..<280 { lengths[symbol] = 7 }
    return HuffmanTable(lengths[...])!
  }

  static var fixedDistances: HuffmanTable {
    HuffmanTable([UInt8](repeating: 5, count: 30)[...])!
  }
}

/// The tables of RFC 1951 §3.2.5 and §3.2.7.
private enum Deflate {
  static let lengthBase: [UInt16] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
  ]
  static let lengthBits: [UInt8] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
  ]
  static let distanceBase: [UInt16] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
    3073, 4097, 6145, 8193, 12289, 16385, 24577,
  ]
  static let distanceBits: [UInt8] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
  ]
  static let codeOrder: [UInt8] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
  ]
}

/// The checksum of gzip (RFC 1952 §8).
enum CRC32 {
  private static let table: [UInt32] = (0..<256).map { index in
    var value = UInt32(index)
    for _ in 0..<8 { value = value & 1 == 1 ? 0xedb8_8320 ^ value >> 1 : value >> 1 }
    return value
  }

  static func of(_ bytes: RawSpan) -> UInt32 {
    var value: UInt32 = 0xffff_ffff
    let table = self.table
    for index in 0..<bytes.byteCount {
      value = table[Int((value ^ UInt32(bytes.at(index))) & 0xff)] ^ value >> 8
    }
    return ~value
  }
}

extension ByteBuffer {
  /// Appends `count` bytes that repeat those from `distance` before the end.
  mutating func repeatBytes(distance: Int, count: Int) {
    reserve(count)
    for _ in 0..<count { append(bytes.at(self.count - distance)) }
  }
}
