/// The characters of RFC 9110 and 9112, by number.
enum ASCII {
  static var tab: UInt8 { 9 }
  static var lineFeed: UInt8 { 10 }
  static var carriageReturn: UInt8 { 13 }
  static var space: UInt8 { 32 }
  static var zero: UInt8 { 48 }
  static var colon: UInt8 { 58 }
  static var semicolon: UInt8 { 59 }
  static var slash: UInt8 { 47 }
  static var questionMark: UInt8 { 63 }
  static var comma: UInt8 { 44 }

  @inline(__always)
  static func lowercased(_ byte: UInt8) -> UInt8 {
    byte &- 65 < 26 ? byte | 0x20 : byte
  }

  @inline(__always)
  static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }

  @inline(__always)
  static func isDigit(_ byte: UInt8) -> Bool { byte &- zero < 10 }

  /// `tchar`: what methods and field names are made of (RFC 9110 §5.6.2).
  /// One bit a character: 0 to 63 in the first word, 64 to 127 in the second.
  @inline(__always)
  static func isToken(_ byte: UInt8) -> Bool {
    let words: (UInt64, UInt64) = (0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE)
    if byte >= 128 { return false }
    let word = byte < 64 ? words.0 : words.1
    return word >> UInt64(byte & 63) & 1 == 1
  }

  /// What a field's value may hold: visible characters, blanks and bytes from 0x80 up
  /// (RFC 9110 §5.5). No other control character, CR and NUL among them.
  @inline(__always)
  static func isFieldValue(_ byte: UInt8) -> Bool {
    (byte >= 32 && byte != 127) || byte == tab
  }

  /// What a request target may hold; a fragment is never sent (RFC 9112 §3.2).
  @inline(__always)
  static func isTarget(_ byte: UInt8) -> Bool { byte > 32 && byte < 127 && byte != 35 }

  /// What a host with its port may hold: no blanks, commas, slashes or user names (RFC 3986 §3.2.2).
  static func isHost(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...58, 65...90, 97...122: true
    case 0x21, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2D, 0x2E, 0x3B, 0x3D: true
    case 0x5B, 0x5D, 0x5F, 0x7E: true
    default: false
    }
  }

  /// The value of a hexadecimal digit, or 255.
  @inline(__always)
  static func hexadecimalValue(_ byte: UInt8) -> UInt8 {
    switch byte {
    case 48...57: byte - 48
    case 65...70: byte - 55
    case 97...102: byte - 87
    default: 255
    }
  }
}

extension RawSpan {
  /// The byte at `offset`, bounds checked.
  @inlinable
  @inline(__always)
  func byte(_ offset: Int) -> UInt8 {
    precondition(offset >= 0 && offset < byteCount)
    // Sound: the offset was just checked, and every byte is a valid UInt8.
    return unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
  }
}

extension StaticString {
  /// The byte at `offset`, bounds checked.
  @inline(__always)
  func byte(_ offset: Int) -> UInt8 {
    precondition(offset >= 0 && offset < utf8CodeUnitCount)
    // Sound: the offset was just checked against the text's own length.
    return unsafe utf8Start[offset]
  }
}
