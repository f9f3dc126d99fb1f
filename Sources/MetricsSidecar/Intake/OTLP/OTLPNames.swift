import SidecarPlatform
import SidecarRules

/// The names of metrics and labels: the same as Prometheus' own OTLP endpoint uses, so that
/// dashboards and alerts made for that find the same names.
/// https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
///
///     http.server.request.duration, s, histogram     http_server_request_duration_seconds
///     requests, {request}, monotonic sum             requests_total
///     cpu.utilization, 1, gauge                      cpu_utilization_ratio
///     network, By/s, gauge                           network_bytes_per_second
enum OTLPNames {
  /// A metric's name with its unit and type; empty if no letter or digit is left.
  static func family(
    _ name: [UInt8], unit: [UInt8], isCounter: Bool, isGauge: Bool
  ) -> [UInt8] {
    var words = words(of: name[...])
    let parts = unit.split(
      separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
    let main = parts.first.map { clean(word(for: trimmed($0), units)) } ?? []
    var per = parts.count > 1 ? clean(word(for: trimmed(parts[1]), perUnits)) : []
    if !per.isEmpty { per = Array("per_".utf8) + per }
    if !main.isEmpty, !words.contains(main) { words.append(main) }
    if !per.isEmpty, !words.contains(per) { words.append(per) }
    if isCounter { moveToEnd("total", &words) }
    if isGauge, unit == [UInt8(ascii: "1")] { moveToEnd("ratio", &words) }
    var result: [UInt8] = []
    for word in words {
      if !result.isEmpty { result.append(UInt8(ascii: "_")) }
      result += word
    }
    if let first = result.first, first &- 48 <= 9 { result.insert(UInt8(ascii: "_"), at: 0) }
    return result
  }

  /// An attribute's label; empty if no letter or digit is left.
  static func label(_ key: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    for byte in key {
      let isWord = Names.isWordByte(byte)
      if !isWord || byte == UInt8(ascii: "_"), result.last == UInt8(ascii: "_") { continue }
      result.append(isWord ? byte : UInt8(ascii: "_"))
    }
    guard let first = result.first, result.count > 1 || first != UInt8(ascii: "_") else {
      return []
    }
    if first &- 48 <= 9 { return Array("key_".utf8) + result }
    return first == UInt8(ascii: "_") ? Array("key".utf8) + result : result
  }

  // MARK: Words

  /// A run of letters, digits and colons.
  private static func words(of text: ArraySlice<UInt8>) -> [[UInt8]] {
    var words: [[UInt8]] = []
    var word: [UInt8] = []
    for byte in text {
      if byte != UInt8(ascii: "_"), Names.isWordByte(byte) || byte == UInt8(ascii: ":") {
        word.append(byte)
      } else if !word.isEmpty {
        words.append(word)
        word = []
      }
    }
    if !word.isEmpty { words.append(word) }
    return words
  }

  private static func moveToEnd(_ text: StaticString, _ words: inout [[UInt8]]) {
    let word = text.bytes
    words.removeAll { $0 == word }
    words.append(word)
  }

  // MARK: Units

  private static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var text = text
    while let first = text.first, first <= 32 { text.removeFirst() }
    while let last = text.last, last <= 32 { text.removeLast() }
    return text
  }

  /// A unit's word, or the unit itself if there is none; nothing for a unit in braces.
  private static func word(for unit: ArraySlice<UInt8>, _ table: StaticString) -> [UInt8] {
    if unit.contains(UInt8(ascii: "{")) || unit.contains(UInt8(ascii: "}")) { return [] }
    for entry in table.bytes.split(separator: 32) {
      if let mark = entry.firstIndex(of: UInt8(ascii: "=")), entry[..<mark] == unit {
        return Array(entry[(mark + 1)...])
      }
    }
    return Array(unit)
  }

  /// The bytes allowed in a name; runs of others become a single `_`, except at the ends.
  private static func clean(_ unit: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    for word in words(of: unit[...]) {
      if !result.isEmpty { result.append(UInt8(ascii: "_")) }
      result += word
    }
    return result
  }

  private static let units: StaticString = """
    d=days h=hours min=minutes s=seconds ms=milliseconds us=microseconds ns=nanoseconds By=bytes \
    KiBy=kibibytes MiBy=mebibytes GiBy=gibibytes TiBy=tibibytes KBy=kilobytes kBy=kilobytes \
    MBy=megabytes GBy=gigabytes TBy=terabytes m=meters V=volts A=amperes J=joules W=watts g=grams \
    Cel=celsius Hz=hertz 1= %=percent
    """

  private static let perUnits: StaticString =
    "s=second m=minute h=hour d=day w=week mo=month y=year"
}
