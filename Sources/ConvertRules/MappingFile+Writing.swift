import SidecarPlatform
import SidecarRules

/// Writes a mapping as a family of our rules.
extension MappingFile {
  func write(_ mapping: Mapping) {
    if !isFirst { output.append(",\n") }
    isFirst = false
    output.append("    {")
    if mapping.isDrop {
      output.append("\"action\": \"drop\"")
    } else if let family = families[mapping.name] {
      output.append("\"name\": ")
      quote(mapping.name)
      if family.isWritten {
        writeFurther(mapping, family)
      } else {
        families[mapping.name]?.isWritten = true
        writeFamily(family)
      }
      writeLabels(mapping)
    }
    output.append(",\n      \"events\": [{\"")
    output.append(mapping.isRegex ? "regex" : "event")
    output.append("\": ")
    quote(mapping.match)
    if mapping.events != .any {
      output.append(", \"types\": \"")
      output.append(mapping.events.name)
      output.append("\"")
    }
    if let scale = mapping.scale {
      let start = output.count
      output.append(", \"scale\": ")
      if !number(scale, -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude, not: 0) {
        output.truncate(to: start)
      }
    }
    output.append("}]}")
  }

  private func writeFamily(_ family: FamilyOfMappings) {
    output.append(", \"type\": \"")
    let timing = family.timed?.timing
    let isHistogram = timing?.isHistogram == true
    if family.events == .any { output.append("event\", \"timings\": \"") }
    if family.events == .any || family.events == .timing {
      output.append(isHistogram ? "histogram" : "summary")
    } else {
      output.append(family.events.name)
    }
    output.append("\"")
    if !family.first.help.isEmpty {
      output.append(", \"help\": ")
      quote(family.first.help)
    }
    // Counters and gauges have neither buckets nor quantiles.
    if let timing { if isHistogram { writeHistogram(timing) } else { writeSummary(timing) } }
    if let ttl = family.first.ttl ?? defaultTTL { time(", \"ttl\": \"", ttl, atMost: 1e9) }
  }

  /// The time to live of what a further mapping makes.
  func writeTTL(_ ttl: JSON?) {
    if let ttl, seconds(ttl) > 0 {
      time(", \"ttl\": \"", ttl, atMost: 1e9)
    } else {
      output.append(", \"ttl\": \"0\"")
    }
  }

  func writeHistogram(_ timing: Timing) {
    if let factor = timing.factor {
      output.append(", \"native\": true")
      member(", \"bucket_factor\": ", factor, 1.0027...65_536)
      if let most = timing.maxBuckets { member(", \"max_buckets\": ", most, 16...1000) }
    }
    let start = output.count
    output.append(", \"buckets\": ")
    if let buckets = timing.buckets, buckets.list?.isEmpty != true {
      guard let items = buckets.list else {
        note(buckets, "expected a list of numbers: the defaults stand here instead")
        return output.truncate(to: start)
      }
      if list(items, -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude, 200) {
        return
      }
      output.truncate(to: start)
      return
    }
    output.append("[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]")
  }

  func writeSummary(_ timing: Timing) {
    if let quantiles = timing.quantiles, case .array(let items) = quantiles.value, !items.isEmpty {
      var numbers: [JSON] = []
      for item in items {
        if case .object(let members) = item.value {
          for (name, value) in members where name == "quantile" { numbers.append(value) }
        } else {
          numbers.append(item)
        }
      }
      // Ours are in ascending order.
      var sorted: [JSON] = []
      for number in numbers {
        var at = sorted.count
        while at > 0, sorted[at - 1].decimal > number.decimal { at -= 1 }
        sorted.insert(number, at: at)
      }
      let start = output.count
      output.append(", \"quantiles\": ")
      if !list(sorted, 0...1, 32) { output.truncate(to: start) }
    }
    if let age = timing.maxAge { time(", \"window\": \"", age, atMost: Self.longestWindow) }
  }

  /// The longest window of a rule, 576h, in seconds.
  private static var longestWindow: Double { 2_073_600 }

  private func time(_ name: StaticString, _ json: JSON, atMost most: Double) {
    guard let seconds = duration(json), seconds > 0 else { return }
    if seconds > most { note(json, "a window has 576h at most: so has this one") }
    output.append(name)
    Decimal.append(UInt64(min(max(1, seconds), most)), to: &output)
    output.append("s\"")
  }

  private func writeLabels(_ mapping: Mapping) {
    if !mapping.labels.isEmpty {
      output.append(", \"constants\": {")
      for (index, label) in mapping.labels.enumerated() {
        if index > 0 { output.append(", ") }
        quote(label.name)
        output.append(": ")
        quote(label.value.word ?? "")
      }
      output.append("}")
    }
    if mapping.honorsLabels { output.append(", \"honor_labels\": true") }
    output.append(", \"other_tags\": \"keep\"")
  }

  /// Ascending numbers; `false` if one is not a number.
  private func list(_ items: [JSON], _ range: ClosedRange<Double>, _ most: Int) -> Bool {
    guard let first = items.first else { return false }
    if items.count > most {
      note(first, "too many numbers")
      return false
    }
    output.append("[")
    for (index, item) in items.enumerated() {
      if index > 0 { output.append(", ") }
      if index > 0, item.decimal <= items[index - 1].decimal {
        note(item, "these numbers have to rise: the defaults stand here instead")
        return false
      }
      if !number(item, range) { return false }
    }
    output.append("]")
    return true
  }

  private func member(_ name: StaticString, _ json: JSON, _ range: ClosedRange<Double>) {
    let start = output.count
    output.append(name)
    if !number(json, range) { output.truncate(to: start) }
  }

  /// A number in JSON. Reports anything else and returns `false`.
  private func number(
    _ json: JSON, _ range: ClosedRange<Double>, not excluded: Double = .nan
  ) -> Bool {
    let value = json.decimal
    guard range.contains(value), value != excluded else {
      note(json, "expected a number that may stand here: the default does instead")
      return false
    }
    Self.append(value, to: &output)
    return true
  }

  /// Whole numbers without a point.
  static func append(_ value: Double, to text: inout ByteBuffer) {
    guard value == value.rounded(), value.magnitude < 1e15 else {
      return Decimal.append(value, to: &text)
    }
    if value < 0 { text.append("-") }
    Decimal.append(UInt64(value.magnitude), to: &text)
  }

  /// The time in seconds; -1 for none.
  func seconds(_ json: JSON?) -> Double { json.flatMap { Self.duration($0) } ?? -1 }

  /// Go's durations, `1h30m` or `500ms`, in seconds; reports anything else.
  private func duration(_ json: JSON) -> Double? {
    let seconds = Self.duration(json)
    if seconds == nil { note(json, "expected a time such as 10m") }
    return seconds
  }

  private static func duration(_ json: JSON) -> Double? {
    let bytes = Array((json.word ?? "").utf8)
    var total = 0.0
    var index = 0
    while index < bytes.count {
      let start = index
      while index < bytes.count, bytes[index] &- 48 < 10 || bytes[index] == UInt8(ascii: ".") {
        index += 1
      }
      let value = decimal(bytes[start..<index])
      let unit = index
      while index < bytes.count, bytes[index] &- 97 < 26 { index += 1 }
      let isMilli = index - unit == 2 && bytes[unit + 1] == UInt8(ascii: "s")
      var factor = 0.0
      if index > unit {
        switch bytes[unit] {
        case UInt8(ascii: "h"): factor = 3600
        case UInt8(ascii: "m"): factor = isMilli ? 0.001 : 60
        case UInt8(ascii: "s"): factor = 1
        case UInt8(ascii: "u"), UInt8(ascii: "n"): factor = 0.000_001
        default: break
        }
      } else if bytes.count == 1, bytes[0] == UInt8(ascii: "0") {
        return 0
      }
      guard value.isFinite, factor > 0, start < unit else { return nil }
      total += value * factor
    }
    return bytes.isEmpty || total >= 1e9 ? nil : total
  }

  static func decimal(_ bytes: ArraySlice<UInt8>) -> Double {
    unsafe Decimal.parse(bytes.span.bytes)
  }

  private func quote(_ text: String) {
    output.append("\"")
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        output.append(UInt8(ascii: "\\"))
        output.append(byte)
      case 0..<32:
        output.append("\\u00")
        output.appendHex(byte)
      default: output.append(byte)
      }
    }
    output.append("\"")
  }
}
