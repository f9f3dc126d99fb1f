import Platform

/// What a reader of a document asks of its values.
extension JSON {
  func mistake(_ message: String) -> Mistake {
    Mistake(position: position, message: message)
  }

  func text() throws(Mistake) -> String {
    guard case .string(let text) = value else { throw mistake("expected a string") }
    return text
  }

  func flag() throws(Mistake) -> Bool {
    guard case .bool(let flag) = value else { throw mistake("expected true or false") }
    return flag
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
