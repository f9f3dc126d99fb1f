import SidecarPlatform

/// Labels as the text format writes them: `a="1",b="x\"y"`.
enum LabelText {
  /// Appends a label value or help text's bytes, escaped.
  static func appendEscaped(_ value: RawSpan, to buffer: inout ByteBuffer) {
    for index in 0..<value.byteCount {
      switch value.at(index) {
      case UInt8(ascii: "\\"): buffer.append("\\\\")
      case UInt8(ascii: "\""): buffer.append("\\\"")
      case UInt8(ascii: "\n"): buffer.append("\\n")
      case let byte: buffer.append(byte)
      }
    }
  }

  /// Help texts keep their quotes.
  static func appendEscapedHelp(_ value: RawSpan, to buffer: inout ByteBuffer) {
    for index in 0..<value.byteCount {
      switch value.at(index) {
      case UInt8(ascii: "\\"): buffer.append("\\\\")
      case UInt8(ascii: "\n"): buffer.append("\\n")
      case let byte: buffer.append(byte)
      }
    }
  }

  /// The bytes that an escaped text stands for.
  static func appendUnescaped(_ text: RawSpan, to buffer: inout ByteBuffer) {
    var index = 0
    while index < text.byteCount {
      var byte = text.at(index)
      index += 1
      if byte == UInt8(ascii: "\\"), index < text.byteCount {
        byte = text.at(index) == UInt8(ascii: "n") ? UInt8(ascii: "\n") : text.at(index)
        index += 1
      }
      buffer.append(byte)
    }
  }

  /// The label at `at`, which moves to the next: ranges of its name and of its escaped value.
  static func next(
    _ text: RawSpan, from at: inout Int
  ) -> (name: Range<Int>, value: Range<Int>)? {
    guard at < text.byteCount else { return nil }
    let nameStart = at
    while at < text.byteCount, text.at(at) != UInt8(ascii: "=") { at += 1 }
    let name = nameStart..<at
    at += 2
    let valueStart = min(at, text.byteCount)
    while at < text.byteCount, text.at(at) != UInt8(ascii: "\"") {
      at += text.at(at) == UInt8(ascii: "\\") ? 2 : 1
    }
    let value = valueStart..<max(valueStart, min(at, text.byteCount))
    at += 2
    return (name, value)
  }

  static func has(_ name: StaticString, _ text: RawSpan) -> Bool {
    var at = 0
    while let label = next(text, from: &at) {
      if text.extracting(label.name).isEqual(to: name) { return true }
    }
    return false
  }

  /// Calls `body` with the ranges of each label's name and of its escaped value.
  static func forEach(_ text: RawSpan, _ body: (Range<Int>, Range<Int>) -> Void) {
    var at = 0
    while let label = next(text, from: &at) { body(label.name, label.value) }
  }
}

extension RawSpan {
  /// Below 0 where these bytes at `left` sort before those of `other` at `right`, 0 where equal.
  @inline(__always)
  func order(_ left: Range<Int>, _ other: RawSpan, _ right: Range<Int>) -> Int {
    let count = min(left.count, right.count)
    for index in 0..<count {
      let a = at(left.lowerBound + index)
      let b = other.at(right.lowerBound + index)
      if a != b { return a < b ? -1 : 1 }
    }
    return left.count - right.count
  }

  /// Whether all of it is UTF-8 as Unicode has it: no overlong forms, no surrogates.
  func isUTF8(_ range: Range<Int>) -> Bool {
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
  init(copying span: RawSpan) {
    self = unsafe span.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }
}
