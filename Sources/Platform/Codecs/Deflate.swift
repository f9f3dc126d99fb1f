/// Compresses by RFC 1951, for speed: it takes the first match it finds, and each block of 32 KiB
/// has Huffman codes of its own.
///
/// The window holds up to 32 KiB of earlier bytes and the block being compressed. A table has the
/// last position of each hash of four bytes; position 0 stands for none.
///
/// What must stay true: `0 < fill <= windowByteCount`; all positions in the table are below `fill`.
@safe
public struct Deflate: ~Copyable {
  private static var blockByteCount: Int { 32_768 }
  private static var windowByteCount: Int { 65_536 }
  private static var hashBits: UInt32 { 14 }
  private static var matchByteCount: Int { 258 }
  private static var endOfBlock: Int { 256 }

  // Sound: owned by this value alone, freed once in `deinit`; indexes stay below the sizes above.
  // Eight more bytes of the window may be read, never used.
  private let window: UnsafeMutableRawPointer
  private let table: UnsafeMutablePointer<UInt16>
  /// The symbols of one block: a literal, or from bit 31 down 1, the length and 16 bits of
  /// distance.
  private let symbols: UnsafeMutablePointer<UInt32>
  private var fill = 1
  private var bits = UInt64(0)
  private var bitCount = 0
  private let codes = DeflateCodes()

  /// Starts a stream, which holds 224 KiB until it is released.
  public init() {
    unsafe window = .allocate(byteCount: Self.windowByteCount + 8, alignment: 16)
    unsafe window.initializeMemory(as: UInt8.self, repeating: 0, count: Self.windowByteCount + 8)
    unsafe table = .allocate(capacity: 1 << Self.hashBits)
    unsafe table.initialize(repeating: 0, count: 1 << Self.hashBits)
    unsafe symbols = .allocate(capacity: Self.blockByteCount)
  }

  deinit {
    unsafe window.deallocate()
    unsafe table.deallocate()
    unsafe symbols.deallocate()
  }

  /// Compresses `bytes` as the continuation of the stream. Writes all but the last few bits.
  public mutating func append(_ bytes: RawSpan, to output: inout ByteBuffer) {
    var start = 0
    while start < bytes.byteCount {
      let count = min(bytes.byteCount - start, Self.blockByteCount)
      block(bytes.extracting(start..<start + count), to: &output)
      start += count
    }
  }

  /// Ends the stream with an empty last block, padded to a byte.
  public mutating func finish(_ output: inout ByteBuffer) {
    put(0b011, 3)
    put(0, 7)
    while bitCount > 0 {
      output.append(UInt8(truncatingIfNeeded: bits))
      bits >>= 8
      bitCount -= 8
    }
    bitCount = 0
  }

  // MARK: Matches

  private mutating func block(_ bytes: RawSpan, to output: inout ByteBuffer) {
    makeRoom(bytes.byteCount)
    unsafe bytes.withUnsafeBytes {
      unsafe (window + fill).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
    var literals = [UInt32](repeating: 0, count: 286)
    var distances = [UInt32](repeating: 0, count: 30)
    let count = unsafe literals.withUnsafeMutableBufferPointer { literals in
      unsafe distances.withUnsafeMutableBufferPointer { distances in
        unsafe findMatches(bytes.byteCount, literals, distances)
      }
    }
    literals[Self.endOfBlock] = 1
    write(count, literals, distances, to: &output)
  }

  /// Moves the last 32 KiB to the front when there is no room for a block after them.
  private mutating func makeRoom(_ byteCount: Int) {
    guard fill + byteCount > Self.windowByteCount else { return }
    let moved = fill - Self.blockByteCount
    // `copyMemory` allows the two to overlap.
    unsafe window.copyMemory(from: window + moved, byteCount: Self.blockByteCount)
    fill = Self.blockByteCount
    let by = UInt16(truncatingIfNeeded: moved)
    for index in 0..<1 << Int(Self.hashBits) {
      let place = unsafe table[index]
      unsafe table[index] = place > by ? place - by : 0
    }
  }

  @inline(__always)
  private func hash(_ word: UInt32) -> Int {
    Int(truncatingIfNeeded: (word &* 0x9e37_79b1) >> (32 - Self.hashBits))
  }

  @inline(__always)
  private func word(_ place: Int) -> UInt32 {
    unsafe window.loadUnaligned(fromByteOffset: place, as: UInt32.self)
  }

  /// How many bytes are equal at both positions, at most `limit`.
  @inline(__always)
  private func commonByteCount(_ first: Int, _ second: Int, _ limit: Int) -> Int {
    var count = 4
    while count + 8 <= limit {
      let difference = unsafe UInt64(
        littleEndian: window.loadUnaligned(fromByteOffset: first + count, as: UInt64.self)
          ^ window.loadUnaligned(fromByteOffset: second + count, as: UInt64.self))
      if difference != 0 { return count + difference.trailingZeroBitCount >> 3 }
      count += 8
    }
    while count < limit,
      unsafe window.load(fromByteOffset: first + count, as: UInt8.self)
        == window.load(fromByteOffset: second + count, as: UInt8.self)
    { count += 1 }
    return count
  }

  /// Turns the block into symbols, counts each, and returns how many there are.
  private mutating func findMatches(
    _ byteCount: Int, _ literals: UnsafeMutableBufferPointer<UInt32>,
    _ distances: UnsafeMutableBufferPointer<UInt32>
  ) -> Int {
    var place = fill
    let end = fill + byteCount
    var count = 0
    while place < end {
      if place + 4 <= end {
        let word = word(place)
        let slot = hash(word)
        let candidate = unsafe Int(table[slot])
        unsafe table[slot] = UInt16(truncatingIfNeeded: place)
        if candidate > 0, place - candidate <= 32_768, self.word(candidate) == word {
          let length = commonByteCount(
            candidate, place, min(Self.matchByteCount, end - place))
          let distance = place - candidate
          unsafe symbols[count] = 1 << 31 | UInt32(length) << 16 | UInt32(distance - 1)
          unsafe literals[257 + codes.length(length)] += 1
          unsafe distances[codes.distance(distance)] += 1
          count += 1
          place += length
          // What follows a match often follows the same bytes again.
          if place + 3 <= end {
            unsafe table[hash(self.word(place - 1))] = UInt16(truncatingIfNeeded: place - 1)
          }
          continue
        }
      }
      let byte = unsafe window.load(fromByteOffset: place, as: UInt8.self)
      unsafe symbols[count] = UInt32(byte)
      unsafe literals[Int(byte)] += 1
      count += 1
      place += 1
    }
    fill = end
    return count
  }

  // MARK: Bits

  @inline(__always)
  private mutating func put(_ value: UInt32, _ count: Int) {
    bits |= UInt64(value) << UInt64(bitCount)
    bitCount += count
  }

  private mutating func write(
    _ count: Int, _ literalCounts: [UInt32], _ distanceCounts: [UInt32],
    to output: inout ByteBuffer
  ) {
    let literals = HuffmanCode(literalCounts, limit: 15)
    let distances = HuffmanCode(distanceCounts, limit: 15)
    writeCodes(literals.lengths, distances.lengths, to: &output)
    // No symbol has more than 48 bits: 15 + 5 for the length, 15 + 13 for the distance.
    unsafe output.appendUnsafe(capacity: count * 6 + 16) { memory in
      let target = memory.baseAddress!
      var written = 0
      for index in 0..<count {
        let symbol = unsafe symbols[index]
        if symbol >> 31 == 0 {
          put(UInt32(literals.codes[Int(symbol)]), Int(literals.lengths[Int(symbol)]))
        } else {
          let length = Int(symbol >> 16 & 0x1ff)
          let code = codes.length(length)
          put(UInt32(literals.codes[257 + code]), Int(literals.lengths[257 + code]))
          put(UInt32(length - DeflateCodes.lengthBase[code]), DeflateCodes.lengthExtra[code])
          unsafe written += drain(target + written)
          let distance = Int(symbol & 0xffff) + 1
          let far = codes.distance(distance)
          put(UInt32(distances.codes[far]), Int(distances.lengths[far]))
          put(UInt32(distance - DeflateCodes.distanceBase[far]), DeflateCodes.distanceExtra[far])
        }
        unsafe written += drain(target + written)
      }
      put(
        UInt32(literals.codes[Self.endOfBlock]), Int(literals.lengths[Self.endOfBlock]))
      unsafe written += drain(target + written)
      return written
    }
  }

  /// Stores the whole bytes among the bits, four at a time.
  @inline(__always)
  private mutating func drain(_ target: UnsafeMutableRawPointer) -> Int {
    guard bitCount >= 32 else { return 0 }
    unsafe target.storeBytes(
      of: UInt32(truncatingIfNeeded: bits).littleEndian, as: UInt32.self)
    bits >>= 32
    bitCount -= 32
    return 4
  }

  private mutating func put(_ value: UInt32, _ count: Int, _ output: inout ByteBuffer) {
    put(value, count)
    while bitCount >= 32 {
      output.append(UInt8(truncatingIfNeeded: bits))
      bits >>= 8
      bitCount -= 8
    }
  }

  /// The head of a block with its own codes (RFC 1951 §3.2.7): their lengths, themselves coded.
  private mutating func writeCodes(
    _ literals: [UInt8], _ distances: [UInt8], to output: inout ByteBuffer
  ) {
    let literalCount = max(257, (literals.lastIndex { $0 > 0 } ?? 0) + 1)
    let distanceCount = max(1, (distances.lastIndex { $0 > 0 } ?? 0) + 1)
    let runs = DeflateCodes.runs(Array(literals[..<literalCount] + distances[..<distanceCount]))
    var counts = [UInt32](repeating: 0, count: 19)
    for run in runs { counts[run.symbol] += 1 }
    let code = HuffmanCode(counts, limit: 7)
    let order = DeflateCodes.order
    var orderCount = 19
    while orderCount > 4, code.lengths[order[orderCount - 1]] == 0 { orderCount -= 1 }
    put(0b100, 3, &output)
    put(UInt32(literalCount - 257), 5, &output)
    put(UInt32(distanceCount - 1), 5, &output)
    put(UInt32(orderCount - 4), 4, &output)
    for index in 0..<orderCount { put(UInt32(code.lengths[order[index]]), 3, &output) }
    for run in runs {
      put(UInt32(code.codes[run.symbol]), Int(code.lengths[run.symbol]), &output)
      put(UInt32(run.extra), run.extraBitCount, &output)
    }
  }
}
