import SidecarPlatform
import SidecarRules

/// Typed access to the values of a document.
extension JSON {
  func flag() throws(Mistake) -> Bool {
    guard case .bool(let flag) = value else { throw mistake("expected true or false") }
    return flag
  }

  /// Whether the text is `yes`; a mistake if it is not `no` either.
  func choice(
    _ yes: String, _ no: String, _ name: String
  ) throws(Mistake) -> Bool {
    let text = try text()
    if text == yes { return true }
    guard text == no else {
      throw mistake(joined("\"", name, "\" is \"", yes, "\" or \"", no, "\""))
    }
    return false
  }

  /// The known members; others are mistakes.
  func members(
    _ known: [String], _ mistakes: inout [Mistake]
  ) throws(Mistake) -> [(name: String, value: JSON)] {
    var list: [(name: String, value: JSON)] = []
    for (name, value) in try members(allowed: nil) {
      if known.contains(name) { list.append((name, value)); continue }
      if mistakes.count >= RuleFile.mistakeLimit { continue }
      mistakes.append(value.mistake(Self.unknown(name, known)))
    }
    return list
  }

  func members(
    allowed: [String]?
  ) throws(Mistake) -> [(name: String, value: JSON)] {
    guard case .object(let members) = value else { throw mistake("expected an object: { … }") }
    guard let allowed else { return members }
    for (name, value) in members where !allowed.contains(name) {
      throw value.mistake(Self.unknown(name, allowed))
    }
    return members
  }

  private static func unknown(_ name: String, _ known: [String]) -> String {
    if let near = Spelling.closest(to: name, among: known) {
      return joined("unknown name \"", name, "\": did you mean \"", near, "\"?")
    }
    var list = ""
    for word in known { list = joined(list, list.isEmpty ? "" : ", ", word) }
    return joined("unknown name \"", name, "\": here may stand ", list)
  }
}
