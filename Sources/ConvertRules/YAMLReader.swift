import SidecarRules

/// Reads the YAML of mapping files into values that know their positions: mappings and sequences by
/// indentation, `[…]` and `{…}`, plain and quoted text over several lines, comments. Every plain
/// value is text, so `200` and `1.10` stay as written, except `~` and `null`, which are null. It
/// reads anchors, aliases, `<<` and block text (`|`, `>`), and of several documents the first.
///
/// Not supported, and reported: tags, keys over several lines.
struct YAMLReader {
  /// A line with something on it.
  struct Line {
    /// Columns from 0.
    var indent: Int
    /// The offset of its first byte that is not a space, and the one after its last.
    var start: Int
    var end: Int
    var number: Int
    /// The offset of its first byte.
    var first: Int
  }

  let text: [UInt8]
  var lines: [Line] = []
  var next = 0
  /// Values with an anchor.
  var anchors: [String: Anchor] = [:]
  /// The number of values read; those of an alias count again.
  var valueCount = 0
  var depth = 0
  /// The line asked for last, where the search for the next one begins.
  var lastLine = 0

  static func parse(_ text: [UInt8]) throws(JSON.Mistake) -> JSON {
    var reader = YAMLReader(text)
    try reader.split()
    guard !reader.lines.isEmpty else {
      return JSON(value: .object([]), position: JSON.Position())
    }
    let json = try reader.block(reader.lines[0].indent, parent: -1)
    if reader.next < reader.lines.count {
      throw reader.mistake("less or more indentation than the lines before")
    }
    return json
  }

  private init(_ text: [UInt8]) { self.text = text }

  // MARK: Lines

  private mutating func split() throws(JSON.Mistake) {
    var start = 0
    var number = 1
    while start < text.count {
      var end = start
      while end < text.count, text[end] != 10 { end += 1 }
      var first = start
      while first < end, text[first] == 32 { first += 1 }
      let line = Line(
        indent: first - start, start: first, end: withoutComment(first, end), number: number,
        first: start)
      if first < end, text[first] == 9 {
        throw JSON.Mistake(
          position: position(line, first), message: "a tab: YAML takes spaces at a line's start")
      }
      if isMarker(line) {
        // Nothing of a second document is read.
        if !lines.isEmpty { return }
      } else if line.end > line.start {
        lines.append(line)
      }
      start = end + 1
      number += 1
    }
  }

  /// `---` and `...`, which stand around a document, and `%` lines before it.
  private func isMarker(_ line: Line) -> Bool {
    guard line.indent == 0, line.end > line.start else { return false }
    let bytes = text[line.start..<line.end]
    return bytes.elementsEqual("---".utf8) || bytes.elementsEqual("...".utf8)
      || bytes.first == 37 && lines.isEmpty
  }

  private func withoutComment(_ start: Int, _ end: Int) -> Int {
    var quote: UInt8 = 0
    var index = start
    var last = start
    while index < end {
      let byte = text[index]
      if quote != 0 {
        if byte == 92, quote == 34 { index += 1 } else if byte == quote { quote = 0 }
      } else if byte == 35, index == start || text[index - 1] == 32 || text[index - 1] == 9 {
        break
      } else if byte == 34 || byte == 39, opensQuote(index, start) {
        quote = byte
      }
      index += 1
      if byte > 32 { last = min(index, end) }
    }
    return last
  }

  /// Whether a value can start at `index`: an apostrophe inside a word does not start one.
  private func opensQuote(_ index: Int, _ start: Int) -> Bool {
    guard index > start else { return true }
    let before = text[index - 1]
    return before <= 32 || before == 44 || before == 91 || before == 123 || before == 58
  }

  func position(_ line: Line, _ index: Int) -> JSON.Position {
    JSON.Position(line: line.number, column: index - line.first + 1)
  }

  func mistake(_ message: String) -> JSON.Mistake {
    let line = lines[min(next, lines.count - 1)]
    return JSON.Mistake(position: position(line, line.start), message: message)
  }

  // MARK: Blocks

  private func isItem(_ line: Line) -> Bool {
    text[line.start] == 45 && (line.end == line.start + 1 || text[line.start + 1] == 32)
  }

  /// The lines from `next` on with this indentation. `parent` is the indentation of the value they
  /// belong to.
  mutating func block(_ indent: Int, parent: Int) throws(JSON.Mistake) -> JSON {
    depth += 1
    defer { depth -= 1 }
    if depth > 64 { throw mistake("values are nested more than 64 deep") }
    try count(position(lines[next], lines[next].start))
    let line = lines[next]
    var first = line.start
    if let name = try anchor(&first, line) {
      lines[next].start = first
      return try named(name) { (reader) throws(JSON.Mistake) in
        // The value after it, or on the following lines.
        if reader.lines[reader.next].start < line.end {
          return try reader.block(indent, parent: parent)
        }
        reader.next += 1
        return try reader.below(parent, line)
      }
    }
    let start = position(lines[next], lines[next].start)
    if isItem(lines[next]) {
      return JSON(value: .array(try sequence(indent)), position: start)
    }
    if keyEnd(lines[next]) != nil {
      return JSON(value: .object(try mapping(indent)), position: start)
    }
    return try scalarLine(lines[next].start, parent)
  }

  private mutating func sequence(_ indent: Int) throws(JSON.Mistake) -> [JSON] {
    var items: [JSON] = []
    while next < lines.count, lines[next].indent == indent, isItem(lines[next]) {
      let line = lines[next]
      var first = line.start + 1
      while first < line.end, text[first] == 32 { first += 1 }
      if first < line.end {
        // The text after the dash is a line of its own, with that much more indentation.
        lines[next].indent += first - line.start
        lines[next].start = first
        items.append(try block(lines[next].indent, parent: indent))
      } else {
        next += 1
        items.append(try below(indent, line))
      }
    }
    return items
  }

  private mutating func mapping(
    _ indent: Int
  ) throws(JSON.Mistake) -> [(name: String, value: JSON)] {
    var members: [(name: String, value: JSON)] = []
    var names: Set<String> = []
    var merged: [JSON] = []
    while next < lines.count, lines[next].indent == indent, !isItem(lines[next]) {
      let line = lines[next]
      guard let end = keyEnd(line) else { throw mistake("expected name: value") }
      var at = line.start
      let key = try text(&at, line, isFlow: false, end: end)
      if !names.insert(key).inserted { throw mistake("this name is there twice") }
      var first = end + 1
      while first < line.end, text[first] == 32 || text[first] == 9 { first += 1 }
      let value = try value(first, line, indent)
      if key == "<<" { try merge(value, into: &merged) } else { members.append((key, value)) }
    }
    add(merged, to: &members, names)
    return members
  }

  /// The value of a name: from `first` on in its line, or on the following lines.
  private mutating func value(
    _ first: Int, _ line: Line, _ indent: Int
  ) throws(JSON.Mistake) -> JSON {
    var first = first
    if first < line.end {
      try count(position(line, first))
      if let name = try anchor(&first, line) {
        return try named(name) { (reader) throws(JSON.Mistake) in
          try reader.value(first, line, indent)
        }
      }
      return try scalarLine(first, indent)
    }
    next += 1
    // A sequence may have the indentation of its name.
    if next < lines.count, lines[next].indent == indent, isItem(lines[next]) {
      return try block(indent, parent: indent - 1)
    }
    return try below(indent, line)
  }

  /// The value that is indented more than `indent`, if there is one.
  mutating func below(_ indent: Int, _ line: Line) throws(JSON.Mistake) -> JSON {
    if next < lines.count, lines[next].indent > indent {
      return try block(lines[next].indent, parent: indent)
    }
    return JSON(value: .null, position: position(line, line.start))
  }

  /// The position of the colon after a line's name; `nil` for a line without one.
  func keyEnd(_ line: Line) -> Int? {
    var index = line.start
    let first = text[index]
    if first == 91 || first == 123 { return nil }
    if first == 34 || first == 39 {
      index += 1
      while index < line.end, text[index] != first { index += text[index] == 92 ? 2 : 1 }
    }
    while index < line.end {
      if text[index] == 58, index + 1 == line.end || text[index + 1] <= 32 { return index }
      index += 1
    }
    return nil
  }
}
