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
  /// The rules, or the first mistake.
  static func parse(_ text: [UInt8]) throws(JSON.Mistake) -> Rules {
    let (rules, mistakes) = read(text)
    if let first = mistakes.first { throw first }
    return rules
  }

  /// What can be read of the rules, and every mistake in the order of the text. A text that is not
  /// JSON has one mistake: what stands behind it cannot be told.
  static func read(_ text: [UInt8]) -> (rules: Rules, mistakes: [JSON.Mistake]) {
    var rules = Rules()
    var mistakes: [JSON.Mistake] = []
    do throws(JSON.Mistake) {
      let document = try JSON.parse(text)
      try fill(&rules, document, &mistakes)
    } catch { mistakes.append(error) }
    mistakes.sort {
      ($0.position.line, $0.position.column) < ($1.position.line, $1.position.column)
    }
    return (rules, mistakes)
  }

  private static func fill(
    _ rules: inout Rules, _ document: JSON, _ mistakes: inout [JSON.Mistake]
  ) throws(JSON.Mistake) {
    let members = try document.members(["unmatched", "match", "families"], &mistakes)
    var families: [JSON] = []
    var stopsAtFirst = false
    for (name, value) in members {
      do throws(JSON.Mistake) {
        switch name {
        case "unmatched": rules.exposesUnmatched = try value.choice("expose", "drop", name)
        case "match": stopsAtFirst = try value.choice("first", "all", name)
        default: families = try value.items()
        }
      } catch { mistakes.append(error) }
    }
    for item in families {
      do throws(JSON.Mistake) {
        try family(item, stopsAtFirst, into: &rules, &mistakes)
      } catch { mistakes.append(error) }
    }
  }

  private static func family(
    _ json: JSON, _ stopsAtFirst: Bool, into rules: inout Rules,
    _ mistakes: inout [JSON.Mistake]
  ) throws(JSON.Mistake) {
    var family = FamilyRule(name: "", kind: .counter, help: "", labels: [], buckets: [])
    var kind: Record.Kind?
    var events: [Rule] = []
    var drops = false
    let names =
      [
        "name", "type", "help", "labels", "constants", "buckets", "events", "action",
      ] + KindMembers.names
    let members = try json.members(names, &mistakes)
    for (name, value) in members {
      do throws(JSON.Mistake) {
        switch name {
        case "name": family.name = try familyName(value)
        case "type": kind = try self.kind(value)
        case "help": family.help = try value.text()
        case "labels": family.labels += try labels(value)
        case "constants":
          for (label, constant) in try value.members(allowed: nil) {
            try check(label: label, at: constant)
            family.labels.append((label, .constant(Template(try constant.text()))))
          }
        case "buckets": family.buckets = try buckets(value)
        case "action": drops = try value.choice("drop", "feed", name)
        default:
          if let index = KindMembers.names.firstIndex(of: name) {
            try KindMembers.read(index, value, into: family.options)
            continue
          }
          for event in try value.items() {
            do throws(JSON.Mistake) {
              var rule = try rule(event, stopsAtFirst, &mistakes)
              rule.family = rules.families.count
              events.append(rule)
            } catch { mistakes.append(error) }
          }
        }
      } catch { mistakes.append(error) }
    }
    let has: (String) -> Bool = { name in members.contains { $0.name == name } }
    if drops {
      if events.isEmpty, !has("events") { throw json.mistake("\"drop\" needs \"events\"") }
      for (name, value) in members where name != "events" && name != "action" {
        mistakes.append(value.mistake("\"\(name)\" has no meaning where the action is drop"))
      }
      for index in events.indices { events[index].family = nil }
      rules.rules += events
      return
    }
    if !has("name") { mistakes.append(json.mistake("a family needs a \"name\"")) }
    if !has("type") {
      mistakes.append(json.mistake("a family needs a \"type\": " + KindMembers.types))
    }
    if !family.name.isEmpty, rules.families.contains(where: { $0.name == family.name }) {
      mistakes.append(json.mistake("there is a family \(family.name) already"))
    }
    KindMembers.finish(&kind, family, members, &mistakes)
    if kind == .nativeHistogram {
    } else if kind == .histogram {
      if family.buckets.isEmpty { family.buckets = FamilyRule.defaultBuckets }
    } else if kind != nil, !family.buckets.isEmpty {
      mistakes.append(json.mistake("\"buckets\" are for histograms"))
    }
    checkLabels(family, events, json, &mistakes)
    family.kind = kind ?? .counter
    rules.rules += events
    rules.families.append(family)
  }

  /// Each label once, and no capture that one of the events does not have.
  private static func checkLabels(
    _ family: FamilyRule, _ events: [Rule], _ json: JSON, _ mistakes: inout [JSON.Mistake]
  ) {
    for (index, label) in family.labels.enumerated() {
      if family.labels[..<index].contains(where: { $0.name == label.name }) {
        mistakes.append(json.mistake("the label \(label.name) is there twice"))
      }
      guard case .constant(let template) = label.source else { continue }
      if events.contains(where: { $0.event.starCount < template.captureCount }) {
        mistakes.append(
          json.mistake(
            "$\(template.captureCount) in \(label.name): an event of this family has fewer *"))
      }
    }
  }

  private static func rule(
    _ json: JSON, _ stopsAtFirst: Bool, _ mistakes: inout [JSON.Mistake]
  ) throws(JSON.Mistake) -> Rule {
    var event: Pattern?
    var hasEvent = false
    var conditions: [Condition] = []
    var isLast = stopsAtFirst
    for (name, value) in try json.members(["event", "when", "match"], &mistakes) {
      do throws(JSON.Mistake) {
        switch name {
        case "event":
          hasEvent = true
          event = Pattern(try value.text())
        case "match": isLast = try value.choice("first", "all", name)
        default:
          for (tag, wanted) in try value.members(allowed: nil) {
            conditions.append(try condition(tag: Array(tag.utf8), wanted))
          }
        }
      } catch { mistakes.append(error) }
    }
    if !hasEvent { throw json.mistake("needs an \"event\": a name, or a glob with *") }
    return Rule(event: event ?? Pattern("*"), conditions: conditions, isLast: isLast)
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
    case "summary": return .summary
    case "set": return .set
    default: throw json.mistake("\"type\" is " + KindMembers.types)
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
  func mistake(_ message: String) -> Mistake {
    Mistake(position: position, message: message)
  }

  func text() throws(Mistake) -> String {
    guard case .string(let text) = value else { throw mistake("expected a string") }
    return text
  }

  func items() throws(Mistake) -> [JSON] {
    guard case .array(let items) = value else { throw mistake("expected a list: [ … ]") }
    return items
  }

  /// Whether the text is `yes`; a mistake where it is not `no` either.
  func choice(
    _ yes: String, _ no: String, _ name: String
  ) throws(Mistake) -> Bool {
    let text = try text()
    if text == yes { return true }
    guard text == no else { throw mistake("\"\(name)\" is \"\(yes)\" or \"\(no)\"") }
    return false
  }

  /// The members that are known; the others are mistakes.
  func members(
    _ known: [String], _ mistakes: inout [Mistake]
  ) throws(Mistake) -> [(name: String, value: JSON)] {
    var list: [(name: String, value: JSON)] = []
    for (name, value) in try members(allowed: nil) {
      if known.contains(name) { list.append((name, value)); continue }
      let near = Spelling.closest(to: name, among: known)
      mistakes.append(
        value.mistake(
          "unknown name \"\(name)\"" + (near.map { ": did you mean \"\($0)\"?" } ?? "")))
    }
    return list
  }

  func members(
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
