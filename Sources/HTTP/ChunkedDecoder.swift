import SidecarPlatform

/// The chunked transfer coding, RFC 9112 §7.1, a byte at a time and resumable anywhere. Extensions
/// and trailers are skipped, within a bound.
struct ChunkedDecoder {
  enum Step { case more, done, malformed, tooLarge }

  private enum State {
    case size, extension_, sizeLF, data, dataCR, dataLF, trailer, trailerLF, endLF
  }

  private var state = State.size
  private var remaining = 0
  /// Bytes of data so far.
  private var byteCount = 0
  private var digits = 0
  private var isLast = false
  /// Bytes of extensions and trailers so far.
  private var overhead = 0
  private var lineByteCount = 0

  /// Reads bytes from `index` on, decodes into `body`, and stops at the body's end. Without `keeps`
  /// it skips the data, which nothing needs.
  mutating func decode(
    _ bytes: RawSpan, from index: inout Int, into body: inout ByteBuffer, limit: Int,
    keeps: Bool = true
  ) -> Step {
    while index < bytes.byteCount {
      if state == .data {
        let count = min(remaining, bytes.byteCount - index)
        if keeps { body.append(bytes.extracting(index..<index + count), within: limit) }
        byteCount += count
        index += count
        remaining -= count
        if remaining == 0 { state = .dataCR }
        continue
      }
      let byte = bytes.at(index)
      index += 1
      switch advance(byte) {
      // Reported as soon as the size is known, not when the bytes have arrived.
      case .more where state == .data && byteCount + remaining > limit: return .tooLarge
      case .more: continue
      case let end: return end
      }
    }
    return .more
  }

  private mutating func advance(_ byte: UInt8) -> Step {
    switch state {
    case .size: return size(byte)
    case .extension_:
      overhead += 1
      if overhead > 4096 { return .tooLarge }
      if byte == 13 { state = .sizeLF } else if byte < 32 && byte != 9 { return .malformed }
    case .sizeLF:
      guard byte == 10 else { return .malformed }
      digits = 0
      isLast = remaining == 0
      lineByteCount = 0
      state = isLast ? .trailer : .data
    case .dataCR:
      guard byte == 13 else { return .malformed }
      state = .dataLF
    case .dataLF:
      guard byte == 10 else { return .malformed }
      state = .size
    case .trailer:
      overhead += 1
      if overhead > 4096 { return .tooLarge }
      if byte == 13 {
        state = lineByteCount == 0 ? .endLF : .trailerLF
      } else if byte < 32 && byte != 9 || lineByteCount == 0 && byte <= 32 {
        return .malformed
      } else {
        lineByteCount += 1
      }
    case .trailerLF:
      guard byte == 10 else { return .malformed }
      lineByteCount = 0
      state = .trailer
    case .endLF: return byte == 10 ? .done : .malformed
    case .data: break
    }
    return .more
  }

  private mutating func size(_ byte: UInt8) -> Step {
    let digit: Int
    switch byte {
    case 48...57: digit = Int(byte) - 48
    case 65...70: digit = Int(byte) - 55
    case 97...102: digit = Int(byte) - 87
    case 13 where digits > 0: state = .sizeLF; return .more
    case UInt8(ascii: ";") where digits > 0: state = .extension_; return .more
    default: return .malformed
    }
    digits += 1
    if digits == 1 { remaining = 0 }
    // Leading zeros are fine, but not endless ones.
    if remaining > 0xff_ffff || digits > 64 { return .tooLarge }
    remaining = remaining << 4 | digit
    return .more
  }
}
