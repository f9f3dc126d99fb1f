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
