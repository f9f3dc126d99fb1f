import SidecarRules

/// Values in brackets and braces, which may span lines.
extension YAMLReader {
  mutating func flow(_ index: inout Int) throws(JSON.Mistake) -> JSON {
    depth += 1
    defer { depth -= 1 }
    let start = here(index)
    if depth > 64 {
      throw JSON.Mistake(position: start, message: "values are nested more than 64 deep")
    }
    guard index < text.count else {
      throw JSON.Mistake(position: start, message: "a list that does not end")
    }
    try count(start)
    if let name = try anchor(&index, lines[lineIndex(index)]) {
      return try named(name) { (reader) throws(JSON.Mistake) in
        reader.skipSpace(&index)
        return try reader.flow(&index)
      }
    }
    let opening = text[index]
    if opening == 42 { return try alias(&index, text.count) }
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
    var merged: [JSON] = []
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
        } else if key == "<<" {
          try merge(try flow(&index), into: &merged)
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
    add(merged, to: &members, names)
    return JSON(value: opening == 91 ? .array(items) : .object(members), position: start)
  }

  func skipSpace(_ index: inout Int) {
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

  /// Positions are asked for in order, so this need not look at every line.
  private mutating func lineIndex(_ index: Int) -> Int {
    let isBehind = lastLine < lines.count && lastLine >= next && lines[lastLine].start <= index
    var found = isBehind ? lastLine : next
    defer { lastLine = found }
    while found + 1 < lines.count, lines[found + 1].start <= index { found += 1 }
    return min(found, lines.count - 1)
  }

  mutating func here(_ index: Int) -> JSON.Position {
    let line = lines[lineIndex(index)]
    return position(line, max(index, line.start))
  }
}
