package import SidecarPlatform

/// DogStatsD's stream framing: a 4-byte little-endian length, then that many bytes of lines.
///
///     0c 00 00 00  6a 6f 62 73 3a 31 7c 63 0a …
package enum Frame {
  /// The byte count of the length.
  package static let headByteCount = 4

  /// What begins at the start of a frame.
  package enum Next: Equatable, Sendable {
    /// The frame's payload, as a range of the bytes given.
    case frame(Range<Int>)
    /// More bytes are needed; this many in all, if the length is known.
    case incomplete(wanted: Int)
    /// Longer than allowed: the start of the next frame is out of reach, so the connection ends.
    case tooLong(byteCount: Int)
  }

  /// The first frame in `bytes`, from `start` on.
  @inline(__always)
  package static func next(in bytes: RawSpan, from start: Int, limit: Int) -> Next {
    guard bytes.byteCount - start >= headByteCount else {
      return .incomplete(wanted: headByteCount)
    }
    let length = Int(
      truncatingIfNeeded: UInt32(
        littleEndian: unsafe bytes.unsafeLoadUnaligned(
          fromUncheckedByteOffset: start, as: UInt32.self)))
    guard length >= 0, length <= limit else { return .tooLong(byteCount: length) }
    let end = start + headByteCount + length
    guard bytes.byteCount >= end else { return .incomplete(wanted: headByteCount + length) }
    return .frame(start + headByteCount..<end)
  }

  /// Whether a connection that starts with these four bytes is plain lines: printable text in
  /// UTF-8, possibly cut off; as a length it would be over 150 million.
  package static func isPlainText(_ bytes: RawSpan) -> Bool {
    guard bytes.byteCount >= headByteCount else { return false }
    for index in 0..<headByteCount {
      let byte = unsafe bytes[unchecked: index]
      if byte < 32 && byte != 9 && byte != 10 && byte != 13 || byte == 127 { return false }
      // UTF-8 has no 0xc0, 0xc1 and none from 0xf5 on, and does not start in the middle of a
      // letter.
      if byte >= 0xf5 || byte & 0xfe == 0xc0 || index == 0 && byte & 0xc0 == 0x80 { return false }
    }
    return true
  }

  /// Starts a frame at the end of `buffer`; `end` fills in its length.
  package static func begin(_ buffer: inout ByteBuffer) -> Int {
    let start = buffer.count
    for _ in 0..<headByteCount { buffer.append(0) }
    return start
  }

  /// Fills in the length of the frame that `begin` started at `start`.
  package static func end(_ start: Int, _ buffer: inout ByteBuffer) {
    let length = UInt32(buffer.count - start - headByteCount)
    for index in 0..<headByteCount {
      buffer.replace(
        at: start + index, with: UInt8(truncatingIfNeeded: length >> UInt32(index * 8)))
    }
  }
}
