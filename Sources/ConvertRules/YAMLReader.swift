import SidecarRules

/// The YAML that people write mapping files in, as values that know where they stood: mappings and
/// sequences by indentation, `[…]` and `{…}`, plain and quoted text over any lines, comments. Every plain
/// value is text, so `200` and `1.10` stay as written, but `~` and `null`, which are nothing. Of several
/// documents the first is read.
///
/// Not read, and told: anchors and aliases, tags, block text (`|`, `>`), keys over several lines.
struct YAMLReader {
  /// A line with something on it.
  struct Line {
    /// Columns from 0.
    var indent: Int
    /// Of its first byte that is no space, and behind its last.
    var start: Int
    var end: Int
    var number: Int
    var column: Int { indent + 1 }
  }

  let text: [UInt8]
  private var lines: [Line] = []
  private var next = 0
  private var depth = 0
  /// The line that was asked for last, where the next one is looked for.
  private var lastLine = 0

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
        indent: first - start, start: first, end: withoutComment(first, end), number: number)
      if first < end, text[first] == 9 {
        throw JSON.Mistake(
          position: position(line, first), message: "a tab: YAML takes spaces at a line's start")
      }
      if isMarker(line) {
        // Of a second document nothing is read.
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

  /// Whether a value can start at `index`: an apostrophe inside a word is none.
  private func opensQuote(_ index: Int, _ start: Int) -> Bool {
    guard index > start else { return true }
    let before = text[index - 1]
    return before <= 32 || before == 44 || before == 91 || before == 123 || before == 58
  }

  func position(_ line: Line, _ index: Int) -> JSON.Position {
    JSON.Position(line: line.number, column: line.column + index - line.start)
  }

  private func mistake(_ message: String) -> JSON.Mistake {
    let line = lines[min(next, lines.count - 1)]
    return JSON.Mistake(position: position(line, line.start), message: message)
  }

  // MARK: Blocks

  private func isItem(_ line: Line) -> Bool {
    text[line.start] == 45 && (line.end == line.start + 1 || text[line.start + 1] == 32)
  }

  /// The lines from `next` on that have this indentation.
  /// `parent` is the indentation of what they belong to.
  private mutating func block(_ indent: Int, parent: Int) throws(JSON.Mistake) -> JSON {
    depth += 1
    defer { depth -= 1 }
    if depth > 64 { throw mistake("values are nested more than 64 deep") }
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
        // What follows the dash is a line of its own, so far to the right.
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
    while next < lines.count, lines[next].indent == indent, !isItem(lines[next]) {
      let line = lines[next]
      guard let end = keyEnd(line) else { throw mistake("expected name: value") }
      var at = line.start
      let key = try text(&at, line, isFlow: false, end: end)
      if !names.insert(key).inserted { throw mistake("this name is there twice") }
      var first = end + 1
      while first < line.end, text[first] == 32 || text[first] == 9 { first += 1 }
      if first < line.end {
        members.append((key, try scalarLine(first, indent)))
      } else {
        next += 1
        // A sequence may stand as far left as its name.
        if next < lines.count, lines[next].indent == indent, isItem(lines[next]) {
          members.append((key, try block(indent, parent: indent - 1)))
        } else {
          members.append((key, try below(indent, line)))
        }
      }
    }
    return members
  }

  /// What stands further right than `indent`, if there is something.
  private mutating func below(_ indent: Int, _ line: Line) throws(JSON.Mistake) -> JSON {
    if next < lines.count, lines[next].indent > indent {
      return try block(lines[next].indent, parent: indent)
    }
    return JSON(value: .null, position: position(line, line.start))
  }

  /// Where the colon behind a line's name is; `nil` for a line without.
  private func keyEnd(_ line: Line) -> Int? {
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

  // MARK: Values

  /// A value that starts at `first` in the line `next`, and takes whole lines. Those that stand further
  /// right than `parent` belong to a plain text, too.
  private mutating func scalarLine(_ first: Int, _ parent: Int) throws(JSON.Mistake) -> JSON {
    let line = lines[next]
    var index = first
    let start = position(line, first)
    switch text[first] {
    case 91, 123:
      let value = try flow(&index)
      skipSpace(&index)
      while next < lines.count, lines[next].end <= index { next += 1 }
      if next < lines.count, lines[next].start < index {
        throw JSON.Mistake(position: start, message: "there is more behind the end of the value")
      }
      return value
    case 38, 42, 33:
      throw JSON.Mistake(
        position: start, message: "anchors, aliases and tags are not read: write the value here")
    case 124, 62:
      throw JSON.Mistake(
        position: start, message: "text over several lines is not read: write it in one, in quotes")
    case 34, 39:
      let value = try quoted(&index, start)
      var end = index
      while end < text.count, text[end] != 10, text[end] <= 32 { end += 1 }
      guard end == text.count || text[end] == 10 || text[end] == 35 && end > index else {
        throw JSON.Mistake(position: start, message: "there is more behind the closing quote")
      }
      while next < lines.count, lines[next].start < index { next += 1 }
      return JSON(value: .string(value), position: start)
    default:
      let value = try text(&index, line, isFlow: false, end: line.end)
      next += 1
      return try wrapped(value, line, parent, start)
    }
  }

  /// A plain text with the lines that go on with it: a line's end is a blank, empty lines are newlines.
  private mutating func wrapped(
    _ first: String, _ line: Line, _ parent: Int, _ start: JSON.Position
  ) throws(JSON.Mistake) -> JSON {
    var value = first
    var number = line.number
    while next < lines.count, lines[next].indent > parent {
      let more = lines[next]
      if keyEnd(more) != nil { throw mistake("less or more indentation than the lines before") }
      let empty = more.number - number - 1
      if empty == 0 { value += " " }
      for _ in 0..<empty { value += "\n" }
      value += String(decoding: text[more.start..<more.end], as: UTF8.self)
      number = more.number
      next += 1
    }
    let isNull = number == line.number && Self.isNull(first)
    return JSON(value: isNull ? .null : .string(value), position: start)
  }

  private static func isNull(_ word: String) -> Bool {
    word == "~" || word == "null" || word == "Null" || word == "NULL"
  }

  private mutating func flow(_ index: inout Int) throws(JSON.Mistake) -> JSON {
    depth += 1
    defer { depth -= 1 }
    let start = here(index)
    if depth > 64 {
      throw JSON.Mistake(position: start, message: "values are nested more than 64 deep")
    }
    guard index < text.count else {
      throw JSON.Mistake(position: start, message: "a list that does not end")
    }
    let opening = text[index]
    guard opening == 91 || opening == 123 else {
      let isQuoted = opening == 34 || opening == 39
      let value = try text(&index, lines[lineIndex(index)], isFlow: true, end: text.count)
      let isNull = !isQuoted && Self.isNull(value)
      return JSON(value: isNull ? .null : .string(value), position: start)
    }
    index += 1
    var names: Set<String> = []
    var items: [JSON] = []
    var members: [(name: String, value: JSON)] = []
    while true {
      skipSpace(&index)
      guard index < text.count else {
        throw JSON.Mistake(position: start, message: "a list that does not end")
      }
      if text[index] == opening + 2 { break }
      if opening == 123 {
        let key = try text(&index, lines[lineIndex(index)], isFlow: true, end: text.count)
        skipSpace(&index)
        guard index < text.count, text[index] == 58 else {
          throw JSON.Mistake(position: here(index), message: "expected name: value")
        }
        index += 1
        skipSpace(&index)
        if !names.insert(key).inserted {
          throw JSON.Mistake(position: here(index), message: "this name is there twice")
        }
        if index < text.count, text[index] == 44 || text[index] == 125 {
          members.append((key, JSON(value: .null, position: here(index))))
        } else {
          members.append((key, try flow(&index)))
        }
      } else {
        items.append(try flow(&index))
      }
      skipSpace(&index)
      if index < text.count, text[index] == 44 {
        index += 1
      } else if index < text.count, text[index] != opening + 2 {
        throw JSON.Mistake(position: here(index), message: "expected a comma")
      }
    }
    index += 1
    return JSON(value: opening == 91 ? .array(items) : .object(members), position: start)
  }

  private func skipSpace(_ index: inout Int) {
    while index < text.count {
      if text[index] <= 32 {
        index += 1
      } else if text[index] == 35, text[index - 1] <= 32 {
        while index < text.count, text[index] != 10 { index += 1 }
      } else {
        return
      }
    }
  }

  /// Places are asked for one after the other, so this costs no look at every line.
  private mutating func lineIndex(_ index: Int) -> Int {
    let isBehind = lastLine < lines.count && lastLine >= next && lines[lastLine].start <= index
    var found = isBehind ? lastLine : next
    defer { lastLine = found }
    while found + 1 < lines.count, lines[found + 1].start <= index { found += 1 }
    return min(found, lines.count - 1)
  }

  private mutating func here(_ index: Int) -> JSON.Position {
    let line = lines[lineIndex(index)]
    return position(line, max(index, line.start))
  }
}
