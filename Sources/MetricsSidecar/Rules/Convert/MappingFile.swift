import CLinux
import Platform

/// A mapping file of statsd_exporter as a rules file: `convert-rules`.
///
/// There, globs are tried before regexes and the first match ends the search; what none matches keeps
/// its name and tags. So the rules end with one that takes everything, and a star is a part between
/// dots.
final class MappingFile {
  /// The rules file.
  private(set) var output = ByteBuffer(capacity: 4096)
  /// What cannot be carried over, in the order in which it was found.
  private(set) var notes: [JSON.Mistake] = []
  private var defaults = Timing()
  private var defaultTTL: JSON?
  /// Families that are written, whose further entries have no type and help.
  private var written: [(name: String, events: Events)] = []
  private var isFirst = true

  init(_ document: JSON) throws(JSON.Mistake) {
    guard case .object(let members) = document.value else {
      throw document.mistake("expected mappings: and a list")
    }
    var mappings: [JSON] = []
    for (name, value) in members {
      switch name {
      case "defaults": readDefaults(value)
      case "mappings":
        if value.isEmptyText { continue }
        mappings = try value.items()
      default: note(value, "unknown name \(name) is left out")
      }
    }
    output.append("{\n  \"separator\": \".\",\n  \"match\": \"first\",\n  \"families\": [\n")
    for isRegex in [false, true] {
      for mapping in mappings { convert(mapping, regexes: isRegex) }
    }
    // What no mapping takes.
    var rest = Mapping()
    rest.name = "${1}"
    rest.globs = ["**"]
    rest.timing = defaults
    write(rest)
    output.append("\n  ]\n}\n")
  }

  private func note(_ json: JSON, _ message: String) {
    notes.append(json.mistake(message))
  }

  // MARK: Reading

  /// What becomes of timings: of one mapping, or by default.
  private struct Timing {
    var observer: String?
    var isRegex = false
    var buckets: JSON?
    var quantiles: JSON?
    var maxAge: JSON?
    var factor: JSON?
    var maxBuckets: JSON?
  }

  private enum Events: Equatable {
    case any, counter, gauge, timing

    var name: StaticString {
      switch self {
      case .any: "event"
      case .counter: "counter"
      case .gauge: "gauge"
      case .timing: "timing"
      }
    }
  }

  private struct Mapping {
    var name = ""
    var help = ""
    var events = Events.any
    var globs: [String] = []
    var labels: [(name: String, value: JSON)] = []
    var isDrop = false
    var honorsLabels = false
    var scale: JSON?
    var ttl: JSON?
    var timing = Timing()
    /// From a regex's group to the star that stands for it; empty for a glob.
    var stars: [Int] = []
  }

  private func readDefaults(_ json: JSON) {
    guard case .object(let members) = json.value else { return }
    var timing = defaults
    for (name, value) in members {
      if read(name, value, &timing) { continue }
      switch name {
      case "ttl": defaultTTL = value
      case "glob_disable_ordering":
        if value.word == "true" {
          note(value, "glob_disable_ordering: rules are tried in the order of the file")
        }
      default: note(value, "unknown name \(name) is left out")
      }
    }
    defaults = timing
  }

  /// Whether the member is one that says what becomes of timings.
  private func read(_ name: String, _ value: JSON, _ timing: inout Timing) -> Bool {
    switch name {
    case "observer_type", "timer_type":
      guard let word = value.word, word == "histogram" || word == "summary" else {
        if value.word != "" { note(value, "\(name) is histogram or summary") }
        return true
      }
      timing.observer = word
    case "match_type": timing.isRegex = value.word == "regex"
    case "buckets": timing.buckets = value
    case "quantiles": timing.quantiles = value
    case "histogram_options", "summary_options":
      guard case .object(let members) = value.value else { return true }
      for (option, value) in members {
        switch option {
        case "buckets": timing.buckets = value
        case "quantiles": timing.quantiles = value
        case "max_age": timing.maxAge = value
        case "native_histogram_bucket_factor": timing.factor = value
        case "native_histogram_max_buckets": timing.maxBuckets = value
        // How the window is kept has no place here.
        case "age_buckets", "buf_cap": break
        default: note(value, "unknown name \(option) is left out")
        }
      }
    default: return false
    }
    return true
  }

  private func convert(_ json: JSON, regexes: Bool) {
    guard case .object(let members) = json.value else {
      if !regexes { note(json, "a mapping needs a match") }
      return
    }
    let earlier = notes.count
    var mapping = Mapping()
    mapping.timing = defaults
    var match: JSON?
    for (name, value) in members {
      if read(name, value, &mapping.timing) { continue }
      switch name {
      case "match": match = value
      case "name": mapping.name = value.word ?? ""
      case "help": mapping.help = value.word ?? ""
      case "labels": if case .object(let labels) = value.value { mapping.labels = labels }
      case "action": mapping.isDrop = value.word == "drop"
      case "honor_labels": mapping.honorsLabels = value.word == "true"
      case "scale": mapping.scale = value
      case "ttl": mapping.ttl = value
      case "match_metric_type":
        switch value.word {
        case "counter": mapping.events = .counter
        case "gauge": mapping.events = .gauge
        case "observer", "timer": mapping.events = .timing
        default: note(value, "match_metric_type is counter, gauge or observer")
        }
      default: note(value, "unknown name \(name) is left out")
      }
    }
    guard mapping.timing.isRegex == regexes else {
      // Its turn comes with the others of its kind.
      notes.removeLast(notes.count - earlier)
      return
    }
    guard let match, let text = match.word, !text.isEmpty else {
      return note(json, "a mapping needs a match")
    }
    if regexes {
      switch RegexGlob.convert(Array(text.utf8)) {
      case .glob(let glob, let stars):
        mapping.globs = [glob]
        mapping.stars = stars
      case .refused(let reason):
        return note(match, "the mapping is left out: \(reason)")
      }
    } else {
      mapping.globs = [text]
    }
    if mapping.name.isEmpty, !mapping.isDrop { return note(json, "a mapping needs a name") }
    if isSound(&mapping, json), isFree(mapping, json) { write(mapping) }
  }

  /// Whether the rules may have such names and captures; leaves labels out that they may not.
  private func isSound(_ mapping: inout Mapping, _ json: JSON) -> Bool {
    if mapping.isDrop { return true }
    let count = Pattern(mapping.globs[0], separator: UInt8(ascii: ".")).starCount
    guard let name = renumbered(mapping.name, mapping) else {
      note(json, "the mapping is left out: $ takes a number, as in ${1}")
      return false
    }
    mapping.name = name
    let template = Template(name)
    let plain = template.captureCount == 0 ? name : template.sample
    guard Names.isFamilyName(plain), template.captureCount <= count else {
      note(json, "the mapping is left out: this name cannot be one, or has a $ without a *")
      return false
    }
    if plain.utf8.starts(with: "metrics_sidecar_".utf8) || plain.utf8.starts(with: "process_".utf8)
    {
      note(json, "the mapping is left out: the name is the sidecar's own")
      return false
    }
    var labels: [(name: String, value: JSON)] = []
    for (label, value) in mapping.labels {
      guard Names.isLabelName(label), label != "le", label != "overflow", label != "quantile" else {
        note(value, "the label \(label) is left out: it is the sidecar's own, or cannot be one")
        continue
      }
      guard let text = renumbered(value.word ?? "", mapping),
        Template(text).captureCount <= count
      else {
        note(value, "the label \(label) is left out: it has a $ without a *")
        continue
      }
      labels.append((label, JSON(value: .string(text), position: value.position)))
    }
    mapping.labels = labels
    return true
  }

  /// Whether no other family has the name with another type, or a line of that name.
  private func isFree(_ mapping: Mapping, _ json: JSON) -> Bool {
    if mapping.isDrop { return true }
    for other in written {
      if other.name == mapping.name, other.events != mapping.events {
        note(json, "the mapping is left out: \(mapping.name) takes other events already")
        return false
      }
      for suffix in ["_bucket", "_count", "_sum", "_created"] {
        if other.events == .timing && mapping.name == other.name + suffix
          || mapping.events == .timing && other.name == mapping.name + suffix
        {
          note(json, "the mapping is left out: its name is a line of another family")
          return false
        }
      }
    }
    return true
  }

  /// A template of a regex whose groups have become stars; `nil` where it names one that is not.
  private func renumbered(_ text: String, _ mapping: Mapping) -> String? {
    if mapping.stars.isEmpty, !mapping.timing.isRegex { return text }
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      guard byte == UInt8(ascii: "$") else {
        result.append(byte)
        continue
      }
      if index < bytes.count, bytes[index] == byte {
        result += [byte, byte]
        index += 1
        continue
      }
      let isBraced = index < bytes.count && bytes[index] == UInt8(ascii: "{")
      if isBraced { index += 1 }
      var number = 0
      let start = index
      while index < bytes.count, bytes[index] &- 48 < 10, index < start + 2 {
        number = number * 10 + Int(bytes[index] &- 48)
        index += 1
      }
      // In a regex's template `$1_total` is a group of the name `1_total`.
      if isBraced {
        guard index < bytes.count, bytes[index] == UInt8(ascii: "}") else { return nil }
        index += 1
      } else if index < bytes.count, Names.isWordByte(bytes[index]) {
        return nil
      }
      guard number >= 1, number <= mapping.stars.count else { return nil }
      let star = mapping.stars[number - 1]
      result += Array("${".utf8)
      if star > 9 { result.append(48 + UInt8(star / 10)) }
      result += [48 + UInt8(star % 10), UInt8(ascii: "}")]
    }
    return String(decoding: result, as: UTF8.self)
  }

  // MARK: Writing

  private func write(_ mapping: Mapping) {
    if !isFirst { output.append(",\n") }
    isFirst = false
    output.append("    {")
    if mapping.isDrop {
      output.append("\"action\": \"drop\"")
    } else {
      output.append("\"name\": ")
      quote(mapping.name)
      if !written.contains(where: { $0.name == mapping.name }) {
        written.append((mapping.name, mapping.events))
        writeFamily(mapping)
      }
      writeLabels(mapping)
    }
    output.append(",\n      \"events\": [{\"event\": ")
    quote(mapping.globs[0])
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

  private func writeFamily(_ mapping: Mapping) {
    let timing = mapping.timing
    let isHistogram = timing.observer == "histogram"
    output.append(", \"type\": \"")
    if mapping.events == .any { output.append("event\", \"timings\": \"") }
    if mapping.events == .any || mapping.events == .timing {
      output.append(isHistogram ? "histogram" : "summary")
    } else {
      output.append(mapping.events.name)
    }
    output.append("\"")
    if !mapping.help.isEmpty {
      output.append(", \"help\": ")
      quote(mapping.help)
    }
    // Counters and gauges have neither buckets nor quantiles.
    if mapping.events == .any || mapping.events == .timing {
      if isHistogram { writeHistogram(timing) } else { writeSummary(timing) }
    }
    if let ttl = mapping.ttl ?? defaultTTL, let seconds = duration(ttl), seconds > 0 {
      note(ttl, "a ttl is left out: series stay")
    }
  }

  private func writeHistogram(_ timing: Timing) {
    if let factor = timing.factor {
      output.append(", \"native\": true")
      member(", \"bucket_factor\": ", factor, 1.0027...65_536)
      if let most = timing.maxBuckets { member(", \"max_buckets\": ", most, 16...1000) }
      if timing.buckets == nil { return }
    }
    let start = output.count
    output.append(", \"buckets\": ")
    if let buckets = timing.buckets, case .array(let items) = buckets.value {
      if list(items, -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude, 200) {
        return
      }
      output.truncate(to: start)
      return
    }
    output.append("[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]")
  }

  private func writeSummary(_ timing: Timing) {
    if let quantiles = timing.quantiles, case .array(let items) = quantiles.value, !items.isEmpty {
      var numbers: [JSON] = []
      for item in items {
        if case .object(let members) = item.value {
          for (name, value) in members where name == "quantile" { numbers.append(value) }
        } else {
          numbers.append(item)
        }
      }
      // Ours rise.
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
    if let age = timing.maxAge { time(", \"window\": \"", age, atMost: 2_073_600) }
  }

  private func time(_ name: StaticString, _ json: JSON, atMost most: Double) {
    guard let seconds = duration(json), seconds > 0 else { return }
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

  /// Numbers that rise; `false` where one is none.
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

  /// A number as JSON has it. What is none is told, and `false`.
  private func number(
    _ json: JSON, _ range: ClosedRange<Double>, not excluded: Double = .nan
  ) -> Bool {
    let value = json.decimal
    guard range.contains(value), value != excluded else {
      note(json, "expected a number that may stand here: the default does instead")
      return false
    }
    NumberFormat.append(value, to: &output)
    return true
  }

  /// Go's durations, `1h30m` or `500ms`, in seconds; what is none is told.
  private func duration(_ json: JSON) -> Double? {
    let bytes = Array((json.word ?? "").utf8)
    var total = 0.0
    var index = 0
    while index < bytes.count {
      let start = index
      while index < bytes.count, bytes[index] &- 48 < 10 || bytes[index] == UInt8(ascii: ".") {
        index += 1
      }
      let value = Self.decimal(bytes[start..<index])
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
      guard value.isFinite, factor > 0, start < unit else {
        note(json, "expected a time such as 10m")
        return nil
      }
      total += value * factor
    }
    guard !bytes.isEmpty, total < 1e9 else {
      note(json, "expected a time such as 10m")
      return nil
    }
    return total
  }

  static func decimal(_ bytes: ArraySlice<UInt8>) -> Double {
    unsafe bytes.withUnsafeBytes { text in
      guard text.count > 0 else { return .nan }
      return unsafe cl_parse_whole_double(
        text.baseAddress!.assumingMemoryBound(to: CChar.self), text.count)
    }
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
        output.append(byte < 16 ? UInt8(ascii: "0") : UInt8(ascii: "1"))
        let low = byte & 15
        output.append(low < 10 ? 48 + low : 87 + low)
      default: output.append(byte)
      }
    }
    output.append("\"")
  }
}

extension JSON {
  /// A text, or what stands for one; `nil` for a list or an object.
  fileprivate var word: String? {
    switch value {
    case .string(let text): return text
    case .bool(let flag): return flag ? "true" : "false"
    case .number(let number):
      var text = ByteBuffer(capacity: 32)
      if number == number.rounded(), number.magnitude < 1e15 {
        NumberFormat.append(Int64(number), to: &text)
      } else {
        NumberFormat.append(number, to: &text)
      }
      return String(decoding: text.array, as: UTF8.self)
    default: return nil
    }
  }

  fileprivate var isEmptyText: Bool {
    switch value {
    case .null: true
    case .string(let text): text.isEmpty
    default: false
    }
  }

  /// NaN for what is no number.
  fileprivate var decimal: Double {
    switch value {
    case .number(let number): number
    case .string(let text): MappingFile.decimal(Array(text.utf8)[...])
    default: .nan
    }
  }
}
