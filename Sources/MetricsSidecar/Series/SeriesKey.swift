import SidecarPlatform

/// A series' key is the start of its line in the exposition: `jobs_total{queue="mail"}`. Label values
/// are escaped once, when the series is made. Labels stand in the order of their names, whatever the
/// order of tags or of a rule: two lines with the same labels are one series.
enum SeriesKey {
  static func append(
    _ family: [UInt8], _ labels: [(name: [UInt8], value: ArraySlice<UInt8>)],
    to key: inout ByteBuffer
  ) {
    key.append(family)
    guard !labels.isEmpty else { return }
    key.append(UInt8(ascii: "{"))
    let sorted = labels.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    for (index, label) in sorted.enumerated() {
      if index > 0 { key.append(UInt8(ascii: ",")) }
      key.append(label.name)
      key.append("=\"")
      appendEscaped(label.value, to: &key)
      key.append(UInt8(ascii: "\""))
    }
    key.append(UInt8(ascii: "}"))
  }

  /// The text format escapes backslash, quote and newline; the rest stays as it is, if it is UTF-8.
  private static func appendEscaped(_ value: ArraySlice<UInt8>, to key: inout ByteBuffer) {
    let isValid = String(validating: value, as: UTF8.self) != nil
    for byte in value {
      switch byte {
      case UInt8(ascii: "\\"): key.append("\\\\")
      case UInt8(ascii: "\""): key.append("\\\"")
      case UInt8(ascii: "\n"): key.append("\\n")
      case 128...255: if isValid { key.append(byte) } else { key.append("\u{FFFD}") }
      default: key.append(byte)
      }
    }
  }

  static func isOverflow(_ key: RawSpan, nameByteCount: Int) -> Bool {
    let labels: [UInt8] = Array("{overflow=\"true\"}".utf8)
    return unsafe ByteCompare.equal(
      key.extracting(nameByteCount..<key.byteCount), labels.span.bytes)
  }

  static func array(_ bytes: RawSpan) -> [UInt8] {
    unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
  }
}
