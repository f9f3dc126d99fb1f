/// Names as Prometheus allows them, and what becomes of those that are not.
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

  /// Every character that a name may not have becomes `_`, several dashes one; a digit at the start
  /// gets one before it. So statsd_exporter does it.
  package static func sanitised(_ name: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    if let first = name.first, isDigit(first) { result.append(UInt8(ascii: "_")) }
    var last: UInt8 = 0
    for byte in name {
      defer { last = byte }
      // Of a character of several bytes, the first stands for all; at the start is none, and what
      // follows may be a digit.
      if byte & 0xc0 == 0x80 && !result.isEmpty || byte == UInt8(ascii: "-") && last == byte {
        continue
      }
      result.append(isLetter(byte) || isDigit(byte) ? byte : UInt8(ascii: "_"))
    }
    return result.isEmpty ? [UInt8(ascii: "_")] : result
  }

  /// The label of a tag that no rule names. What is Prometheus's or the sidecar's own becomes
  /// `exported_…`, as Prometheus does it: two labels `le` in one line would spoil the whole scrape.
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
    // The official Python parser would have no name left.
    if name.elementsEqual("_total".utf8) { name.insert(UInt8(ascii: "_"), at: 0) }
    return isReserved(name) ? Array("exported_".utf8) + name : name
  }

  /// Families that the sidecar tells about itself and about pushed groups.
  package static func isReserved(_ name: [UInt8]) -> Bool {
    name.starts(with: "metrics_sidecar_".utf8) || name.starts(with: "process_".utf8)
      || isPushTime(name)
  }

  package static let pushTime = Array("push_time_seconds".utf8)
  package static let pushFailureTime = Array("push_failure_time_seconds".utf8)

  /// What the lines of a family with several values are called behind its name, and what OpenMetrics
  /// reserves there.
  package static let sampleSuffixes = ["_bucket", "_count", "_sum", "_created"]

  /// The two families that every pushed group has of itself.
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
