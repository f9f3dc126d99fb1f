import SidecarPlatform

/// A JSON text (RFC 8259) as values that know their positions, so that a mistake in a rules file is
/// reported with its line and column.
package final class JSON {
  package enum Value {
    case object([(name: String, value: JSON)])
    case array([JSON])
    case string(String)
    case number(Double)
    case bool(Bool)
    case null
  }

  package let value: Value
  package let position: Position

  package init(value: Value, position: Position) {
    self.value = value
    self.position = position
  }

  /// Both from 1; columns are bytes.
  package struct Position: Equatable {
    package var line = 1
    package var column = 1

    package init(line: Int = 1, column: Int = 1) {
      self.line = line
      self.column = column
    }
  }

  package struct Mistake: Error, Equatable {
    package let position: Position
    package let message: String

    package init(position: Position, message: String) {
      self.position = position
      self.message = message
    }

    package var description: String {
      joined(
        "line ", position.line.description, ", column ", position.column.description, ": ", message)
    }
  }

  package static func parse(_ text: [UInt8]) throws(Mistake) -> JSON {
    var parser = JSONParser(text: text)
    return try parser.document()
  }

  /// An error about this value.
  package func mistake(_ message: String) -> Mistake {
    Mistake(position: position, message: message)
  }

  /// The value if it is a text.
  package func text() throws(Mistake) -> String {
    guard case .string(let text) = value else { throw mistake("expected a text in double quotes") }
    return text
  }

  /// The value if it is a list.
  package func items() throws(Mistake) -> [JSON] {
    guard case .array(let items) = value else { throw mistake("expected a list: [ … ]") }
    return items
  }
}

private struct JSONParser {
  let text: [UInt8]
  var index = 0
  var position = JSON.Position()
  var depth = 0

  init(text: [UInt8]) { self.text = text }

  mutating func document() throws(JSON.Mistake) -> JSON {
    let json = try value()
    skipSpace()
    if index < text.count { throw mistake("there is more after the end of the document") }
    return json
  }

  private func mistake(_ message: String) -> JSON.Mistake {
    JSON.Mistake(position: position, message: message)
  }

  private var byte: UInt8? { index < text.count ? text[index] : nil }

  private mutating func advance() {
    if text[index] == UInt8(ascii: "\n") {
      position.line += 1
      position.column = 1
    } else {
      position.column += 1
    }
    index += 1
  }

  private mutating func skipSpace() {
    while let byte, byte == 32 || byte == 9 || byte == 10 || byte == 13 { advance() }
  }

  private mutating func take(_ expected: UInt8, _ name: String) throws(JSON.Mistake) {
    skipSpace()
    guard byte == expected else { throw mistake("expected " + name) }
    advance()
  }

  private mutating func value() throws(JSON.Mistake) -> JSON {
    skipSpace()
    let start = position
    guard let byte else { throw mistake("the text ends where a value should be") }
    depth += 1
    defer { depth -= 1 }
    if depth > 64 { throw mistake("values are nested more than 64 deep") }
    switch byte {
    case UInt8(ascii: "{"): return JSON(value: .object(try object()), position: start)
    case UInt8(ascii: "["): return JSON(value: .array(try array()), position: start)
    case UInt8(ascii: "\""): return JSON(value: .string(try string()), position: start)
    case UInt8(ascii: "t"): try word("true"); return JSON(value: .bool(true), position: start)
    case UInt8(ascii: "f"): try word("false"); return JSON(value: .bool(false), position: start)
    case UInt8(ascii: "n"): try word("null"); return JSON(value: .null, position: start)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      return JSON(value: .number(try number()), position: start)
    case UInt8(ascii: "]"), UInt8(ascii: "}"):
      throw mistake("expected a value behind the comma, or a comma less")
    case UInt8(ascii: "/"), UInt8(ascii: "#"): throw mistake("JSON has no comments")
    default: throw mistake("expected a value: \", {, [, a number, true, false or null")
    }
  }

  private mutating func object() throws(JSON.Mistake) -> [(name: String, value: JSON)] {
    advance()
    var members: [(name: String, value: JSON)] = []
    var places: [[UInt8]: Int] = [:]
    skipSpace()
    if byte == UInt8(ascii: "}") { advance(); return members }
    while true {
      skipSpace()
      guard byte == UInt8(ascii: "\"") else { throw mistake("expected a name in double quotes") }
      let start = position
      let name = try string()
      if places.updateValue(index, forKey: Array(name.utf8)) != nil {
        throw JSON.Mistake(position: start, message: joined("\"", name, "\" is there twice"))
      }
      try take(UInt8(ascii: ":"), "':' after the name")
      members.append((name, try value()))
      skipSpace()
      if byte == UInt8(ascii: "}") { advance(); return members }
      try take(UInt8(ascii: ","), "',' or '}'")
    }
  }

  private mutating func array() throws(JSON.Mistake) -> [JSON] {
    advance()
    var items: [JSON] = []
    skipSpace()
    if byte == UInt8(ascii: "]") { advance(); return items }
    while true {
      items.append(try value())
      skipSpace()
      if byte == UInt8(ascii: "]") { advance(); return items }
      try take(UInt8(ascii: ","), "',' or ']'")
    }
  }

  private mutating func word(_ word: String) throws(JSON.Mistake) {
    for expected in word.utf8 {
      guard byte == expected else { throw mistake("expected " + word) }
      advance()
    }
  }

  private mutating func number() throws(JSON.Mistake) -> Double {
    let start = index
    while let byte,
      byte >= 48 && byte <= 57 || byte == 43 || byte == 45 || byte == 46
        || byte == 69 || byte == 101
    { advance() }
    let digits = Array(text[start..<index])
    let value = unsafe Decimal.parse(digits.span.bytes)
    if value.isNaN { throw mistake("a malformed number") }
    guard value.isFinite else { throw mistake("a number that is too large") }
    return value
  }

  private mutating func string() throws(JSON.Mistake) -> String {
    advance()
    var bytes: [UInt8] = []
    while let byte {
      if byte == UInt8(ascii: "\"") {
        advance()
        return String(decoding: bytes, as: UTF8.self)
      }
      if byte < 32 { throw mistake("a control character in a string: write it as \\n or \\u00XX") }
      advance()
      if byte != UInt8(ascii: "\\") { bytes.append(byte); continue }
      try escape(into: &bytes)
    }
    throw mistake("a string that does not end")
  }

  private mutating func escape(into bytes: inout [UInt8]) throws(JSON.Mistake) {
    guard let byte else { throw mistake("a string that does not end") }
    switch byte {
    case UInt8(ascii: "n"): bytes.append(10)
    case UInt8(ascii: "t"): bytes.append(9)
    case UInt8(ascii: "r"): bytes.append(13)
    case UInt8(ascii: "b"): bytes.append(8)
    case UInt8(ascii: "f"): bytes.append(12)
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(byte)
    case UInt8(ascii: "u"):
      advance()
      var unit = try hexadecimal()
      if unit >= 0xd800, unit < 0xdc00, self.byte == UInt8(ascii: "\\"), index + 1 < text.count,
        text[index + 1] == UInt8(ascii: "u")
      {
        advance()
        advance()
        let low = try hexadecimal()
        guard low >= 0xdc00, low < 0xe000 else { throw mistake("half a surrogate pair") }
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(unit) else { throw mistake("half a surrogate pair") }
      bytes.append(contentsOf: String(Character(scalar)).utf8)
      return
    default: throw mistake("an escape that JSON does not have: \\ with \"\\/bfnrt or uXXXX")
    }
    advance()
  }

  private mutating func hexadecimal() throws(JSON.Mistake) -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = byte?.hexDigit else { throw mistake("\\u takes four digits") }
      unit = unit << 4 | UInt32(digit)
      advance()
    }
    return unit
  }
}
