extension ByteBuffer {
  /// Adds a byte as two hexadecimal digits.
  public mutating func appendHex(_ byte: UInt8) {
    for digit in [byte >> 4, byte & 15] { append(digit < 10 ? 48 + digit : 87 + digit) }
  }

  /// Adds a number's eight bytes, the lowest first.
  public mutating func append64(_ number: UInt64) {
    let bytes = number.littleEndian
    unsafe appendUnsafe(capacity: 8) { memory in
      unsafe memory.storeBytes(of: bytes, as: UInt64.self)
      return 8
    }
  }
}

extension UInt8 {
  /// The value of this byte as a hexadecimal digit, 0 to 15; `nil` if it is not one.
  public var hexDigit: UInt8? {
    switch self {
    case 48...57: self - 48
    case 65...70: self - 55
    case 97...102: self - 87
    default: nil
    }
  }
}
