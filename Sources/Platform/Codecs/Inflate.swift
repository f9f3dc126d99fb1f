/// Undoes gzip (RFC 1952) and the deflate within it (RFC 1951), up to a bound.
///
/// What must stay true: never more than `limit` bytes come out, whatever goes in.
public struct Inflate: ~Escapable {
  /// What is wrong with the input: it is malformed, or its output would exceed the bound.
  public enum Failure: Error { case malformed, tooLarge }

  private let bytes: RawSpan
  private var at = 0
  private var bits: UInt32 = 0
  private var bitCount: UInt32 = 0
  private let limit: Int
  private var checksum = CRC32()

  @_lifetime(copy bytes)
  private init(_ bytes: RawSpan, limit: Int) {
    self.bytes = bytes
    self.limit = limit
  }

  /// Appends the content of `bytes`, one gzip member or several: at most `limit` bytes.
  public static func gunzip(
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
    let sum = checksum.value(of: plain)
    guard try word() == sum, try word() == UInt32(truncatingIfNeeded: plain.byteCount)
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
    // Bits are read as needed, so no whole bytes have been read ahead.
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
        DeflateCodes.lengthBase[symbol - 257]
        + Int(try take(UInt32(DeflateCodes.lengthExtra[symbol - 257])))
      let code = try self.symbol(distances)
      guard code < 30 else { throw .malformed }
      let distance =
        DeflateCodes.distanceBase[code]
        + Int(try take(UInt32(DeflateCodes.distanceExtra[code])))
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
      codeLengths[DeflateCodes.order[index]] = UInt8(try take(3))
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

/// A canonical code: how many symbols have each length, and the symbols in the order of their
/// codes.
struct HuffmanTable {
  fileprivate var counts = [UInt16](repeating: 0, count: 16)
  fileprivate var symbols: [UInt16]

  /// `nil` if more codes of a length are claimed than exist.
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

extension ByteBuffer {
  /// Appends `count` bytes that repeat those from `distance` before the end.
  mutating func repeatBytes(distance: Int, count: Int) {
    reserve(count)
    for _ in 0..<count { append(bytes.at(self.count - distance)) }
  }
}
