/// The checksum of gzip (RFC 1952 §8), or another CRC-32, eight bytes a step.
struct CRC32 {
  /// The polynomials, bits reversed: gzip's, and Castagnoli's, which Snappy's frames use.
  static let gzip: UInt32 = 0xedb8_8320
  static let castagnoli: UInt32 = 0x82f6_3b78

  private var tables: [UInt32]
  private var state = UInt32.max

  init(_ polynomial: UInt32 = gzip) {
    tables = [UInt32](repeating: 0, count: 8 * 256)
    for index in 0..<256 {
      var crc = UInt32(index)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ polynomial : crc >> 1 }
      tables[index] = crc
    }
    for index in 256..<8 * 256 {
      let before = tables[index - 256]
      tables[index] = before >> 8 ^ tables[Int(before & 0xff)]
    }
  }

  var value: UInt32 { ~state }

  /// The checksum of these bytes alone, without earlier ones.
  mutating func value(of bytes: RawSpan) -> UInt32 {
    state = .max
    update(bytes)
    return value
  }

  mutating func update(_ bytes: RawSpan) {
    var crc = state
    let count = bytes.byteCount
    var index = 0
    unsafe tables.withUnsafeBufferPointer { tables in
      // Sound: each load ends at or before `count`; each index is below 8 · 256.
      while index + 8 <= count {
        let word = unsafe UInt64(
          littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self))
        let low = UInt32(truncatingIfNeeded: word) ^ crc
        let high = UInt32(truncatingIfNeeded: word >> 32)
        crc = unsafe tables[7 * 256 + Int(low & 0xff)] ^ tables[6 * 256 + Int(low >> 8 & 0xff)]
        crc ^= unsafe tables[5 * 256 + Int(low >> 16 & 0xff)] ^ tables[4 * 256 + Int(low >> 24)]
        crc ^= unsafe tables[3 * 256 + Int(high & 0xff)] ^ tables[2 * 256 + Int(high >> 8 & 0xff)]
        crc ^= unsafe tables[256 + Int(high >> 16 & 0xff)] ^ tables[Int(high >> 24)]
        index += 8
      }
      while index < count {
        let byte = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
        crc = unsafe crc >> 8 ^ tables[Int((crc ^ UInt32(byte)) & 0xff)]
        index += 1
      }
    }
    state = crc
  }
}
