extension RawSpan {
  /// Whether all of it is valid UTF-8: no overlong forms, no surrogates.
  public func isUTF8(_ range: Range<Int>) -> Bool {
    var at = range.lowerBound
    while at < range.upperBound {
      let byte = self.at(at)
      at += 1
      if byte < 0x80 { continue }
      let count: Int
      let least: UInt32
      var scalar: UInt32
      switch byte {
      case 0xc2...0xdf: (count, least, scalar) = (1, 0x80, UInt32(byte & 0x1f))
      case 0xe0...0xef: (count, least, scalar) = (2, 0x800, UInt32(byte & 0x0f))
      case 0xf0...0xf4: (count, least, scalar) = (3, 0x10000, UInt32(byte & 0x07))
      default: return false
      }
      guard at + count <= range.upperBound else { return false }
      for _ in 0..<count {
        let next = self.at(at)
        guard next & 0xc0 == 0x80 else { return false }
        scalar = scalar << 6 | UInt32(next & 0x3f)
        at += 1
      }
      guard scalar >= least, scalar <= 0x10ffff, !(0xd800...0xdfff ~= scalar) else { return false }
    }
    return true
  }
}

extension String {
  /// The text of bytes; anything that is not valid UTF-8 becomes U+FFFD.
  public init(copying span: RawSpan) {
    self = unsafe span.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }
}
