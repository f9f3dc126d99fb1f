import Platform

/// A rules file: JSON in, `Rules` out, or the mistakes with their line and column.
///
///     {"unmatched": "expose",
///      "families": [
///        {"name": "jobs_total", "type": "counter", "help": "Jobs done",
///         "labels": ["queue"], "events": [{"event": "jobs.*", "when": {"queue": "mail"}}]}]}
///
/// `labels` is a list of tags, or an object of label and tag. `when` has, for a tag, a pattern, a
/// list of patterns, or `{"not": …}`.
enum RuleFile {
  static func parse(_ text: [UInt8]) throws(JSON.Mistake) -> Rules {
    let document = try JSON.parse(text)
    var rules = Rules()
    for (name, value) in try document.members(allowed: ["unmatched", "families"]) {
      switch name {
      case "unmatched":
        switch try value.text() {
        case "expose": rules.exposesUnmatched = true
        case "drop": rules.exposesUnmatched = false
        default: throw value.mistake("\"unmatched\" is \"expose\" or \"drop\"")
        }
      default:
        for item in try value.items() { try family(item, into: &rules) }
      }
    }
    return rules
  }

  private static func family(_ json: JSON, into rules: inout Rules) throws(JSON.Mistake) {
    let members = try json.members(
      allowed: ["name", "type", "help", "labels", "constants", "buckets", "events"])
    var family = FamilyRule(name: "", kind: .counter, help: "", labels: [], buckets: [])
    var hasType = false
    var events: [JSON] = []
    for (name, value) in members {
      switch name {
      case "name": family.name = try familyName(value)
      case "type":
        family.kind = try kind(value)
        hasType = true
      case "help": family.help = try value.text()
      case "labels": family.labels += try labels(value)
      case "constants":
        for (label, constant) in try value.members(allowed: nil) {
          try check(label: label, at: value)
          family.labels.append((label, .constant(Array(try constant.text().utf8))))
        }
      case "buckets": family.buckets = try buckets(value)
      default: events = try value.items()
      }
    }
    if family.name.isEmpty { throw json.mistake("a family needs a \"name\"") }
    if !hasType {
      throw json.mistake("a family needs a \"type\": counter, gauge or histogram")
    }
    if rules.families.contains(where: { $0.name == family.name }) {
      throw json.mistake("there is a family \(family.name) already")
    }
    if family.kind == .histogram {
      if family.buckets.isEmpty { family.buckets = FamilyRule.defaultBuckets }
    } else if !family.buckets.isEmpty {
      throw json.mistake("\"buckets\" are for histograms")
    }
    for event in events { rules.rules.append(try rule(event, family: rules.families.count)) }
    rules.families.append(family)
  }

  private static func rule(_ json: JSON, family: Int) throws(JSON.Mistake) -> Rule {
    var event: Pattern?
    var conditions: [Condition] = []
    for (name, value) in try json.members(allowed: ["event", "when"]) {
      if name == "event" {
        event = Pattern(try value.text())
      } else {
        for (tag, wanted) in try value.members(allowed: nil) {
          conditions.append(try condition(tag: Array(tag.utf8), wanted))
        }
      }
    }
    guard let event else { throw json.mistake("needs an \"event\": a name, or a glob with *") }
    return Rule(event: event, conditions: conditions, family: family)
  }

  private static func condition(tag: [UInt8], _ json: JSON) throws(JSON.Mistake) -> Condition {
    if case .object = json.value {
      let members = try json.members(allowed: ["not"])
      guard let (_, negated) = members.first else { throw json.mistake("expected \"not\"") }
      return Condition(tag: tag, patterns: try patterns(negated), isNegated: true)
    }
    return Condition(tag: tag, patterns: try patterns(json), isNegated: false)
  }

  private static func patterns(_ json: JSON) throws(JSON.Mistake) -> [Pattern] {
    if case .string(let text) = json.value { return [Pattern(text)] }
    var list: [Pattern] = []
    for item in try json.items() { list.append(Pattern(try item.text())) }
    return list
  }

  private static func kind(_ json: JSON) throws(JSON.Mistake) -> Record.Kind {
    switch try json.text() {
    case "counter": return .counter
    case "gauge": return .gauge
    case "histogram": return .histogram
    default: throw json.mistake("\"type\" is counter, gauge or histogram")
    }
  }

  private static func familyName(_ json: JSON) throws(JSON.Mistake) -> String {
    let name = try json.text()
    guard Names.isFamilyName(name) else {
      throw json.mistake("a family's name has letters, digits, _ and :, and starts with no digit")
    }
    if name.utf8.starts(with: "metrics_sidecar_".utf8) || name.utf8.starts(with: "process_".utf8) {
      throw json.mistake("metrics_sidecar_ and process_ are the sidecar's own names")
    }
    return name
  }

  private static func labels(_ json: JSON) throws(JSON.Mistake) -> [(
    name: String, source: FamilyRule.Source
  )] {
    var list: [(name: String, source: FamilyRule.Source)] = []
    if case .array(let items) = json.value {
      for item in items {
        let name = try item.text()
        try check(label: name, at: item)
        list.append((name, .tag(Array(name.utf8))))
      }
    } else {
      for (name, tag) in try json.members(allowed: nil) {
        try check(label: name, at: tag)
        list.append((name, .tag(Array(try tag.text().utf8))))
      }
    }
    return list
  }

  private static func check(label: String, at json: JSON) throws(JSON.Mistake) {
    guard Names.isLabelName(label) else {
      throw json.mistake("a label's name has letters, digits and _, and starts with no digit or __")
    }
    if label == "le" || label == "overflow" {
      throw json.mistake("the label \(label) is the sidecar's own")
    }
  }

  private static func buckets(_ json: JSON) throws(JSON.Mistake) -> [Double] {
    var bounds: [Double] = []
    for item in try json.items() {
      guard case .number(let bound) = item.value else { throw item.mistake("expected a number") }
      if let last = bounds.last, bound <= last { throw item.mistake("buckets have to rise") }
      bounds.append(bound)
    }
    if bounds.isEmpty || bounds.count > 200 { throw json.mistake("from 1 to 200 buckets") }
    return bounds
  }
}

extension JSON {
  fileprivate func mistake(_ message: String) -> Mistake {
    Mistake(position: position, message: message)
  }

  fileprivate func text() throws(Mistake) -> String {
    guard case .string(let text) = value else { throw mistake("expected a string") }
    return text
  }

  fileprivate func items() throws(Mistake) -> [JSON] {
    guard case .array(let items) = value else { throw mistake("expected a list: [ … ]") }
    return items
  }

  fileprivate func members(
    allowed: [String]?
  ) throws(Mistake) -> [(name: String, value: JSON)] {
    guard case .object(let members) = value else { throw mistake("expected an object: { … }") }
    guard let allowed else { return members }
    for (name, value) in members where !allowed.contains(name) {
      let near = Spelling.closest(to: name, among: allowed)
      throw value.mistake(
        "unknown name \"\(name)\"" + (near.map { ": did you mean \"\($0)\"?" } ?? ""))
    }
    return members
  }
}
