import SidecarPlatform
import SidecarRules

/// A rule that says which events feed a family.
struct Rule {
  /// The event's name; with a `regex`, the literal beginning of matching names.
  var event: Pattern
  var regex: RegularExpression?
  /// Kinds of events that it accepts; empty: all.
  var kinds: [MetricType] = []
  /// All have to hold.
  var conditions: [Condition]
  /// Its entry in `Rules.families`; `nil` for a rule that drops the event.
  var family: Int?
  /// Whether a match ends the search.
  var isLast = false
  /// The factor for each value.
  var scale = 1.0

  /// The number of captures of a match.
  var captureCount: Int { regex?.groupCount ?? event.starCount }

  /// What the name's stars or groups stand for, where the rule takes the event; `work` grows by
  /// what it took to know.
  func captures(
    _ event: EventDescription, _ kind: MetricType, _ work: inout Int
  ) -> [ArraySlice<UInt8>]? {
    let name = event.name[...]
    guard kinds.isEmpty || kinds.contains(kind),
      let captures = regex == nil
        ? self.event.captures(name, &work) : regex?.captures(name, &work)
    else { return nil }
    for condition in conditions {
      if !condition.holds(for: event.value(of: condition.tag), &work) { return nil }
    }
    return captures
  }
}

/// A condition on one tag. A missing tag has the empty value.
struct Condition {
  var tag: [UInt8]
  var patterns: [Pattern]
  /// Holds when none of the patterns does.
  var isNegated: Bool

  func holds(for value: ArraySlice<UInt8>, _ work: inout Int) -> Bool {
    for pattern in patterns where pattern.captures(value, &work) != nil { return !isNegated }
    return isNegated
  }
}

/// An entry of the file: a family, possibly one that its first event creates, and the labels of its
/// events. A family may have several entries.
struct FamilyRule {
  /// Where a label's value comes from.
  enum Source: Equatable {
    case tag([UInt8])
    case constant(Template)
  }

  /// As written; with captures it is a template.
  var name: String
  /// `nil` if the first event decides the type.
  var kind: MetricType?
  /// The type for timings, if the first event decides the type.
  var timingKind = MetricType.histogram
  var help: String
  var labels: [(name: String, source: Source)]
  /// Whether tags that no label names become labels, and the exceptions.
  var keepsOtherTags = false
  var droppedTags: [Pattern] = []
  /// Whether a tag of the event overrides a constant of the same name.
  var honorsTags = false
  /// Time to live in seconds; 0 is forever, `nil` means `--series-ttl`.
  var ttlSeconds: Int64?
  /// Upper bounds, ascending, without +Inf; empty except for histograms.
  var buckets: [Double]
  var options = KindOptions()
  /// Which form of its name it has, from 1 on; 0 for that of the name's first entry. See
  /// `Registry+Forms`.
  var form: UInt8 = 0
  /// An earlier entry of the same name with the same form.
  var sameAs: Int?

  /// What distinguishes its form from others of the name.
  var formText: [UInt8] {
    var text = ByteBuffer()
    let numbers = [
      Double(kind?.rawValue ?? 0), Double(timingKind.rawValue), Double(ttlSeconds ?? -1),
      Double(options.windowMilliseconds), Double(options.maxBuckets), Double(options.schema),
      options.zeroThreshold,
    ]
    for number in numbers + options.quantiles + [.infinity] + buckets {
      NumberFormat.append(number, to: &text)
      text.append(UInt8(ascii: ","))
    }
    return text.array
  }

  /// The template for the family's name; `nil` for a name without captures.
  var nameTemplate: Template? {
    let template = Template(name)
    return template.captureCount == 0 ? nil : template
  }

  /// Whether its series is known from the start: all its labels are constants.
  var isConstant: Bool {
    if keepsOtherTags { return false }
    for label in labels {
      guard case .constant(let text) = label.source, text.captureCount == 0 else { return false }
    }
    return true
  }

  /// The buckets of the official Prometheus clients.
  static let defaultBuckets = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
  ]
}

/// All rules of a file.
struct Rules {
  var families: [FamilyRule] = []
  var rules: [Rule] = []
  /// Whether an event that no rule matches is exposed under its own name, or dropped.
  var exposesUnmatched = true

  /// Completes the families' options by derived values, before any family is created from them.
  func completeOptions(clients: Int) {
    for family in families {
      let options = family.options
      options.maxClients = clients
      // A client's report has its series' time to live.
      if family.kind == .clientGauge, options.windowMilliseconds == 0 {
        options.windowMilliseconds = UInt64(max(0, family.ttlSeconds ?? 0)) * 1000
      }
    }
  }
}
