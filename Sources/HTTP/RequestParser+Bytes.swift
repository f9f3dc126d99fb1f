import SidecarPlatform

/// Which bytes a request may have where.
extension RequestParser {
  /// `tchar` of RFC 9110 §5.6.2.
  @inline(__always)
  static func isToken(_ byte: UInt8) -> Bool {
    if byte | 0x20 >= 97 && byte | 0x20 <= 122 && byte < 128 { return true }
    if byte >= 48 && byte <= 57 { return true }
    switch byte {
    case 33, 35, 36, 37, 38, 39, 42, 43, 45, 46, 94, 95, 96, 124, 126: return true
    default: return false
    }
  }

  @inline(__always)
  static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }

  /// What a target may hold; a fragment is never sent (RFC 9112 §3.2).
  @inline(__always)
  static func isTarget(_ byte: UInt8) -> Bool {
    byte > 32 && byte < 127 && byte != UInt8(ascii: "#")
  }

  @inline(__always)
  static func isHostByte(_ byte: UInt8) -> Bool {
    byte > 32 && byte < 127 && byte != UInt8(ascii: "/") && byte != UInt8(ascii: "@")
      && byte != UInt8(ascii: ",") && byte != UInt8(ascii: "?") && byte != UInt8(ascii: "#")
  }
}
