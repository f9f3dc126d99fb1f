import SidecarPlatform
import SidecarRules

/// Names and labels of a family.
extension RuleFile {
  static func checkName(
    _ family: FamilyRule, _ events: [Rule], _ json: JSON, _ mistakes: inout [JSON.Mistake]
  ) {
    guard let template = family.nameTemplate else { return }
    if events.contains(where: { $0.captureCount < template.captureCount }) {
      mistakes.append(
        json.mistake(tooFewStars(template, family.name)))
    }
  }

  static func tooFewStars(_ template: Template, _ name: String) -> String {
    joined(
      "$", template.captureCount.description, " in ", name,
      ": an event of this family has fewer * or groups")
  }

  /// The most labels that a series may ever have, by `--max-labels`.
  static let labelLimit = 256

  /// Each label once, and no capture that one of the events does not have.
  static func checkLabels(
    _ family: FamilyRule, _ events: [Rule], _ json: JSON, _ mistakes: inout [JSON.Mistake]
  ) {
    guard family.labels.count <= labelLimit else {
      return mistakes.append(json.mistake("a family has at most 256 labels"))
    }
    var stars = Int.max
    for event in events { stars = min(stars, event.captureCount) }
    var names: Set<String> = []
    for label in family.labels {
      if !names.insert(label.name).inserted {
        mistakes.append(json.mistake(joined("the label ", label.name, " is there twice")))
      }
      guard case .constant(let template) = label.source else { continue }
      if stars < template.captureCount {
        mistakes.append(
          json.mistake(tooFewStars(template, label.name)))
      }
    }
  }
}
