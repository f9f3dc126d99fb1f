import SidecarRules

/// Block text: `|` keeps its lines, `>` joins them; `-` and `+` say how to treat the line ends at
/// its end.
extension YAMLReader {
  /// The text after a `|` or `>` at `first`: the lines indented more than `parent`.
  mutating func blockText(
    _ first: Int, _ line: Line, _ parent: Int
  ) throws(JSON.Mistake) -> String {
    let isFolded = text[first] == 62
    var chomping: UInt8 = 0
    var indent = 0
    for byte in text[(first + 1)..<line.end] {
      switch byte {
      case 43, 45: chomping = byte
      case 49...57: indent = max(0, parent) + Int(byte - 48)
      default:
        throw JSON.Mistake(position: position(line, first), message: "expected text on new lines")
      }
    }
    var number = line.number + 1
    let rows = rows(behind: line, parent, &indent, &number)
    while next < lines.count, lines[next].number < number { next += 1 }
    return String(decoding: joined(rows, isFolded, chomping), as: UTF8.self)
  }

  /// The lines of the text without their indentation, up to `number`.
  private func rows(
    behind line: Line, _ parent: Int, _ indent: inout Int, _ number: inout Int
  ) -> [ArraySlice<UInt8>] {
    var rows: [ArraySlice<UInt8>] = []
    var start = line.end
    while start < text.count, text[start] != 10 { start += 1 }
    while start + 1 < text.count {
      start += 1
      let end = text[start...].firstIndex(of: 10) ?? text.count
      var content = start
      while content < end, text[content] == 32 { content += 1 }
      let isEmpty = content == end || content == end - 1 && text[content] == 13
      if !isEmpty {
        if indent == 0 { indent = content - start }
        if content - start < indent || content - start <= parent { break }
      }
      rows.append(isEmpty ? [] : text[(start + indent)..<(text[end - 1] == 13 ? end - 1 : end)])
      number += 1
      start = end
    }
    return rows
  }

  private func joined(
    _ rows: [ArraySlice<UInt8>], _ isFolded: Bool, _ chomping: UInt8
  ) -> [UInt8] {
    var result: [UInt8] = []
    var last: ArraySlice<UInt8>?
    var empty = 0
    for row in rows {
      if row.isEmpty {
        empty += 1
        continue
      }
      if let last {
        // Lines indented more keep their ends.
        let isJoined = isFolded && row.first != 32 && last.first != 32
        if !isJoined { result.append(10) } else if empty == 0 { result.append(32) }
      }
      result += [UInt8](repeating: 10, count: empty)
      result += row
      last = row
      empty = 0
    }
    if chomping != 45, last != nil { result.append(10) }
    if chomping == 43 { result += [UInt8](repeating: 10, count: empty) }
    return result
  }
}
