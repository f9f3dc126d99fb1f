import SidecarPlatform
import SidecarRules

/// Values as a mapping file means them.
extension JSON {
  /// A text, or what stands for one; `nil` for a list or an object.
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

  /// Nothing, which stands for what is not there.
  var isEmptyText: Bool {
    switch value {
    case .null: true
    case .string(let text): text.isEmpty
    default: false
    }
  }

  /// Yes, in one of YAML's words.
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

  /// NaN for what is no number.
  var decimal: Double {
    switch value {
    case .number(let number): number
    case .string(let text): MappingFile.decimal(Array(text.utf8)[...])
    default: .nan
    }
  }
}
