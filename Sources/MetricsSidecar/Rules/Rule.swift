import SidecarRules

/// Which events feed a family.
struct Rule {
  /// The event's name; where there is a `regex`, what it takes begins so.
  var event: Pattern
  var regex: RegularExpression?
  /// Kinds of events that it takes; empty: all.
  var kinds: [MetricType] = []
  /// All have to hold.
  var conditions: [Condition]
  /// Its entry in `Rules.families`; `nil` for a rule that drops the event.
  var family: Int?
  /// Whether no rule after this one is tried.
  var isLast = false
  /// What each value is multiplied with.
  var scale = 1.0

  /// How many captures an event has.
  var captureCount: Int { regex?.groupCount ?? event.starCount }

  /// What the name's stars or groups stand for, where the rule takes the event.
  func captures(_ event: EventDescription, _ kind: MetricType) -> [ArraySlice<UInt8>]? {
    guard kinds.isEmpty || kinds.contains(kind),
      let captures = regex.map({ $0.captures(event.name[...]) })
        ?? self.event.captures(event.name[...])
    else { return nil }
    for condition in conditions where !condition.holds(for: event.value(of: condition.tag)) {
      return nil
    }
    return captures
  }
}

/// A condition on one tag. A tag that is missing has the empty value.
struct Condition {
  var tag: [UInt8]
  var patterns: [Pattern]
  /// Holds when none of the patterns does.
  var isNegated: Bool

  func holds(for value: ArraySlice<UInt8>) -> Bool {
    patterns.contains { $0.matches(value) } != isNegated
  }
}

/// An entry of the file: a family, or one that is made when its first event comes, and what its
/// events' labels are. A family may have several.
struct FamilyRule {
  /// Where a label's value comes from.
  enum Source: Equatable {
    case tag([UInt8])
    case constant(Template)
  }

  /// As written; with captures it is a template.
  var name: String
  /// `nil` where the type is the first event's own.
  var kind: MetricType?
  /// What a timing becomes where the type is the event's own.
  var timingKind = MetricType.histogram
  var help: String
  var labels: [(name: String, source: Source)]
  /// Whether tags that no label names become labels, and which do not.
  var keepsOtherTags = false
  var droppedTags: [Pattern] = []
  /// Whether a tag of the event wins over a constant of the same name.
  var honorsTags = false
  /// Time to live in seconds; 0 is for ever, `nil` what `--series-ttl` says.
  var ttlSeconds: Int64?
  /// Upper bounds, rising, without +Inf; empty but for histograms.
  var buckets: [Double]
  var options = KindOptions()

  /// What the events' name is filled into; `nil` for a name without captures.
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

/// All rules, as a file has them.
struct Rules {
  var families: [FamilyRule] = []
  var rules: [Rule] = []
  /// Whether an event that no rule matches is exposed under its own name, or dropped.
  var exposesUnmatched = true

  /// Puts into the families' options what follows from elsewhere, before any family is made of them.
  func completeOptions(clients: Int) {
    for family in families {
      let options = family.options
      options.maxClients = clients
      // A client's report has the time to live that its series has.
      if family.kind == .clientGauge, options.windowMilliseconds == 0 {
        options.windowMilliseconds = UInt64(max(0, family.ttlSeconds ?? 0)) * 1000
      }
    }
  }
}
