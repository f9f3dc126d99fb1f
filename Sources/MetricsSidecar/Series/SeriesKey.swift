import SidecarEvents
import SidecarPlatform

/// A series' key is the start of its line in the exposition: `jobs_total{queue="mail"}`. Label values
/// are escaped once, when the series is made. Labels stand in the order of their names, whatever the
/// order of tags or of a rule: two lines with the same labels are one series. A label without a value
/// is left out: to Prometheus `{eu="",queue="mail"}` and `{queue="mail"}` are one series.
enum SeriesKey {
  static func append(
    _ family: [UInt8], _ labels: [(name: [UInt8], value: ArraySlice<UInt8>)],
    to key: inout ByteBuffer
  ) {
    key.append(family)
    let sorted = labels.filter { !$0.value.isEmpty }.sorted {
      $0.name.lexicographicallyPrecedes($1.name)
    }
    guard !sorted.isEmpty else { return }
    key.append(UInt8(ascii: "{"))
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

  /// A key without the labels that have no value, as earlier versions and pushes write them; `nil`
  /// where all have one.
  static func withoutEmptyLabels(_ key: RawSpan) -> ByteBuffer? {
    guard hasEmptyLabel(key) else { return nil }
    let count = key.byteCount
    var start = ByteScan.find(UInt8(ascii: "{"), in: key, from: 0, to: count)
    var plain = ByteBuffer(capacity: count)
    plain.append(key.extracting(0..<start))
    var mark = UInt8(ascii: "{")
    start += 1
    while start < count {
      let equals = ByteScan.find(UInt8(ascii: "="), in: key, from: start, to: count)
      var end = equals + 2
      while end < count, key.at(end) != UInt8(ascii: "\"") {
        end += key.at(end) == UInt8(ascii: "\\") ? 2 : 1
      }
      guard end < count else { break }
      if end > equals + 2 {
        plain.append(mark)
        plain.append(key.extracting(start...end))
        mark = UInt8(ascii: ",")
      }
      start = end + 2
    }
    if mark == UInt8(ascii: ",") { plain.append(UInt8(ascii: "}")) }
    return plain
  }

  /// Quotes in a value are escaped, so `=""` is a label without one wherever it stands.
  static func hasEmptyLabel(_ key: RawSpan) -> Bool {
    var index = 0
    while true {
      index = ByteScan.find(UInt8(ascii: "="), in: key, from: index, to: key.byteCount) + 1
      if index + 1 >= key.byteCount { return false }
      if key.at(index) == UInt8(ascii: "\""), key.at(index + 1) == UInt8(ascii: "\"") {
        return true
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
