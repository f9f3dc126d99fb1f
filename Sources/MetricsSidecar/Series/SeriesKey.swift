import SidecarPlatform

/// A series' key is the start of its line in the exposition: `jobs_total{queue="mail"}`. Label
/// values are escaped once, when the series is created. Labels are sorted by name, whatever the
/// order of tags or of a rule: two lines with the same labels are one series. A label without a
/// value is dropped: to Prometheus `{eu="",queue="mail"}` and `{queue="mail"}` are one series.
enum SeriesKey {
  static func append(
    _ family: [UInt8], _ labels: [(name: [UInt8], value: ArraySlice<UInt8>)],
    to key: inout ByteBuffer
  ) {
    key.append(family)
    Labels.append(labels, to: &key)
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
