import SidecarEvents
import SidecarPlatform

/// Labels and help texts in the text format: `a="1",b="x\"y"`. No other code escapes, unescapes,
/// sorts or iterates over them.
///
/// What must stay true: a stored label value is UTF-8 with its backslashes, quotes and newlines
/// escaped, so a quote that no backslash precedes ends it; help texts keep their quotes.
enum Labels {
  // MARK: Escaping

  /// Appends a label value or a quoted name, escaped.
  static func appendEscaped(_ text: RawSpan, to buffer: inout ByteBuffer) {
    appendEscaped(text, quotes: true, to: &buffer)
  }

  /// Appends a help text, escaped: its quotes stay as they are.
  static func appendEscapedHelp(_ text: RawSpan, to buffer: inout ByteBuffer) {
    appendEscaped(text, quotes: false, to: &buffer)
  }

  private static func appendEscaped(_ text: RawSpan, quotes: Bool, to buffer: inout ByteBuffer) {
    for index in 0..<text.byteCount {
      let byte = text.at(index)
      switch byte {
      case UInt8(ascii: "\\"): buffer.append("\\\\")
      case UInt8(ascii: "\n"): buffer.append("\\n")
      case UInt8(ascii: "\"") where quotes: buffer.append("\\\"")
      default: buffer.append(byte)
      }
    }
  }

  /// Appends an escaped help text with its quotes escaped too, as in OpenMetrics.
  static func appendQuotedHelp(_ help: RawSpan, to buffer: inout ByteBuffer) {
    for index in 0..<help.byteCount {
      let byte = help.at(index)
      if byte == UInt8(ascii: "\"") { buffer.append(UInt8(ascii: "\\")) }
      buffer.append(byte)
    }
  }

  /// The unescaped bytes of a text.
  static func appendUnescaped(_ text: RawSpan, to buffer: inout ByteBuffer) {
    var start = 0
    while start < text.byteCount {
      let end = ByteScan.find(UInt8(ascii: "\\"), in: text, from: start, to: text.byteCount)
      buffer.append(text.extracting(start..<end))
      guard end + 1 < text.byteCount else { return }
      let byte = text.at(end + 1)
      buffer.append(byte == UInt8(ascii: "n") ? UInt8(ascii: "\n") : byte)
      start = end + 2
    }
  }

  // MARK: Iterating

  /// The label at `at`, which moves to the next one: ranges of its name and of its escaped value.
  @inline(__always)
  static func next(
    _ text: RawSpan, from at: inout Int
  ) -> (name: Range<Int>, value: Range<Int>)? {
    let count = text.byteCount
    guard at < count, text.at(at) != UInt8(ascii: "}") else { return nil }
    let nameStart = at
    while at < count, text.at(at) != UInt8(ascii: "=") { at += 1 }
    let name = nameStart..<at
    at += 2
    let valueStart = min(at, count)
    while at < count, text.at(at) != UInt8(ascii: "\"") {
      at += text.at(at) == UInt8(ascii: "\\") ? 2 : 1
    }
    let value = valueStart..<max(valueStart, min(at, count))
    at += 2
    return (name, value)
  }

  /// The labels of a key without their braces; empty if it has none.
  @inline(__always)
  @_lifetime(copy key)
  static func inside(_ key: RawSpan, _ nameByteCount: Int) -> RawSpan {
    key.byteCount == nameByteCount
      ? key.extracting(0..<0) : key.extracting(nameByteCount + 1..<key.byteCount - 1)
  }

  static func has(_ name: StaticString, _ text: RawSpan) -> Bool {
    var at = 0
    while let label = next(text, from: &at) {
      if text.extracting(label.name).isEqual(to: name) { return true }
    }
    return false
  }

  // MARK: Keys

  /// Appends `{a="1",b="2"}` in the order of the names; nothing if no label has a value. A value
  /// that is not UTF-8 gets U+FFFD for each byte beyond ASCII.
  static func append(
    _ labels: [(name: [UInt8], value: ArraySlice<UInt8>)], to key: inout ByteBuffer
  ) {
    let sorted = labels.filter { !$0.value.isEmpty }.ordered {
      $0.name.lexicographicallyPrecedes($1.name)
    }
    var mark = UInt8(ascii: "{")
    for label in sorted {
      key.append(mark)
      key.append(label.name)
      key.append("=\"")
      let value = unsafe label.value.span.bytes
      if value.isUTF8(0..<value.byteCount) {
        appendEscaped(value, to: &key)
      } else {
        for index in 0..<value.byteCount {
          if value.at(index) < 128 {
            appendEscaped(value.extracting(index..<index + 1), to: &key)
          } else {
            key.append("\u{FFFD}")
          }
        }
      }
      key.append(UInt8(ascii: "\""))
      mark = UInt8(ascii: ",")
    }
    if mark == UInt8(ascii: ",") { key.append(UInt8(ascii: "}")) }
  }

  /// A key without the labels that have no value, which earlier versions and pushes write; `nil` if
  /// all have one.
  static func withoutEmpty(_ key: RawSpan) -> ByteBuffer? {
    guard hasEmpty(key) else { return nil }
    let count = key.byteCount
    let start = ByteScan.find(UInt8(ascii: "{"), in: key, from: 0, to: count)
    var plain = ByteBuffer(capacity: count)
    plain.append(key.extracting(0..<start))
    var mark = UInt8(ascii: "{")
    var at = start + 1
    while let label = next(key, from: &at) {
      guard !label.value.isEmpty, label.value.upperBound < count else { continue }
      plain.append(mark)
      plain.append(key.extracting(label.name.lowerBound...label.value.upperBound))
      mark = UInt8(ascii: ",")
    }
    if mark == UInt8(ascii: ",") { plain.append(UInt8(ascii: "}")) }
    return plain
  }

  /// Quotes in a value are escaped, so `=""` always means a label without a value.
  static func hasEmpty(_ key: RawSpan) -> Bool {
    var index = 0
    while true {
      index = ByteScan.find(UInt8(ascii: "="), in: key, from: index, to: key.byteCount) + 1
      if index + 1 >= key.byteCount { return false }
      if key.at(index) == UInt8(ascii: "\""), key.at(index + 1) == UInt8(ascii: "\"") {
        return true
      }
    }
  }
}

extension RawSpan {
  /// Below 0 if these bytes at `left` sort before those of `other` at `right`, 0 if equal.
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
}
