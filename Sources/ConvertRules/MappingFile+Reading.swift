import SidecarPlatform
import SidecarRules

/// Reads a mapping file, mapping by mapping.
extension MappingFile {
  /// How timings are exposed, for one mapping or by default.
  struct Timing {
    var observer: String?
    var isRegex = false
    var buckets: JSON?
    var quantiles: JSON?
    var maxAge: JSON?
    var factor: JSON?
    var maxBuckets: JSON?
    var isHistogram: Bool { observer == "histogram" }
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
    /// A glob or a regex.
    var match = ""
    var labels: [(name: String, value: JSON)] = []
    var isDrop = false
    var honorsLabels = false
    var scale: JSON?
    var ttl: JSON?
    var timing = Timing()
    var isRegex: Bool { timing.isRegex }
    var takesTimings: Bool { events == .any || events == .timing }
    /// The names of its labels, in order.
    var labelNames: String {
      labels.map { $0.name }.ordered { $0 < $1 }.reduce("") { joined($0, $1, " ") }
    }
    /// Its position; `nil` for events that no mapping matches.
    var place: JSON?
  }

  func readDefaults(_ json: JSON) {
    guard case .object(let members) = json.value else {
      return note(json, "defaults are left out: expected names and values")
    }
    var timing = defaults
    for (name, value) in members where !value.isEmptyText {
      if read(name, value, &timing) { continue }
      switch name {
      case "ttl": defaultTTL = value
      case "glob_disable_ordering":
        prefersLiterals = value.isTrue
      default: note(value, joined("unknown name ", name, " is left out"))
      }
    }
    defaults = timing
  }

  /// Whether the member says how timings are exposed.
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

  /// A mapping that can be written; `nil` if it is left out.
  func read(_ json: JSON) -> Mapping? {
    guard case .object(let members) = json.value else {
      note(json, "the mapping is left out: it needs a match")
      return nil
    }
    var mapping = Mapping()
    mapping.place = json
    mapping.timing = defaults
    var match: JSON?
    for (name, value) in members where !value.isEmptyText {
      if read(name, value, &mapping.timing) { continue }
      if name == "match" { match = value } else { read(name, value, &mapping) }
    }
    guard let match, let text = match.word, !text.isEmpty else {
      note(json, "the mapping is left out: it needs a match")
      return nil
    }
    mapping.match = text
    if mapping.name.isEmpty, !mapping.isDrop {
      note(json, "the mapping is left out: it needs a name")
      return nil
    }
    return isSound(&mapping, match, json) ? mapping : nil
  }

  private func read(_ name: String, _ value: JSON, _ mapping: inout Mapping) {
    switch name {
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
    case "honor_labels": mapping.honorsLabels = value.isTrue
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

  /// Whether the rules may have such names; drops labels that they may not have.
  private func isSound(_ mapping: inout Mapping, _ match: JSON, _ json: JSON) -> Bool {
    var captures = Captures()
    if mapping.isRegex {
      guard let found = readRegex(&mapping, match) else { return false }
      captures = found
    } else {
      captures.count = Pattern(mapping.match, separator: UInt8(ascii: ".")).starCount
    }
    if mapping.isDrop { return true }
    mapping.name = asTemplate(mapping.name, captures, mapping, json)
    let template = Template(mapping.name)
    let plain = template.captureCount == 0 ? mapping.name : template.sample
    guard Names.isFamilyName(plain) else {
      note(json, "the mapping is left out: this name cannot be one")
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
      let text = asTemplate(value.word ?? "", captures, mapping, value)
      labels.append((label, JSON(value: .string(text), position: value.position)))
    }
    mapping.labels = labels
    return true
  }

  /// The regex in the form of the rules, with the names of its groups.
  private func readRegex(_ mapping: inout Mapping, _ match: JSON) -> Captures? {
    // `$0` is the whole match: put a group around it.
    var isWhole = false
    for text in [mapping.name] + mapping.labels.map({ $0.value.word ?? "" }) {
      isWhole = isWhole || Captures.usesWhole(text)
    }
    if isWhole { mapping.match = joined("(", mapping.match, ")") }
    let text = Array(mapping.match.utf8)
    do throws(RegularExpression.Mistake) {
      let regex = try RegularExpression(
        text, stepLimit: min(regexSteps, RegularExpression.stepLimit))
      regexSteps -= regex.stepCount
      return Captures(
        count: regex.groupCount, first: isWhole ? 0 : 1, names: RegularExpression.names(text))
    } catch {
      let byte = error.offset + (isWhole ? 0 : 1)
      note(
        match,
        joined(
          "the mapping is left out: its regex, byte ", byte.description, ": ", error.message))
      return nil
    }
  }
}
