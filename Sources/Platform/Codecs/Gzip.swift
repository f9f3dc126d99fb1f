/// Deflate with the header and trailer of RFC 1952, as in `Content-Encoding: gzip`.
public struct Gzip: ~Copyable {
  private var deflate = Deflate()
  private var checksum = CRC32()
  private var byteCount = UInt32(0)
  private var hasBegun = false

  /// Starts one member (RFC 1952 §2.3).
  public init() {}

  /// Compresses `bytes` as the continuation of the member.
  public mutating func append(_ bytes: RawSpan, to output: inout ByteBuffer) {
    begin(&output)
    checksum.update(bytes)
    byteCount &+= UInt32(truncatingIfNeeded: bytes.byteCount)
    deflate.append(bytes, to: &output)
  }

  /// Ends the member with its checksum and length. Nothing follows.
  public mutating func finish(_ output: inout ByteBuffer) {
    begin(&output)
    deflate.finish(&output)
    for word in [checksum.value, byteCount] {
      for shift: UInt32 in [0, 8, 16, 24] {
        output.append(UInt8(truncatingIfNeeded: word >> shift))
      }
    }
  }

  /// Magic, deflate, no flags, no time, fastest, Unix.
  private mutating func begin(_ output: inout ByteBuffer) {
    guard !hasBegun else { return }
    hasBegun = true
    for byte: UInt8 in [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3] { output.append(byte) }
  }
}
