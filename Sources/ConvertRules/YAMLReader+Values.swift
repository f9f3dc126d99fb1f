import SidecarRules

/// Values in blocks.
extension YAMLReader {
  /// A value that starts at `first` in the line `next`, and takes whole lines. Lines indented more
  /// than `parent` belong to a plain text, too.
  mutating func scalarLine(_ first: Int, _ parent: Int) throws(JSON.Mistake) -> JSON {
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
    case 42:
      let value = try alias(&index, line.end)
      while index < line.end, text[index] <= 32 { index += 1 }
      if index < line.end {
        throw JSON.Mistake(position: start, message: "there is more behind the alias")
      }
      next += 1
      return value
    case 33:
      throw JSON.Mistake(position: start, message: "tags are not read: write the value alone")
    case 124, 62:
      return JSON(value: .string(try blockText(first, line, parent)), position: start)
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

  /// A plain text with the lines that continue it: a line end becomes a blank, an empty line a
  /// newline.
  mutating func wrapped(
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

  static func isNull(_ word: String) -> Bool {
    word == "~" || word == "null" || word == "Null" || word == "NULL"
  }
}
