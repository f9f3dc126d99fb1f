import CSidecarLinux

/// Numbers to text and back, exactly.
public enum Decimal {
  /// 10 to the `exponent`, exact up to 22.
  @inline(__always)
  public static func powerOfTen(_ exponent: Int) -> Double {
    var result = 1.0
    var base = 10.0
    var rest = exponent
    while rest > 0 {
      if rest & 1 == 1 { result *= base }
      base *= base
      rest >>= 1
    }
    return result
  }

  /// The number that all of `text` is: digits with point and exponent, `Inf`, or NaN for anything
  /// else. Correctly rounded.
  public static func parse(_ text: RawSpan) -> Double {
    var hasDigit = false
    for index in 0..<text.byteCount {
      switch unsafe text.unsafeLoad(fromByteOffset: index, as: UInt8.self) {
      case 48...57: hasDigit = true
      case 43, 45, 46, 69, 101: break
      default: return special(text)
      }
    }
    guard hasDigit, text.byteCount < 400 else { return .nan }
    return unsafe text.withUnsafeBytes { bytes in
      let start = unsafe bytes.baseAddress!.assumingMemoryBound(to: CChar.self)
      return unsafe cl_parse_whole_double(start, bytes.count)
    }
  }

  private static func special(_ text: RawSpan) -> Double {
    var letters: [UInt8] = []
    for index in 0..<min(text.byteCount, 10) {
      unsafe letters.append(text.unsafeLoad(fromByteOffset: index, as: UInt8.self) | 0x20)
    }
    let isNegative = letters.first == UInt8(ascii: "-") | 0x20
    if isNegative || letters.first == UInt8(ascii: "+") | 0x20 { letters.removeFirst() }
    if letters == Array("inf".utf8) || letters == Array("infinity".utf8) {
      return isNegative ? -.infinity : .infinity
    }
    return .nan
  }

  /// Shortest text that reads back as the same number, in the form the official Prometheus clients
  /// write: `0.005`, `1e-07`, `1.5e+16`.
  public static func append(_ value: Double, to buffer: inout ByteBuffer) {
    if value.isNaN {
      buffer.append("NaN")
    } else if value.isInfinite {
      buffer.append(value < 0 ? "-Inf" : "+Inf")
    } else {
      var text = ShortText()
      value.write(to: &text)
      text.append(to: &buffer)
    }
  }

  /// A whole number.
  public static func append(_ value: UInt64, to buffer: inout ByteBuffer) {
    var rest = value
    unsafe buffer.appendUnsafe(capacity: 20) { memory in
      var start = 20
      repeat {
        let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
        start -= 1
        unsafe memory[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
        rest = quotient
      } while rest != 0
      let count = 20 - start
      for index in 0..<count { unsafe memory[index] = memory[start + index] }
      return count
    }
  }
}

/// Receives a number's text without a String on the heap, which a text of more than 15 characters
/// would need.
///
/// What must stay true: it holds any Double's text, which has 24 characters at most.
private struct ShortText: TextOutputStream {
  private var bytes = InlineArray<32, UInt8>(repeating: 0)
  private var count = 0

  mutating func write(_ string: String) {
    for byte in string.utf8 { append(byte) }
  }

  /// The standard library passes a number's digits here; otherwise it would call `write`, with the
  /// same result.
  mutating func _writeASCII(_ buffer: UnsafeBufferPointer<UInt8>) {
    for index in 0..<buffer.count { unsafe append(buffer[index]) }
  }

  func append(to buffer: inout ByteBuffer) {
    for index in 0..<count { buffer.append(bytes[index]) }
  }

  private mutating func append(_ byte: UInt8) {
    bytes[count] = byte
    count += 1
  }
}
