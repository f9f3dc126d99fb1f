/// Base64 (RFC 4648), read with or without padding.
public enum Base64 {
  /// With `-` and `_`, as in paths; `nil` where it is malformed.
  public static func decodeURL(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    decode(text, 62...63, "-", "_")
  }

  /// With `+` and `/`, as in headers.
  public static func decodeStandard(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    decode(text, 62...63, "+", "/")
  }

  private static func decode(
    _ padded: ArraySlice<UInt8>, _ last: ClosedRange<UInt8>, _ first: Unicode.Scalar,
    _ second: Unicode.Scalar
  ) -> [UInt8]? {
    var text = padded
    while text.last == UInt8(ascii: "=") { text.removeLast() }
    guard text.count % 4 != 1 else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var bits: UInt32 = 0
    var count = 0
    for byte in text {
      let digit: UInt8
      switch byte {
      case 65...90: digit = byte - 65
      case 97...122: digit = byte - 71
      case 48...57: digit = byte + 4
      case UInt8(ascii: first): digit = last.lowerBound
      case UInt8(ascii: second): digit = last.upperBound
      default: return nil
      }
      bits = bits << 6 | UInt32(digit)
      count += 6
      if count >= 8 {
        count -= 8
        result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return result
  }

  /// With `+`, `/` and padding.
  public static func encodeStandard(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let rest = min(3, bytes.count - index)
      var word: UInt32 = 0
      for step in 0..<3 {
        word = word << 8 | (step < rest ? UInt32(bytes[index + step]) : 0)
      }
      for step in 0..<4 {
        result.append(
          step <= rest
            ? alphabet[Int(word >> UInt32(18 - 6 * step)) & 63] : UInt8(ascii: "="))
      }
      index += 3
    }
    return String(decoding: result, as: UTF8.self)
  }
}
