/// A label's value with captures: `$1` is what the event's first `*` stood for, `$$` a dollar sign.
struct Template: Equatable {
  private enum Part: Equatable {
    case text([UInt8])
    case capture(Int)
  }

  private var parts: [Part] = []
  /// The largest number behind a `$`; 0 where the text is constant.
  private(set) var captureCount = 0

  init(_ text: String) {
    var literal: [UInt8] = []
    var bytes = Array(text.utf8)[...]
    while let byte = bytes.popFirst() {
      guard byte == UInt8(ascii: "$"), let next = bytes.first else {
        literal.append(byte)
        continue
      }
      switch next {
      case UInt8(ascii: "1")...UInt8(ascii: "9"):
        let number = Int(next) - 48
        if !literal.isEmpty { parts.append(.text(literal)) }
        literal = []
        parts.append(.capture(number))
        captureCount = max(captureCount, number)
        bytes.removeFirst()
      case UInt8(ascii: "$"):
        literal.append(byte)
        bytes.removeFirst()
      default: literal.append(byte)
      }
    }
    if !literal.isEmpty { parts.append(.text(literal)) }
  }

  func filled(_ captures: [ArraySlice<UInt8>]) -> [UInt8] {
    var result: [UInt8] = []
    for part in parts {
      switch part {
      case .text(let text): result += text
      case .capture(let number): if number <= captures.count { result += captures[number - 1] }
      }
    }
    return result
  }
}
