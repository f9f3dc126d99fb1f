/// A label's value or a family's name with captures: `$1` or `${1}` is what the event's first `*`
/// matched, `$$` a dollar sign.
package struct Template: Equatable, Sendable {
  private enum Piece: Equatable, Sendable {
    case text([UInt8])
    case capture(Int)
  }

  private var pieces: [Piece] = []
  /// The largest number after a `$`; 0 if the text is constant.
  package private(set) var captureCount = 0

  package init(_ text: String) {
    var literal: [UInt8] = []
    var bytes = Array(text.utf8)[...]
    while let byte = bytes.popFirst() {
      guard byte == UInt8(ascii: "$"), let next = bytes.first else {
        literal.append(byte)
        continue
      }
      switch next {
      case UInt8(ascii: "1")...UInt8(ascii: "9"):
        add(Int(next) - 48, behind: &literal)
        bytes.removeFirst()
      case UInt8(ascii: "{"):
        let digits = bytes.dropFirst().prefix { $0 &- 48 < 10 }
        guard digits.count == 1 || digits.count == 2, digits.endIndex < bytes.endIndex,
          bytes[digits.endIndex] == UInt8(ascii: "}")
        else {
          literal.append(byte)
          continue
        }
        let number = digits.reduce(0) { $0 * 10 + Int($1) - 48 }
        add(max(1, number), behind: &literal)
        bytes = bytes[(digits.endIndex + 1)...]
      case UInt8(ascii: "$"):
        literal.append(byte)
        bytes.removeFirst()
      default: literal.append(byte)
      }
    }
    if !literal.isEmpty { pieces.append(.text(literal)) }
  }

  private mutating func add(_ number: Int, behind literal: inout [UInt8]) {
    if !literal.isEmpty { pieces.append(.text(literal)) }
    literal = []
    pieces.append(.capture(number))
    captureCount = max(captureCount, number)
  }

  /// The text with `a` for each capture.
  package var sample: String {
    let letter: [UInt8] = [UInt8(ascii: "a")]
    let captures = [ArraySlice<UInt8>](repeating: letter[...], count: captureCount)
    return String(decoding: filled(captures), as: UTF8.self)
  }

  /// The pattern of the family names that it makes.
  package var pattern: Pattern {
    var bytes: [UInt8] = []
    for piece in pieces {
      switch piece {
      case .text(let text):
        // With captures, the whole text is turned into a valid name like an event's.
        bytes += captureCount == 0 ? text : text.map { Names.isWordByte($0) ? $0 : 0x5f }
      case .capture: bytes.append(UInt8(ascii: "*"))
      }
    }
    return Pattern(String(decoding: bytes, as: UTF8.self))
  }

  package func filled(_ captures: [ArraySlice<UInt8>]) -> [UInt8] {
    var result: [UInt8] = []
    for piece in pieces {
      switch piece {
      case .text(let text): result += text
      case .capture(let number): if number <= captures.count { result += captures[number - 1] }
      }
    }
    return result
  }
}
