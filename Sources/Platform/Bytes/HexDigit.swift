extension UInt8 {
  /// What this byte stands for as a hexadecimal digit, 0 to 15; `nil` where it is none.
  public var hexDigit: UInt8? {
    switch self {
    case 48...57: self - 48
    case 65...70: self - 55
    case 97...102: self - 87
    default: nil
    }
  }
}
