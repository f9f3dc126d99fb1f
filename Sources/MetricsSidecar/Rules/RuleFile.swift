import SidecarPlatform
import SidecarRules

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

  /// Reading ends after this many mistakes.
  static let mistakeLimit = 1000

  /// The valid part of the rules, and the mistakes in the order of the text, up to a limit. A text
  /// that is not JSON has one mistake: nothing after it can be parsed.
  static func read(_ text: [UInt8]) -> (rules: Rules, mistakes: [JSON.Mistake]) {
    var rules = Rules()
    var mistakes: [JSON.Mistake] = []
    do throws(JSON.Mistake) {
      let document = try JSON.parse(text)
      try fill(&rules, document, &mistakes)
    } catch { mistakes.append(error) }
    mistakes = mistakes.ordered {
      ($0.position.line, $0.position.column) < ($1.position.line, $1.position.column)
    }
    return (rules, mistakes)
  }

  private static func fill(
    _ rules: inout Rules, _ document: JSON, _ mistakes: inout [JSON.Mistake]
  ) throws(JSON.Mistake) {
    let members = try document.members(
      ["unmatched", "match", "separator", "families"], &mistakes)
    var families: [JSON] = []
    var standard = Standard()
    var index = FamilyIndex()
    for (name, value) in members {
      do throws(JSON.Mistake) {
        switch name {
        case "unmatched": rules.exposesUnmatched = try value.choice("expose", "drop", name)
        case "match": standard.stopsAtFirst = try value.choice("first", "all", name)
        case "separator": standard.separator = try separator(value)
        default: families = try value.items()
        }
      } catch { mistakes.append(error) }
    }
    for item in families {
      if mistakes.count >= mistakeLimit {
        return mistakes.append(item.mistake("so many mistakes: the rest is not read"))
      }
      do throws(JSON.Mistake) {
        try family(item, standard, into: &rules, &index, &mistakes)
      } catch { mistakes.append(error) }
    }
  }

  /// The file's defaults for all events.
  private struct Standard {
    var stopsAtFirst = false
    var separator: UInt8 = 0
  }

  /// An entry of `families` as far as it has been parsed.
  private struct Entry {
    var family = FamilyRule(name: "", kind: .counter, help: "", labels: [], buckets: [])
    var kind: MetricType?
    var isEventsOwn = false
    var events: [Rule] = []
    var drops = false
    /// Steps that the file's regular expressions may still take.
    var regexSteps = 0
  }

  private static let memberNames =
    [
      "name", "type", "help", "labels", "constants", "buckets", "ttl", "events", "action",
      "other_tags", "honor_labels", "timings",
    ] + MetricMembers.names

  private static func family(
    _ json: JSON, _ standard: Standard, into rules: inout Rules, _ index: inout FamilyIndex,
    _ mistakes: inout [JSON.Mistake]
  ) throws(JSON.Mistake) {
    var entry = Entry(regexSteps: index.regexSteps)
    defer { index.regexSteps = entry.regexSteps }
    let members = try json.members(memberNames, &mistakes)
    for (name, value) in members {
      do throws(JSON.Mistake) {
        try read(name, value, into: &entry, standard, number: rules.families.count, &mistakes)
      } catch { mistakes.append(error) }
    }
    let has: (String) -> Bool = { name in members.contains { $0.name == name } }
    if entry.drops {
      if entry.events.isEmpty, !has("events") { throw json.mistake("\"drop\" needs \"events\"") }
      for (name, value) in members where name != "events" && name != "action" {
        mistakes.append(
          value.mistake(joined("\"", name, "\" has no meaning where the action is drop")))
      }
      for index in entry.events.indices { entry.events[index].family = nil }
      rules.rules += entry.events
      return
    }
    var family = entry.family
    if !has("name") { mistakes.append(json.mistake("a family needs a \"name\"")) }
    if let first = index.first(Array(family.name.utf8)) {
      further(&family, entry, first, in: rules, members, json, &index, &mistakes)
    } else {
      if !has("type") {
        mistakes.append(json.mistake("a family needs a \"type\": " + MetricMembers.types))
      }
      if has("timings"), !entry.isEventsOwn {
        mistakes.append(json.mistake("\"timings\" are for families whose \"type\" is \"event\""))
      }
      settle(&family, entry, members, json, &mistakes)
      index.insert(family, at: rules.families.count)
      if let line = index.clash(of: family) {
        mistakes.append(
          json.mistake(
            joined(line.name, " is a line of the family ", line.family, ": choose another name")))
      }
    }
    checkName(family, entry.events, json, &mistakes)
    checkLabels(family, entry.events, json, &mistakes)
    for event in entry.events where !index.hasRoom(forScale: event.scale) {
      mistakes.append(json.mistake("a file may have 200 different scales"))
    }
    rules.rules += entry.events
    rules.families.append(family)
  }

  /// Reads one member; `number` is the entry's in the list of families.
  private static func read(
    _ name: String, _ value: JSON, into entry: inout Entry, _ standard: Standard, number: Int,
    _ mistakes: inout [JSON.Mistake]
  ) throws(JSON.Mistake) {
    switch name {
    case "name": entry.family.name = try familyName(value)
    case "type": (entry.kind, entry.isEventsOwn) = try self.kind(value)
    case "timings":
      entry.family.timingKind =
        try value.choice("summary", "histogram", name) ? .summary : .histogram
    case "other_tags": try otherTags(value, into: &entry.family)
    case "honor_labels": entry.family.honorsTags = try value.flag()
    case "help": entry.family.help = try value.text()
    case "labels": entry.family.labels += try labels(value)
    case "constants":
      for (label, constant) in try few(try value.members(allowed: nil), value) {
        try check(label: label, at: constant)
        entry.family.labels.append((label, .constant(Template(try constant.text()))))
      }
    case "buckets": entry.family.buckets = try buckets(value)
    case "ttl": entry.family.ttlSeconds = try timeToLive(value)
    case "action": entry.drops = try value.choice("drop", "feed", name)
    case "events":
      for event in try value.items() where mistakes.count < mistakeLimit {
        do throws(JSON.Mistake) {
          var rule = try rule(event, standard, &entry.regexSteps, &mistakes)
          rule.family = number
          entry.events.append(rule)
        } catch { mistakes.append(error) }
      }
    default:
      guard let member = MetricMembers.table.first(where: { $0.name == name }) else { return }
      try member.read(value, entry.family.options)
    }
  }

  /// Gives a new family the kind that follows from its members, and its buckets.
  private static func settle(
    _ family: inout FamilyRule, _ entry: Entry, _ members: [(name: String, value: JSON)],
    _ json: JSON, _ mistakes: inout [JSON.Mistake]
  ) {
    var own = entry.isEventsOwn ? family.timingKind : entry.kind
    MetricMembers.finish(&own, family, members, &mistakes)
    if own == .histogram, family.buckets.isEmpty {
      family.buckets = FamilyRule.defaultBuckets
    } else if let own, !own.metric.hasBounds, !family.buckets.isEmpty {
      for (name, value) in members where name == "buckets" {
        mistakes.append(value.mistake("\"buckets\" are for histograms"))
      }
    }
    if entry.isEventsOwn, let own {
      family.kind = nil
      family.timingKind = own
    } else {
      family.kind = own ?? .counter
    }
  }

  /// Another entry has other events and labels for an existing family, and may have its own `ttl`,
  /// and its own buckets or quantiles in place of the first entry's, which decides the rest.
  private static func further(
    _ family: inout FamilyRule, _ entry: Entry, _ place: Int, in rules: Rules,
    _ members: [(name: String, value: JSON)], _ json: JSON, _ index: inout FamilyIndex,
    _ mistakes: inout [JSON.Mistake]
  ) {
    let first = rules.families[place]
    var hasForm = false
    for (name, value) in members {
      if ["help", "timings", "merge", "client", "minus", "exemplar", "exact"].contains(name) {
        mistakes.append(
          value.mistake(
            joined("\"", name, "\" belongs to the first entry of the family ", family.name)))
      } else if name == "buckets" || MetricMembers.names.contains(name) {
        hasForm = true
      }
    }
    if let kind = entry.kind, let known = first.kind, known.plain != kind {
      mistakes.append(
        json.mistake(joined("there is a family ", family.name, " of another type already")))
    }
    family.kind = first.kind
    family.timingKind = first.timingKind
    family.help = first.help
    if hasForm {
      var entry = entry
      entry.isEventsOwn = first.kind == nil
      entry.kind = first.kind?.plain
      family.timingKind = first.timingKind.plain
      family.options.exemplar = first.options.exemplar
      settle(&family, entry, members, json, &mistakes)
    } else {
      family.buckets = first.buckets
      family.options = first.options
    }
    family.sameAs = place
    if family.ttlSeconds == nil { family.ttlSeconds = first.ttlSeconds } else { hasForm = true }
    guard hasForm, family.formText != first.formText else { return }
    if !index.number(&family, at: rules.families.count) {
      mistakes.append(json.mistake("a family has at most 200 forms"))
    }
    if let same = family.sameAs { family.form = rules.families[same].form }
  }

  private static func rule(
    _ json: JSON, _ standard: Standard, _ steps: inout Int, _ mistakes: inout [JSON.Mistake]
  ) throws(JSON.Mistake) -> Rule {
    var event: String?
    var (hasEvent, hasRegex) = (false, false)
    var divider = standard.separator
    var rule = Rule(event: Pattern("*"), conditions: [], isLast: standard.stopsAtFirst)
    let known = ["event", "regex", "when", "match", "types", "scale", "separator"]
    for (name, value) in try json.members(known, &mistakes) {
      do throws(JSON.Mistake) {
        switch name {
        case "event":
          hasEvent = true
          event = try value.text()
        case "regex":
          hasRegex = true
          rule.regex = try regex(value, &steps)
        case "match": rule.isLast = try value.choice("first", "all", name)
        case "types": rule.kinds = try kinds(value)
        case "scale": rule.scale = try scale(value)
        case "separator": divider = try separator(value)
        default:
          for (tag, wanted) in try few(try value.members(allowed: nil), value) {
            rule.conditions.append(try condition(tag: Array(tag.utf8), wanted))
          }
        }
      } catch { mistakes.append(error) }
    }
    if hasRegex {
      if hasEvent { throw json.mistake("an event has an \"event\" or a \"regex\", not both") }
      rule.event = Pattern(
        String(decoding: rule.regex?.prefix ?? [], as: UTF8.self) + "**")
      return rule
    }
    if !hasEvent { throw json.mistake("an event needs an \"event\": a name, or a glob with *") }
    rule.event = Pattern(event ?? "*", separator: divider)
    return rule
  }
}
