import SidecarPlatform

/// Reads the rules file that a flag names.
enum RuleLoading {
  struct Failure: Error {
    /// The first mistake, in one line.
    let message: String
    /// Every mistake, a line each.
    let lines: String
  }

  /// The longest file, in bytes.
  static let byteLimit = 4 << 20

  /// The rules in `path`; none, so that every event has its own name, where no file is named. Rules
  /// without a mistake are put to `kept`.
  static func load(_ path: String, kept: SharedText? = nil) throws(Failure) -> Rules {
    guard !path.isEmpty else { return Rules() }
    var text = ByteBuffer()
    do throws(Errno) {
      try Files.read(path, limit: byteLimit, into: &text)
    } catch {
      let message = joined("cannot read the rules file ", path, ": ", error.description)
      throw Failure(message: message, lines: message + "\n")
    }
    let (rules, mistakes) = RuleFile.read(text.array)
    guard let first = mistakes.first else {
      kept?.store(text.bytes, note: UInt64(clamping: Clock.unixSeconds))
      return rules
    }
    var lines = ""
    for mistake in mistakes { lines += joined(path, ": ", mistake.description, "\n") }
    let more =
      mistakes.count > 1
      ? joined(" (and ", (mistakes.count - 1).description, " more: see check-rules)") : ""
    throw Failure(message: joined(path, ": ", first.description, more), lines: lines)
  }

  /// The last rules without a mistake that a worker before this one has loaded, and when, in Unix
  /// time.
  static func last(_ kept: SharedText?) -> (rules: Rules, seconds: Double)? {
    guard let found = kept?.load() else { return nil }
    let (rules, mistakes) = RuleFile.read(found.text)
    return mistakes.isEmpty ? (rules, Double(found.note)) : nil
  }

  /// `check-rules`: says everything that is wrong, a line each, or how much there is.
  static func check(_ path: String) -> ExitCode {
    do throws(Failure) {
      let rules = try load(path)
      Process.write(
        joined(
          path, ": good; families: ", rules.families.count.description, ", events: ",
          rules.rules.count.description, "\n"))
      return .success
    } catch {
      Process.write(error.lines, to: 2)
      return .failure
    }
  }
}
