import SidecarPlatform
import SidecarRules

/// Names of families and labels as their clients wrote them, for scrapers that accept UTF-8.
///
/// Everywhere else a name is what Prometheus has always allowed: `my.name` and `my-name` are the
/// same family `my_name`, in the state file and in every exposition that does not ask for more. The
/// first spelling in UTF-8 is kept, in the state file too, so that a restart changes no name.
struct OriginalNames {
  private struct Spelling {
    let text: [UInt8]
    /// Its record in the state file.
    let record: Record
  }

  /// From a mark and the plain name to the original name.
  private var written: [[UInt8]: Spelling] = [:]
  /// `--utf8-names`. Without it nothing is kept, and names from an earlier run are not shown.
  var isOn = false

  static let family = UInt8(ascii: "f")
  static let label = UInt8(ascii: "l")
  /// The limit of kept names: each takes memory, and clients choose them.
  private static let limit = 20_000

  var isEmpty: Bool { !isOn || written.isEmpty }

  /// Whether to keep `spelled` for the plain `name`. Prometheus's parser accepts no zero byte in a
  /// quoted name: it would refuse the whole exposition.
  func isNew(_ mark: UInt8, _ name: [UInt8], _ spelled: [UInt8]) -> Bool {
    isOn && spelled != name && !spelled.isEmpty && written[[mark] + name] == nil
      && written.count < Self.limit && Names.sanitised(spelled[...]) == name && !spelled.contains(0)
      && String(validating: spelled, as: UTF8.self) != nil
  }

  /// `marked` is the mark and the plain name.
  mutating func keep(_ marked: [UInt8], _ spelled: [UInt8], _ record: Record) {
    written[marked] = Spelling(text: spelled, record: record)
  }

  /// Drops the spelling of a removed family; returns its record, if it had one. Spellings of labels
  /// stay, since other families may use them.
  mutating func forget(family name: [UInt8]) -> Record? {
    written.isEmpty ? nil : written.removeValue(forKey: [Self.family] + name)?.record
  }

  /// The spelling of a plain name: the name itself if there is no other.
  func spelling(_ mark: UInt8, _ name: [UInt8]) -> [UInt8] {
    written[[mark] + name]?.text ?? name
  }
}

extension Registry {
  /// Keeps the spelling of a new name, in this transaction. Without room the name stays plain.
  func spell(_ mark: UInt8, _ name: [UInt8], as spelled: [UInt8]) {
    guard spellings.isNew(mark, name, spelled) else { return }
    let marked = [mark] + name
    var key = ByteBuffer(capacity: 128)
    key.append(marked)
    key.append(spelled)
    do throws(Errno) {
      let record = try state.allocate(
        kind: .spelling, key: key.bytes, nameByteCount: marked.count, shape: 0, cellCount: 2)
      spellings.keep(marked, spelled, record)
    } catch {}
  }

  /// Restores what `spell` has kept.
  func restoreSpelling(_ record: Record) {
    let state = self.state
    let key = SeriesKey.array(state.key(record))
    let count = state.nameByteCount(record)
    guard count <= key.count else { return }
    spellings.keep(Array(key[..<count]), Array(key[count...]), record)
  }
}

extension Escaping {
  /// The name in this scheme. `spelled` is UTF-8 and not empty; under `underscores` it is plain
  /// already. Under `values`, a name that looks escaped is escaped itself.
  func escaped(_ spelled: [UInt8], isLabel: Bool = false) -> [UInt8] {
    switch self {
    case .underscores, .allowUTF8: return spelled
    case .values where Self.isPlain(spelled, isLabel: isLabel) && !spelled.starts(with: "U__".utf8):
      return spelled
    case .dots, .values: break
    }
    let isValues = self == .values
    var text = ByteBuffer(capacity: 128)
    if isValues { text.append("U__") }
    var isFirst = true
    for scalar in String(decoding: spelled, as: UTF8.self).unicodeScalars {
      let value = scalar.value
      if value == 0x5f {
        text.append("__")
      } else if value < 128, Self.isPlain(UInt8(value), isFirst, isLabel) {
        text.append(UInt8(value))
      } else if isValues {
        text.append(UInt8(ascii: "_"))
        Self.hexadecimal(value, to: &text)
        text.append(UInt8(ascii: "_"))
      } else {
        text.append(value == 0x2e ? "_dot_" : "__")
      }
      isFirst = false
    }
    return text.array
  }

  /// Whether a name is one that Prometheus has always allowed; a label's has no colon.
  static func isPlain(_ name: [UInt8], isLabel: Bool = false) -> Bool {
    for index in name.indices where !isPlain(name[index], index == 0, isLabel) { return false }
    return !name.isEmpty
  }

  private static func isPlain(_ byte: UInt8, _ isFirst: Bool, _ isLabel: Bool) -> Bool {
    switch byte {
    case 48...57: !isFirst
    case 65...90, 97...122, 0x5f: true
    case 0x3a: !isLabel
    default: false
    }
  }

  /// Whether each character of `spelled` is one of the plain name: no dashes were merged, and none
  /// was inserted before a digit.
  static func isOneToOne(_ spelled: [UInt8], _ plain: [UInt8]) -> Bool {
    var index = 0
    for byte in spelled where byte & 0xc0 != 0x80 {
      let letter = isPlain(byte, index == 0, true) ? byte : 0x5f
      guard index < plain.count, plain[index] == letter else { return false }
      index += 1
    }
    return index == plain.count
  }

  private static func hexadecimal(_ value: UInt32, to text: inout ByteBuffer) {
    var shift: UInt32 = 28
    while shift > 0, value >> shift == 0 { shift -= 4 }
    while true {
      let digit = UInt8(value >> shift & 15)
      text.append(digit < 10 ? digit + 48 : digit + 87)
      if shift == 0 { return }
      shift -= 4
    }
  }
}
