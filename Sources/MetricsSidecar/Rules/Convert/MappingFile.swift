import SidecarPlatform

/// A mapping file of statsd_exporter as a rules file: `convert-rules`.
///
/// There, globs are tried before regexes and the first match ends the search; what none matches keeps
/// its name and tags. So the rules end with one that takes everything, and a star is a part between
/// dots.
final class MappingFile {
  /// The rules file.
  var output = ByteBuffer(capacity: 4096)
  /// What cannot be carried over, in the order in which it was found.
  private(set) var notes: [JSON.Mistake] = []
  private var defaults = Timing()
  var defaultTTL: JSON?
  /// Families that are written, whose further entries have no type and help.
  var written: [(name: String, events: Events)] = []
  var isFirst = true

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
      default: note(value, joined("unknown name ", name, " is left out"))
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

  func note(_ json: JSON, _ message: String) {
    let new = json.mistake(message)
    // What stands in the defaults is read for the globs and for the regexes.
    if notes.last != new { notes.append(new) }
  }

  // MARK: Reading

  /// What becomes of timings: of one mapping, or by default.
  struct Timing {
    var observer: String?
    var isRegex = false
    var buckets: JSON?
    var quantiles: JSON?
    var maxAge: JSON?
    var factor: JSON?
    var maxBuckets: JSON?
  }

  enum Events: Equatable {
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

  struct Mapping {
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
      default: note(value, joined("unknown name ", name, " is left out"))
      }
    }
    defaults = timing
  }

  /// Whether the member is one that says what becomes of timings.
  private func read(_ name: String, _ value: JSON, _ timing: inout Timing) -> Bool {
    switch name {
    case "observer_type", "timer_type":
      guard let word = value.word, word == "histogram" || word == "summary" else {
        if value.word != "" {
          note(value, joined(name, " is histogram or summary; it is left out"))
        }
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
        default: note(value, joined("unknown name ", option, " is left out"))
        }
      }
    default: return false
    }
    return true
  }

  private func convert(_ json: JSON, regexes: Bool) {
    guard case .object(let members) = json.value else {
      if !regexes { note(json, "the mapping is left out: it needs a match") }
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
        default: note(value, "match_metric_type is counter, gauge or observer; it is left out")
        }
      default: note(value, joined("unknown name ", name, " is left out"))
      }
    }
    guard mapping.timing.isRegex == regexes else {
      // Its turn comes with the others of its kind.
      notes.removeLast(notes.count - earlier)
      return
    }
    guard let match, let text = match.word, !text.isEmpty else {
      return note(json, "the mapping is left out: it needs a match")
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
    if mapping.name.isEmpty, !mapping.isDrop {
      return note(json, "the mapping is left out: it needs a name")
    }
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
    if Names.isReserved(Array(plain.utf8)) {
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
      for suffix in Record.Kind.sampleSuffixes {
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
}

extension JSON {
  /// A text, or what stands for one; `nil` for a list or an object.
  var word: String? {
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
  var decimal: Double {
    switch value {
    case .number(let number): number
    case .string(let text): MappingFile.decimal(Array(text.utf8)[...])
    default: .nan
    }
  }
}
