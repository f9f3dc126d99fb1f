import SidecarPlatform
import SidecarRules

/// Plain and quoted text.
extension YAMLReader {
  /// One text, quoted or plain, that starts at `index` and ends before `end`.
  func text(
    _ index: inout Int, _ line: Line, isFlow: Bool, end: Int
  ) throws(JSON.Mistake) -> String {
    let start = position(line, index)
    if index < end, text[index] == 34 || text[index] == 39 {
      let value = try quoted(&index, start)
      if !isFlow, index > end || text[index..<end].contains(where: { $0 > 32 }) {
        throw JSON.Mistake(position: start, message: "there is more behind the closing quote")
      }
      return value
    }
    var bytes: [UInt8] = []
    while index < end {
      let byte = text[index]
      if byte == 10 {
        let next = isFlow ? goesOn(index) : nil
        guard let next else { break }
        while let last = bytes.last, last <= 32 { bytes.removeLast() }
        bytes.append(32)
        index = next
        continue
      }
      if isFlow, byte == 44 || byte == 93 || byte == 125 || byte == 91 || byte == 123 { break }
      if isFlow, byte == 58, index + 1 < end, text[index + 1] <= 32 { break }
      if isFlow, byte == 35, text[index - 1] <= 32 { break }
      bytes.append(byte)
      index += 1
    }
    while let last = bytes.last, last <= 32 { bytes.removeLast() }
    if isFlow, bytes.isEmpty {
      throw JSON.Mistake(position: start, message: "a value is missing")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Where a plain text in `[…]` or `{…}` continues after the end of a line; `nil` if it does not.
  private func goesOn(_ end: Int) -> Int? {
    var index = end
    while index < text.count, text[index] <= 32 { index += 1 }
    guard index < text.count else { return nil }
    switch text[index] {
    case 35, 44, 58, 91, 93, 123, 125: return nil
    default: return index
    }
  }

  /// A text from its opening quote at `index` to past its closing one. A line end inside becomes a
  /// blank, an empty line a newline.
  func quoted(
    _ index: inout Int, _ start: JSON.Position
  ) throws(JSON.Mistake) -> String {
    let quote = text[index]
    var bytes: [UInt8] = []
    // An escaped blank is not a blank at a line's end.
    var kept = 0
    index += 1
    while index < text.count {
      let byte = text[index]
      index += 1
      if byte == quote {
        // A doubled apostrophe is a single one.
        guard quote == 39, index < text.count, text[index] == 39 else {
          return String(decoding: bytes, as: UTF8.self)
        }
        bytes.append(39)
        index += 1
      } else if byte == 10 {
        while bytes.count > kept, let last = bytes.last, last <= 32 { bytes.removeLast() }
        let empty = skipLines(&index)
        if empty == 0 { bytes.append(32) }
        for _ in 0..<empty { bytes.append(10) }
      } else if byte == 92, quote == 34 {
        try escape(&index, into: &bytes, start)
        kept = bytes.count
      } else {
        bytes.append(byte)
      }
    }
    throw JSON.Mistake(position: start, message: "a text whose quote does not end")
  }

  /// Skips the blanks at the start of a line, and empty lines; returns the number of empty lines.
  private func skipLines(_ index: inout Int) -> Int {
    var count = 0
    while index < text.count, text[index] <= 32 {
      if text[index] == 10 { count += 1 }
      index += 1
    }
    return count
  }

  /// The escape after a backslash, YAML 1.2 §5.7.
  private func escape(
    _ index: inout Int, into bytes: inout [UInt8], _ start: JSON.Position
  ) throws(JSON.Mistake) {
    let byte = index < text.count ? text[index] : 0
    index += 1
    var scalar: UInt32
    switch byte {
    case UInt8(ascii: "0"): scalar = 0
    case UInt8(ascii: "a"): scalar = 7
    case UInt8(ascii: "b"): scalar = 8
    case UInt8(ascii: "t"), 9: scalar = 9
    case UInt8(ascii: "n"): scalar = 10
    case UInt8(ascii: "v"): scalar = 11
    case UInt8(ascii: "f"): scalar = 12
    case UInt8(ascii: "r"): scalar = 13
    case UInt8(ascii: "e"): scalar = 27
    case 32, 34, 47, 92: scalar = UInt32(byte)
    case UInt8(ascii: "N"): scalar = 0x85
    case UInt8(ascii: "_"): scalar = 0xa0
    case UInt8(ascii: "L"): scalar = 0x2028
    case UInt8(ascii: "P"): scalar = 0x2029
    case 10:
      _ = skipLines(&index)
      return
    case UInt8(ascii: "x"), UInt8(ascii: "u"), UInt8(ascii: "U"):
      scalar = 0
      for _ in 0..<(byte == UInt8(ascii: "x") ? 2 : byte == UInt8(ascii: "u") ? 4 : 8) {
        guard index < text.count, let digit = text[index].hexDigit else {
          throw JSON.Mistake(
            position: start, message: "\\x takes two digits, \\u four and \\U eight")
        }
        scalar = scalar << 4 | UInt32(digit)
        index += 1
      }
    default:
      throw JSON.Mistake(position: start, message: "an escape that YAML does not have")
    }
    guard let character = Unicode.Scalar(scalar) else {
      throw JSON.Mistake(position: start, message: "an escape that is no character")
    }
    bytes += Array(String(Character(character)).utf8)
  }
}
