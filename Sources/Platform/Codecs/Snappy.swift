/// Decodes Snappy's framing format, which Go's `snappy.NewReader` and Pushgateway accept.
/// https://github.com/google/snappy/blob/main/framing_format.txt, format_description.txt
///
///     chunk   type, length (3 bytes, little-endian), then that many bytes
///     type    0x00 compressed, 0x01 plain, each after a checksum of 4 bytes;
///             0xff "sNaPpY"; 0x80..0xfe to be skipped; the rest is an error
///
/// What must stay true: never more than `limit` bytes come out, whatever goes in.
public enum Snappy {
  /// The same two errors as for gzip.
  public typealias Failure = Inflate.Failure

  private static let chunkLimit = 65_536

  /// Appends the content of `bytes`: at most `limit` bytes.
  public static func decode(
    _ bytes: RawSpan, limit: Int, into output: inout ByteBuffer
  ) throws(Failure) {
    let limit = output.count + limit
    var at = 0
    var hasHeader = false
    var checksum = CRC32(CRC32.castagnoli)
    while at < bytes.byteCount {
      guard bytes.byteCount - at >= 4 else { throw .malformed }
      let type = bytes.at(at)
      let count = Int(bytes.at(at + 1)) | Int(bytes.at(at + 2)) << 8 | Int(bytes.at(at + 3)) << 16
      at += 4
      guard bytes.byteCount - at >= count else { throw .malformed }
      let chunk = bytes.extracting(at..<(at + count))
      at += count
      switch type {
      case 0xff:
        guard chunk.isEqual(to: "sNaPpY") else { throw .malformed }
        hasHeader = true
      case 0x00 where hasHeader, 0x01 where hasHeader:
        try data(chunk, isPlain: type == 1, limit, &checksum, &output)
      case 0x80...0xfe where hasHeader: break
      default: throw .malformed
      }
    }
  }

  private static func data(
    _ chunk: RawSpan, isPlain: Bool, _ limit: Int, _ checksum: inout CRC32,
    _ output: inout ByteBuffer
  ) throws(Failure) {
    guard chunk.byteCount >= 4 else { throw .malformed }
    var check: UInt32 = 0
    for index in 0..<4 { check |= UInt32(chunk.at(index)) << UInt32(8 * index) }
    let content = chunk.extracting(4..<chunk.byteCount)
    let start = output.count
    if isPlain {
      guard content.byteCount <= chunkLimit else { throw .malformed }
      if start + content.byteCount > limit { throw .tooLarge }
      output.append(content)
    } else {
      try block(content, limit, &output)
    }
    let crc = checksum.value(of: output.bytes.extracting(start..<output.count))
    guard (crc >> 15 | crc << 17) &+ 0xa282_ead8 == check else { throw .malformed }
  }

  /// One block: its length as a varint, then literals and copies.
  private static func block(
    _ bytes: RawSpan, _ limit: Int, _ output: inout ByteBuffer
  ) throws(Failure) {
    var at = 0
    var length = 0
    var shift = 0
    while true {
      guard at < bytes.byteCount, shift < 28 else { throw .malformed }
      let byte = Int(bytes.at(at))
      at += 1
      length |= (byte & 0x7f) << shift
      if byte < 0x80 { break }
      shift += 7
    }
    guard length <= chunkLimit else { throw .malformed }
    let start = output.count
    if start + length > limit { throw .tooLarge }
    while at < bytes.byteCount {
      let tag = Int(bytes.at(at))
      at += 1
      var count: Int
      var distance = 0
      switch tag & 3 {
      case 0:
        count = tag >> 2 + 1
        if count > 60 { count = try number(bytes, &at, count - 60) + 1 }
        guard bytes.byteCount - at >= count else { throw .malformed }
      case 1:
        count = (tag >> 2 & 7) + 4
        distance = (tag >> 5) << 8 | (try number(bytes, &at, 1))
      case 2: (count, distance) = (tag >> 2 + 1, try number(bytes, &at, 2))
      default: (count, distance) = (tag >> 2 + 1, try number(bytes, &at, 4))
      }
      guard count <= length - (output.count - start) else { throw .malformed }
      if tag & 3 == 0 {
        output.append(bytes.extracting(at..<(at + count)))
        at += count
      } else {
        guard distance > 0, distance <= output.count - start else { throw .malformed }
        output.repeatBytes(distance: distance, count: count)
      }
    }
    guard output.count - start == length else { throw .malformed }
  }

  private static func number(
    _ bytes: RawSpan, _ at: inout Int, _ count: Int
  ) throws(Failure) -> Int {
    guard bytes.byteCount - at >= count else { throw .malformed }
    var value: UInt32 = 0
    for index in 0..<count { value |= UInt32(bytes.at(at + index)) << UInt32(8 * index) }
    at += count
    // The caller refuses a length or distance beyond a block; on 32 bits it must not trap.
    return Int(min(value, 1 << 24))
  }
}
