import SidecarPlatform
import SidecarRules

/// Translates a mapping file of statsd_exporter into a rules file.
///
/// statsd_exporter tries globs before regexes and stops at the first match; an unmatched event
/// keeps its name and tags. So the rules end with one that matches everything, and a star is a part
/// between dots. A family's first event decides its type, unless all its mappings accept events of
/// one type.
final class MappingFile {
  /// The rules file.
  var output = ByteBuffer(capacity: 4096)
  /// What cannot be converted, and what looks like a mistake, in the order of the file.
  private(set) var notes: [JSON.Mistake] = []
  /// Whether something cannot be converted.
  private(set) var isIncomplete = false
  var defaults = Timing()
  var defaultTTL: JSON?
  /// Whether the glob with more literal parts is tried first, wherever it is in the file.
  var prefersLiterals = false
  /// Steps that regular expressions may still take.
  var regexSteps = 100_000
  /// What is known about each family.
  var families: [String: FamilyOfMappings] = [:]
  var isFirst = true

  init(_ document: JSON) throws(JSON.Mistake) {
    guard case .object(let members) = document.value else {
      throw document.mistake("expected mappings: and a list")
    }
    var items: [JSON] = []
    for (name, value) in members where !value.isEmptyText {
      switch name {
      case "defaults": readDefaults(value)
      case "mappings": items = try value.items()
      default: note(value, joined("unknown name ", name, " is left out"))
      }
    }
    var mappings = items.compactMap { read($0) }
    mappings = ordered(mappings.filter { !$0.isRegex }) + mappings.filter { $0.isRegex }
    // Events that no mapping matches.
    var rest = Mapping()
    rest.name = "${1}"
    rest.match = "**"
    rest.timing = defaults
    mappings.append(rest)
    for mapping in mappings where !mapping.isDrop { describe(mapping) }
    separateSamples()
    output.append("{\n  \"separator\": \".\",\n  \"match\": \"first\",\n  \"families\": [\n")
    for mapping in mappings { write(mapping) }
    output.append("\n  ]\n}\n")
    sortNotes()
  }

  /// `isLoss` if it is not converted.
  func note(_ json: JSON, _ message: String, isLoss: Bool = true) {
    let new = json.mistake(message)
    if isLoss { isIncomplete = true }
    // The defaults apply to each mapping.
    if !notes.contains(new) { notes.append(new) }
  }

  private func sortNotes() {
    let all = notes.enumerated().sorted {
      ($0.element.position.line, $0.element.position.column, $0.offset)
        < ($1.element.position.line, $1.element.position.column, $1.offset)
    }
    notes = all.map { $0.element }
  }

  /// Globs in the order in which they are tried. If that is not the file's order, a literal part
  /// comes before a star in the same place.
  private func ordered(_ globs: [Mapping]) -> [Mapping] {
    guard prefersLiterals else { return globs }
    let keys = globs.map { mapping in
      mapping.match.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        .map { $0.contains(UInt8(ascii: "*")) ? 1 : 0 }
    }
    let order = globs.indices.sorted {
      keys[$0] == keys[$1] ? $0 < $1 : keys[$0].lexicographicallyPrecedes(keys[$1])
    }
    return order.map { globs[$0] }
  }
}
