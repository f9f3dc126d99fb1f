import SidecarPlatform
import SidecarRules

/// A mapping file of statsd_exporter as a rules file.
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
  /// The first mapping of each family, whose further entries have labels and events alone.
  var written: [String: Mapping] = [:]
  var isFirst = true

  init(_ document: JSON) throws(JSON.Mistake) {
    guard case .object(let members) = document.value else {
      throw document.mistake("expected mappings: and a list")
    }
    var mappings: [JSON] = []
    for (name, value) in members where !value.isEmptyText {
      switch name {
      case "defaults": readDefaults(value)
      case "mappings":
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
    guard case .object(let members) = json.value else {
      return note(json, "defaults are left out: expected names and values")
    }
    var timing = defaults
    for (name, value) in members where !value.isEmptyText {
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
        note(value, joined(name, " is histogram or summary; it is left out"))
        return true
      }
      timing.observer = word
    case "match_type":
      timing.isRegex = value.word == "regex"
      if !timing.isRegex, value.word != "glob" {
        note(value, "match_type is glob or regex: glob here")
      }
    case "buckets": timing.buckets = value
    case "quantiles": timing.quantiles = value
    case "histogram_options", "summary_options":
      guard case .object(let members) = value.value else {
        note(value, joined(name, " are left out: expected names and values"))
        return true
      }
      for (option, value) in members where !value.isEmptyText {
        switch option {
        case "buckets": timing.buckets = value
        case "quantiles": timing.quantiles = value
        case "max_age": timing.maxAge = value
        case "native_histogram_bucket_factor": timing.factor = value
        case "native_histogram_max_buckets": timing.maxBuckets = value
        case "age_buckets", "buf_cap":
          note(value, joined(option, " is left out: a window here has no parts that can be chosen"))
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
    for (name, value) in members where !value.isEmptyText {
      if read(name, value, &mapping.timing) { continue }
      switch name {
      case "match": match = value
      case "name": mapping.name = value.word ?? ""
      case "help": mapping.help = value.word ?? ""
      case "labels":
        if case .object(let labels) = value.value {
          mapping.labels = labels
        } else {
          note(value, "labels are left out: expected names and values")
        }
      case "action":
        mapping.isDrop = value.word == "drop"
        if !mapping.isDrop, value.word != "map" { note(value, "action is map or drop: map here") }
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
        return note(match, joined("the mapping is left out: ", reason.description))
      }
    } else {
      mapping.globs = [text]
    }
    if mapping.name.isEmpty, !mapping.isDrop {
      return note(json, "the mapping is left out: it needs a name")
    }
    if isSound(&mapping, json), isFree(mapping, json) { write(mapping, json) }
  }

  /// Whether the rules may have such names and captures; leaves labels out that they may not.
  private func isSound(_ mapping: inout Mapping, _ json: JSON) -> Bool {
    if mapping.isDrop { return true }
    let count = Pattern(mapping.globs[0], separator: UInt8(ascii: ".")).starCount
    guard let name = asTemplate(mapping.name, mapping, json) else {
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
        note(
          value,
          joined("the label ", label, " is left out: it is the sidecar's own, or cannot be one"))
        continue
      }
      guard let text = asTemplate(value.word ?? "", mapping, value),
        Template(text).captureCount <= count
      else {
        note(value, joined("the label ", label, " is left out: it has a $ without a *"))
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
    if let other = written[mapping.name], other.events != mapping.events {
      note(json, joined("the mapping is left out: ", mapping.name, " takes other events already"))
      return false
    }
    for suffix in Names.sampleSuffixes {
      // By bytes: characters would need Unicode's tables.
      let (name, end) = (Array(mapping.name.utf8), Array(suffix.utf8))
      let isLine =
        name.count > end.count && name.suffix(end.count) == end[...]
        && written[String(decoding: name.dropLast(end.count), as: UTF8.self)]?.events == .timing
      if isLine || mapping.events == .timing && written[mapping.name + suffix] != nil {
        note(json, "the mapping is left out: its name is a line of another family")
        return false
      }
    }
    return true
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
      MappingFile.append(number, to: &text)
      return String(decoding: text.array, as: UTF8.self)
    default: return nil
    }
  }

  /// Nothing, which stands for what is not there.
  var isEmptyText: Bool {
    switch value {
    case .null: true
    case .string(let text): text.isEmpty
    default: false
    }
  }

  var list: [JSON]? {
    guard case .array(let items) = value else { return nil }
    return items
  }

  /// The same text for equal values; empty for none.
  static func text(_ json: JSON?) -> String {
    guard let json else { return "" }
    var text = ""
    switch json.value {
    case .array(let items): for item in items { text += Self.text(item) + "," }
    case .object(let members):
      for (name, value) in members { text += joined(name, ":", Self.text(value), ",") }
    default: text = json.decimal.isNaN ? json.word ?? "" : json.decimal.description
    }
    return text
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
