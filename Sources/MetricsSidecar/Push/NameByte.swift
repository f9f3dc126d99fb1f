import SidecarPlatform

enum NameByte {
  @inline(__always)
  static func isLabel(_ byte: UInt8, isFirst: Bool) -> Bool {
    let letter = byte | 0x20
    return letter >= 97 && letter <= 122 || byte == UInt8(ascii: "_")
      || !isFirst && byte >= 48 && byte <= 57
  }

  @inline(__always)
  static func isFamily(_ byte: UInt8, isFirst: Bool) -> Bool {
    isLabel(byte, isFirst: isFirst) || byte == UInt8(ascii: ":")
  }
}
