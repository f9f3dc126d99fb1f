import SidecarPlatform
import SidecarRules

/// Values, interpreted as in a mapping file.
extension JSON {
  /// A text, or the text of a scalar; `nil` for a list or an object.
  var word: String? {
    switch value {
    case .string(let text): return text
    case .bool(let flag): return flag ? "true" : "false"
    case .number(let number):
      var text = ByteBuffer(capacity: 32)
      MappingFile.append(number, to: &text)
      return String(decoding: text.array, as: UTF8.self)
    default: return nil
    }
  }

  /// Null, which means that the member is missing.
  var isEmptyText: Bool {
    switch value {
    case .null: true
    case .string(let text): text.isEmpty
    default: false
    }
  }

  /// True, in one of YAML's spellings.
  var isTrue: Bool {
    let words = ["true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"]
    return word.map { words.contains($0) } ?? false
  }

  var list: [JSON]? {
    guard case .array(let items) = value else { return nil }
    return items
  }

  /// The same text for equal values; empty for none.
  static func text(_ json: JSON?) -> String {
    guard let json else { return "" }
    var text = ""
    switch json.value {
    case .array(let items): for item in items { text += Self.text(item) + "," }
    case .object(let members):
      for (name, value) in members { text += joined(name, ":", Self.text(value), ",") }
    default: text = json.decimal.isNaN ? json.word ?? "" : json.decimal.description
    }
    return text
  }

  /// NaN if it is not a number.
  var decimal: Double {
    switch value {
    case .number(let number): number
    case .string(let text): MappingFile.decimal(Array(text.utf8)[...])
    default: .nan
    }
  }
}
