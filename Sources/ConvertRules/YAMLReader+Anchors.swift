import SidecarPlatform
import SidecarRules

/// Anchors (`&name`), aliases (`*name`) and `<<`, which merges the members of other objects.
///
/// What must stay true: an alias counts as if its value were written there, so that a few lines
/// cannot expand to millions of values.
extension YAMLReader {
  struct Anchor {
    let value: JSON
    /// The number of values it contains.
    let count: Int
  }

  static let valueLimit = 200_000

  /// Counts a value that begins at `start`.
  mutating func count(_ start: JSON.Position, _ more: Int = 1) throws(JSON.Mistake) {
    valueCount += more
    if valueCount > Self.valueLimit {
      throw JSON.Mistake(
        position: start, message: "more than 200,000 values, those of aliases among them")
    }
  }

  /// The name of an anchor at `index`, which then points past it and the following blanks.
  mutating func anchor(_ index: inout Int, _ line: Line) throws(JSON.Mistake) -> String? {
    guard index < line.end, text[index] == 38 else { return nil }
    let start = position(line, index)
    let name = word(&index, line.end)
    if name.isEmpty {
      throw JSON.Mistake(position: start, message: "an & without a name")
    }
    while index < line.end, text[index] <= 32 { index += 1 }
    return name
  }

  /// Reads a value and stores it under a name.
  mutating func named(
    _ name: String, _ read: (inout YAMLReader) throws(JSON.Mistake) -> JSON
  ) throws(JSON.Mistake) -> JSON {
    let before = valueCount
    let value = try read(&self)
    anchors[name] = Anchor(value: value, count: valueCount - before + 1)
    return value
  }

  /// The value of an alias at `index`, as if it were written there.
  mutating func alias(_ index: inout Int, _ end: Int) throws(JSON.Mistake) -> JSON {
    let start = here(index)
    let name = word(&index, end)
    guard let anchor = anchors[name] else {
      throw JSON.Mistake(position: start, message: joined("there is no &", name, " before this"))
    }
    try count(start, anchor.count)
    return JSON(value: anchor.value.value, position: start)
  }

  /// The word after `&` or `*`.
  private func word(_ index: inout Int, _ end: Int) -> String {
    index += 1
    let first = index
    while index < end, text[index] > 32, ![44, 91, 93, 123, 125].contains(text[index]) {
      index += 1
    }
    return String(decoding: text[first..<index], as: UTF8.self)
  }

  /// The value of `<<`: an object, or a list of them.
  func merge(_ value: JSON, into merged: inout [JSON]) throws(JSON.Mistake) {
    switch value.value {
    case .object: merged.append(value)
    case .array(let items): for item in items { try merge(item, into: &merged) }
    default: throw value.mistake("<< takes an alias of names and values")
    }
  }

  /// Adds members that are not there already; of several with one name the first.
  func add(
    _ merged: [JSON], to members: inout [(name: String, value: JSON)], _ names: Set<String>
  ) {
    var names = names
    for json in merged {
      guard case .object(let others) = json.value else { continue }
      for other in others where names.insert(other.name).inserted { members.append(other) }
    }
  }
}
