import SidecarPlatform
import SidecarRules

/// The captures that names and labels of a mapping can refer to.
struct Captures {
  /// How many stars or groups there are.
  var count = 0
  /// The number of the first one in the mapping file.
  var first = 1
  /// Groups with names, numbered from 1.
  var names: [(name: [UInt8], number: Int)] = []

  /// The number in the rules for the reference after a `$`; `nil` if it refers to nothing.
  func number(_ word: ArraySlice<UInt8>) -> Int? {
    if word.allSatisfy({ $0 &- 48 < 10 }) {
      if word.count > 1, word.first == 48 || word.count > 4 { return nil }
      let number = word.reduce(0) { $0 * 10 + Int($1 - 48) } - first + 1
      return (1...max(1, count)).contains(number) && count > 0 ? number : nil
    }
    for (name, number) in names where word.elementsEqual(name) { return number }
    return nil
  }

  /// Whether a regex's template contains `$0`.
  static func usesWhole(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    var index = 0
    while let reference = MappingFile.reference(bytes, from: &index) {
      if bytes[reference].elementsEqual("0".utf8) { return true }
    }
    return false
  }
}

/// Names and labels with references to the stars or groups of a match.
extension MappingFile {
  /// A name or label as a template of ours, without references to nothing.
  func asTemplate(
    _ text: String, _ captures: Captures, _ mapping: Mapping, _ json: JSON
  ) -> String {
    let bytes = Array(text.utf8)
    return mapping.isRegex
      ? regexTemplate(bytes, captures, json) : globTemplate(bytes, captures, json)
  }

  /// A glob's template. In statsd_exporter, `$` takes all letters, digits, `_` and `$` after it, so
  /// that `$1_$2` is one reference, to nothing; `${1}_${2}` is two. A `$10` after a `$1` keeps its
  /// 0.
  private func globTemplate(_ bytes: [UInt8], _ captures: Captures, _ json: JSON) -> String {
    var result: [UInt8] = []
    var earlier: [ArraySlice<UInt8>] = []
    var index = 0
    while index < bytes.count {
      let start = index
      index += 1
      guard bytes[start] == UInt8(ascii: "$") else {
        result.append(bytes[start])
        continue
      }
      if index < bytes.count, bytes[index] == UInt8(ascii: "{") { index += 1 }
      let first = index
      while index < bytes.count,
        Names.isWordByte(bytes[index]) || bytes[index] == UInt8(ascii: "$")
      { index += 1 }
      guard index > first else {
        result += [UInt8(ascii: "$")] + bytes[start..<index]
        continue
      }
      let word = bytes[first..<index]
      if index < bytes.count, bytes[index] == UInt8(ascii: "}") { index += 1 }
      append(word, captures, to: &result, json)
      guard captures.number(word) != nil else { continue }
      let whole = bytes[start..<index]
      if let known = earlier.first(where: { $0.count < whole.count && whole.starts(with: $0) }) {
        result += whole.dropFirst(known.count)
        noteKept(whole, whole.dropFirst(known.count), json)
      }
      earlier.append(whole)
    }
    return String(decoding: result, as: UTF8.self)
  }

  private func noteKept(_ whole: ArraySlice<UInt8>, _ rest: ArraySlice<UInt8>, _ json: JSON) {
    func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
    note(
      json,
      joined(
        text(whole), " has ", text(rest),
        " behind what it stands for, as there, since a shorter one comes before it. Write ${",
        text(whole.dropFirst()), "}"), isLoss: false)
  }

  /// A regex's template, as Go's regexp expands it: `$1_total` is a group called `1_total`.
  private func regexTemplate(_ bytes: [UInt8], _ captures: Captures, _ json: JSON) -> String {
    var result: [UInt8] = []
    var done = 0
    var index = 0
    while let word = Self.reference(bytes, from: &index) {
      let start = bytes[..<word.lowerBound].lastIndex(of: UInt8(ascii: "$")) ?? 0
      appendText(bytes[done..<start], to: &result)
      append(bytes[word], captures, to: &result, json)
      done = index
    }
    appendText(bytes[done...], to: &result)
    return String(decoding: result, as: UTF8.self)
  }

  /// The next word after a `$`; `index` then points past the reference.
  static func reference(_ bytes: [UInt8], from index: inout Int) -> Range<Int>? {
    while index < bytes.count {
      index += 1
      guard bytes[index - 1] == UInt8(ascii: "$"), index < bytes.count else { continue }
      if bytes[index] == UInt8(ascii: "$") {
        index += 1
        continue
      }
      let isBraced = bytes[index] == UInt8(ascii: "{")
      let first = isBraced ? index + 1 : index
      var end = first
      while end < bytes.count, Names.isWordByte(bytes[end]) { end += 1 }
      if end == first || isBraced && (end == bytes.count || bytes[end] != UInt8(ascii: "}")) {
        continue
      }
      index = isBraced ? end + 1 : end
      return first..<end
    }
    return nil
  }

  /// Text of a regex's template, in which `$$` is a dollar sign, and so is any other `$`.
  private func appendText(_ text: ArraySlice<UInt8>, to result: inout [UInt8]) {
    var index = text.startIndex
    while index < text.endIndex {
      let byte = text[index]
      index += 1
      result.append(byte)
      guard byte == UInt8(ascii: "$") else { continue }
      result.append(byte)
      if index < text.endIndex, text[index] == byte { index += 1 }
    }
  }

  private func append(
    _ word: ArraySlice<UInt8>, _ captures: Captures, to result: inout [UInt8], _ json: JSON
  ) {
    if let number = captures.number(word) {
      result += Array(joined("${", number.description, "}").utf8)
    } else {
      note(
        json,
        joined(
          "$", String(decoding: word, as: UTF8.self),
          " stands for nothing, as there: a $ takes all letters, digits and _ behind it. Write ",
          "${1}_${2} for two of them"), isLoss: false)
    }
  }
}
