/// The YAML that people write mapping files in, as values that know where they stood: mappings and
/// sequences by indentation, `[…]` and `{…}`, plain and quoted text, comments. Every plain value is
/// text, so `200` and `1.10` stay as written.
///
/// Not read, and told: anchors and aliases, tags, block text (`|`, `>`), keys over several lines.
struct YAMLReader {
  /// A line with something on it.
  private struct Line {
    /// Columns from 0.
    var indent: Int
    /// Of its first byte that is no space, and behind its last.
    var start: Int
    var end: Int
    var number: Int
    var column: Int { indent + 1 }
  }

  private let text: [UInt8]
  private var lines: [Line] = []
  private var next = 0
  private var depth = 0

  static func parse(_ text: [UInt8]) throws(JSON.Mistake) -> JSON {
    var reader = YAMLReader(text)
    try reader.split()
    guard !reader.lines.isEmpty else {
      return JSON(value: .object([]), position: JSON.Position())
    }
    let json = try reader.block(reader.lines[0].indent)
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
      if line.end > line.start, !isMarker(line) { lines.append(line) }
      start = end + 1
      number += 1
    }
  }

  /// `---` and `...`, which stand around a document, and `%` lines before it.
  private func isMarker(_ line: Line) -> Bool {
    guard line.indent == 0 else { return false }
    let bytes = text[line.start..<line.end]
    return bytes.elementsEqual("---".utf8) || bytes.elementsEqual("...".utf8) || bytes.first == 37
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

  private func position(_ line: Line, _ index: Int) -> JSON.Position {
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
  private mutating func block(_ indent: Int) throws(JSON.Mistake) -> JSON {
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
    return try scalarLine(lines[next].start)
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
        items.append(try block(lines[next].indent))
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
    while next < lines.count, lines[next].indent == indent, !isItem(lines[next]) {
      let line = lines[next]
      guard let end = keyEnd(line) else { throw mistake("expected name: value") }
      var at = line.start
      let key = try text(&at, line, isFlow: false, end: end)
      for member in members where member.name == key {
        throw mistake("this name is there twice")
      }
      var first = end + 1
      while first < line.end, text[first] == 32 || text[first] == 9 { first += 1 }
      if first < line.end {
        members.append((key, try scalarLine(first)))
      } else {
        next += 1
        // A sequence may stand as far left as its name.
        if next < lines.count, lines[next].indent == indent, isItem(lines[next]) {
          members.append((key, try block(indent)))
        } else {
          members.append((key, try below(indent, line)))
        }
      }
    }
    return members
  }

  /// What stands further right than `indent`; nothing is the empty text.
  private mutating func below(_ indent: Int, _ line: Line) throws(JSON.Mistake) -> JSON {
    if next < lines.count, lines[next].indent > indent { return try block(lines[next].indent) }
    return JSON(value: .string(""), position: position(line, line.start))
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

  /// A value that starts at `first` in the line `next`, and takes whole lines.
  private mutating func scalarLine(_ first: Int) throws(JSON.Mistake) -> JSON {
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
    default:
      let value = try text(&index, line, isFlow: false, end: line.end)
      next += 1
      return JSON(value: .string(value), position: start)
    }
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
      let value = try text(&index, lines[lineIndex(index)], isFlow: true, end: text.count)
      return JSON(value: .string(value), position: start)
    }
    index += 1
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
        for member in members where member.name == key {
          throw JSON.Mistake(position: here(index), message: "this name is there twice")
        }
        members.append((key, try flow(&index)))
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

  private func lineIndex(_ index: Int) -> Int {
    var found = next
    while found + 1 < lines.count, lines[found + 1].start <= index { found += 1 }
    return min(found, lines.count - 1)
  }

  private func here(_ index: Int) -> JSON.Position {
    let line = lines[lineIndex(index)]
    return position(line, max(index, line.start))
  }

  /// One text, quoted or plain, that starts at `index` and ends before `end`.
  private func text(
    _ index: inout Int, _ line: Line, isFlow: Bool, end: Int
  ) throws(JSON.Mistake) -> String {
    let start = position(line, index)
    let quote = index < end ? text[index] : 0
    var bytes: [UInt8] = []
    guard quote == 34 || quote == 39 else {
      while index < end {
        let byte = text[index]
        if byte == 10 { break }
        if isFlow, byte == 44 || byte == 93 || byte == 125 || byte == 91 || byte == 123 { break }
        if isFlow, byte == 58, index + 1 < end, text[index + 1] <= 32 { break }
        bytes.append(byte)
        index += 1
      }
      while let last = bytes.last, last <= 32 { bytes.removeLast() }
      if isFlow, bytes.isEmpty {
        throw JSON.Mistake(position: start, message: "a value is missing")
      }
      return String(decoding: bytes, as: UTF8.self)
    }
    index += 1
    while index < end, text[index] != 10 {
      let byte = text[index]
      index += 1
      if byte == quote {
        // A doubled apostrophe is one.
        if quote == 39, index < end, text[index] == 39 {
          bytes.append(39)
          index += 1
          continue
        }
        if !isFlow, text[index..<end].contains(where: { $0 > 32 }) {
          throw JSON.Mistake(position: start, message: "there is more behind the closing quote")
        }
        return String(decoding: bytes, as: UTF8.self)
      }
      if byte == 92, quote == 34, index < end {
        switch text[index] {
        case 110: bytes.append(10)
        case 116: bytes.append(9)
        default: bytes.append(text[index])
        }
        index += 1
      } else {
        bytes.append(byte)
      }
    }
    throw JSON.Mistake(position: start, message: "a text whose quote does not end in its line")
  }
}
