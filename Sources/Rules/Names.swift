/// Names that Prometheus allows, and how others are changed into them.
package enum Names {
  /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
  package static func isFamilyName(_ name: String) -> Bool {
    !name.isEmpty && isName(name) { isLetter($0) || $0 == UInt8(ascii: ":") }
  }

  /// `[a-zA-Z_][a-zA-Z0-9_]*`, and not `__…`, which is Prometheus's own.
  package static func isLabelName(_ name: String) -> Bool {
    !name.isEmpty && isName(name, isLetter) && !name.utf8.starts(with: "__".utf8)
  }

  private static func isName(_ name: String, _ isAllowed: (UInt8) -> Bool) -> Bool {
    var isFirst = true
    for byte in name.utf8 {
      if !isAllowed(byte) && (isFirst || !isDigit(byte)) { return false }
      isFirst = false
    }
    return true
  }

  /// Every character that a name may not contain becomes `_`, several dashes in a row a single one;
  /// a digit at the start gets one before it. statsd_exporter does the same.
  package static func sanitised(_ name: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    if let first = name.first, isDigit(first) { result.append(UInt8(ascii: "_")) }
    var last: UInt8 = 0
    for byte in name {
      defer { last = byte }
      // The first byte of a multibyte character stands for all of it; at the start there is none,
      // and the next byte may be a digit.
      if byte & 0xc0 == 0x80 && !result.isEmpty || byte == UInt8(ascii: "-") && last == byte {
        continue
      }
      result.append(isLetter(byte) || isDigit(byte) ? byte : UInt8(ascii: "_"))
    }
    return result.isEmpty ? [UInt8(ascii: "_")] : result
  }

  /// The label of a tag that no rule names. Names that belong to Prometheus or the sidecar become
  /// `exported_…`, as in Prometheus: two labels `le` in one line would invalidate the whole scrape.
  package static func label(_ tag: ArraySlice<UInt8>) -> [UInt8] {
    let name = sanitised(tag)
    let isReserved =
      name.starts(with: "__".utf8) || name.elementsEqual("le".utf8)
      || name.elementsEqual("overflow".utf8)
    return isReserved ? Array("exported_".utf8) + name : name
  }

  /// The family of an event that no rule names: counters end in `_total`, timings in `_seconds`.
  package static func family(of event: ArraySlice<UInt8>, suffix: StaticString) -> [UInt8] {
    var name = sanitised(event)
    let ending = unsafe [UInt8](
      UnsafeBufferPointer(start: suffix.utf8Start, count: suffix.utf8CodeUnitCount))
    if !name.suffix(ending.count).elementsEqual(ending) { name += ending }
    // The official Python parser would be left with no name.
    if name.elementsEqual("_total".utf8) { name.insert(UInt8(ascii: "_"), at: 0) }
    return isReserved(name) ? Array("exported_".utf8) + name : name
  }

  /// Families that the sidecar exposes about itself and about pushed groups.
  package static func isReserved(_ name: [UInt8]) -> Bool {
    name.starts(with: "metrics_sidecar_".utf8) || name.starts(with: "process_".utf8)
      || isPushTime(name)
  }

  package static let pushTime = Array("push_time_seconds".utf8)
  package static let pushFailureTime = Array("push_failure_time_seconds".utf8)

  /// The suffixes of the lines of a family with several values, and those that OpenMetrics
  /// reserves.
  package static let sampleSuffixes = ["_bucket", "_count", "_sum", "_created"]

  /// The two families that describe every pushed group.
  package static func isPushTime(_ name: [UInt8]) -> Bool {
    name == pushTime || name == pushFailureTime
  }

  /// A letter, a digit or `_`.
  package static func isWordByte(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) }

  private static func isLetter(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "_")
      || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z"))
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }
}
