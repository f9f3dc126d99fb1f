import SidecarPlatform
import SidecarRules

/// Parses the values of members of a rules file.
extension RuleFile {
  /// In seconds; 0 is forever.
  static func timeToLive(_ json: JSON) throws(JSON.Mistake) -> Int64 {
    // A hundred years: as nanoseconds within 64 bits.
    guard let ttl = Quantity.milliseconds(try json.text()), ttl == 0 || ttl >= 1000,
      ttl <= 36_525 * 86_400_000
    else {
      throw json.mistake(
        "expected a time from 1s to 36525d, such as \"10m\", or \"0\" for no end")
    }
    return ttl / 1000
  }

  static func condition(tag: [UInt8], _ json: JSON) throws(JSON.Mistake) -> Condition {
    if case .object = json.value {
      let members = try json.members(allowed: ["not"])
      guard let (_, negated) = members.first else { throw json.mistake("expected \"not\"") }
      return Condition(tag: tag, patterns: try patterns(negated), isNegated: true)
    }
    return Condition(tag: tag, patterns: try patterns(json), isNegated: false)
  }

  static func patterns(_ json: JSON) throws(JSON.Mistake) -> [Pattern] {
    if case .string(let text) = json.value { return [Pattern(text)] }
    guard case .array(let items) = json.value else {
      throw json.mistake("expected a text, or a list of texts")
    }
    var list: [Pattern] = []
    for item in items { list.append(Pattern(try item.text())) }
    return list
  }

  /// A family's type; with `event` the first event decides it.
  static func kind(
    _ json: JSON
  ) throws(JSON.Mistake) -> (kind: MetricType?, isEventsOwn: Bool) {
    switch try json.text() {
    case "counter": return (.counter, false)
    case "gauge": return (.gauge, false)
    case "histogram": return (.histogram, false)
    case "summary": return (.summary, false)
    case "set": return (.set, false)
    case "event": return (nil, true)
    default: throw json.mistake("\"type\" is " + MetricMembers.types)
    }
  }

  /// The kinds of events that a rule accepts: one, or a list.
  static func kinds(_ json: JSON) throws(JSON.Mistake) -> [MetricType] {
    if case .array(let items) = json.value {
      var list: [MetricType] = []
      for item in items { list += try kinds(item) }
      return list
    }
    switch try json.text() {
    case "counter": return [.counter]
    case "gauge": return [.gauge]
    case "timing": return [.histogram]
    case "set": return [.set]
    default: throw json.mistake("\"types\" are counter, gauge, timing or set")
    }
  }

  static func scale(_ json: JSON) throws(JSON.Mistake) -> Double {
    guard case .number(let number) = json.value, number != 0, number.isFinite else {
      throw json.mistake("expected a number that is not 0")
    }
    return number
  }

  static func separator(_ json: JSON) throws(JSON.Mistake) -> UInt8 {
    let text = try json.text()
    guard text.utf8.count <= 1, text != "*" else {
      throw json.mistake("a separator is one character, such as \".\", or \"\" for none")
    }
    return text.utf8.first ?? 0
  }

  /// A regular expression within `steps`, from which it subtracts its own.
  static func regex(
    _ json: JSON, _ steps: inout Int
  ) throws(JSON.Mistake) -> RegularExpression {
    let text = Array(try json.text().utf8)
    do throws(RegularExpression.Mistake) {
      let regex = try RegularExpression(
        text, stepLimit: min(steps, RegularExpression.stepLimit))
      steps -= regex.stepCount
      return regex
    } catch {
      throw json.mistake(
        joined("\"regex\", byte ", (error.offset + 1).description, ": ", error.message))
    }
  }

  static func otherTags(
    _ json: JSON, into family: inout FamilyRule
  ) throws(JSON.Mistake) {
    if case .object = json.value {
      guard let (_, except) = try json.members(allowed: ["except"]).first else {
        throw json.mistake("expected \"except\"")
      }
      family.droppedTags = try patterns(except)
      family.keepsOtherTags = true
    } else {
      family.keepsOtherTags = try json.choice("keep", "drop", "other_tags")
    }
  }

  static func familyName(_ json: JSON) throws(JSON.Mistake) -> String {
    let name = try json.text()
    // A capture is turned into a valid name when an event arrives.
    let template = Template(name)
    let plain = template.captureCount == 0 ? name : template.sample
    guard Names.isFamilyName(plain) else {
      throw json.mistake("a family's name has letters, digits, _ and :, and starts with no digit")
    }
    if name == "_total" { throw json.mistake("_total needs a name before it") }
    if Names.isReserved(Array(plain.utf8)) {
      throw json.mistake(
        "metrics_sidecar_, process_ and the times of pushes are the sidecar's own names")
    }
    return name
  }

  /// Members that an entry may have several of.
  static func few<Item>(_ items: [Item], _ json: JSON) throws(JSON.Mistake) -> [Item] {
    guard items.count <= labelLimit else {
      throw json.mistake("more than 256 of them: a series never has so many labels")
    }
    return items
  }

  static func labels(_ json: JSON) throws(JSON.Mistake) -> [(
    name: String, source: FamilyRule.Source
  )] {
    var list: [(name: String, source: FamilyRule.Source)] = []
    if case .array(let items) = json.value {
      for item in try few(items, json) {
        let name = try item.text()
        try check(label: name, at: item)
        list.append((name, .tag(Array(name.utf8))))
      }
    } else {
      guard case .object(let members) = json.value else {
        throw json.mistake("\"labels\" is a list of tags, or an object of labels and their tags")
      }
      for (name, tag) in try few(members, json) {
        try check(label: name, at: tag)
        list.append((name, .tag(Array(try tag.text().utf8))))
      }
    }
    return list
  }

  static func check(label: String, at json: JSON) throws(JSON.Mistake) {
    guard Names.isLabelName(label) else {
      throw json.mistake("a label's name has letters, digits and _, and starts with no digit or __")
    }
    if label == "le" || label == "overflow" {
      throw json.mistake(joined("the label ", label, " is the sidecar's own"))
    }
  }

  static func buckets(_ json: JSON) throws(JSON.Mistake) -> [Double] {
    var bounds: [Double] = []
    for item in try json.items() {
      guard case .number(let bound) = item.value, bound.isFinite else {
        throw item.mistake("expected a number")
      }
      if let last = bounds.last, bound <= last {
        throw item.mistake("each bucket is above the one before it")
      }
      bounds.append(bound)
    }
    if bounds.isEmpty || bounds.count > 200 { throw json.mistake("expected from 1 to 200 buckets") }
    return bounds
  }
}
