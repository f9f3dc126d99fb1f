import SidecarPlatform
import SidecarRules

/// Loads the rules file that a flag names.
enum RuleLoading {
  struct Failure: Error {
    /// The first mistake, in one line.
    let message: String
    /// Every mistake, one per line.
    let lines: String

    init(_ message: String, lines: String = "") {
      self.message = message
      self.lines = lines.isEmpty ? message + "\n" : lines
    }
  }

  /// The longest file, in bytes.
  static let byteLimit = 4 << 20

  /// Identifies a text by its length and a hash.
  struct Mark: Equatable {
    let byteCount: Int
    let hash: UInt64

    init(_ text: RawSpan) {
      byteCount = text.byteCount
      hash = Digest.hash(text)
    }
  }

  /// The rules in `path`; without a file no rules, so that every event has its own name. `nil` if
  /// they are already in force. Stores rules without a mistake in `kept`.
  static func load(
    _ path: String, kept: SharedText? = nil, _ reloads: inout Reloads
  ) throws(Failure) -> Rules? {
    var text = ByteBuffer()
    if !path.isEmpty { try read(path, into: &text) }
    let mark = Mark(text.bytes)
    if mark == reloads.inForce { return nil }
    if let refused = reloads.refused, refused.mark == mark { throw refused.failure }
    do throws(Failure) {
      let rules = path.isEmpty ? Rules() : try parse(text.array, path)
      if !path.isEmpty { kept?.store(text.bytes, note: UInt64(clamping: Clock.unixSeconds)) }
      reloads.inForce = mark
      return rules
    } catch {
      reloads.refused = (mark, error)
      throw error
    }
  }

  static func read(
    _ path: String, _ kind: StaticString = "rules", into text: inout ByteBuffer
  ) throws(Failure) {
    do throws(Errno) {
      try Files.read(path, limit: byteLimit, into: &text)
    } catch {
      throw Failure(
        joined("cannot read the ", kind.description, " file ", path, ": ", error.description))
    }
  }

  static func parse(_ text: [UInt8], _ path: String) throws(Failure) -> Rules {
    let (rules, mistakes) = RuleFile.read(text)
    guard let first = mistakes.first else { return rules }
    var told = ByteBuffer(capacity: 256)
    for mistake in mistakes { told.append(joined(path, ": ", mistake.description, "\n")) }
    let lines = String(copying: told.bytes)
    let more =
      mistakes.count > 1
      ? joined(" (and ", (mistakes.count - 1).description, " more: see check-rules)") : ""
    throw Failure(joined(path, ": ", first.description, more), lines: lines)
  }

  /// The last rules without a mistake that an earlier worker has loaded, and when, in Unix time.
  static func last(_ kept: SharedText?) -> (rules: Rules, mark: Mark, seconds: Double)? {
    guard let found = kept?.load() else { return nil }
    let (rules, mistakes) = RuleFile.read(found.text)
    return mistakes.isEmpty
      ? unsafe (rules, Mark(found.text.span.bytes), Double(found.note)) : nil
  }
}
