import Platform

/// Reads the rules file that a flag names.
enum RuleLoading {
  struct Failure: Error { let message: String }

  /// The rules in `path`; none, so that every event has its own name, where no file is named.
  static func load(_ path: String) throws(Failure) -> Rules {
    guard !path.isEmpty else { return Rules() }
    let (rules, mistakes) = try read(path)
    guard let first = mistakes.first else { return rules }
    let more = mistakes.count > 1 ? " (and \(mistakes.count - 1) more: see check-rules)" : ""
    throw Failure(message: "\(path): \(first.description)\(more)")
  }

  private static func read(
    _ path: String
  ) throws(Failure) -> (rules: Rules, mistakes: [JSON.Mistake]) {
    var text = ByteBuffer()
    do throws(Errno) {
      try Files.read(path, limit: 4 << 20, into: &text)
    } catch { throw Failure(message: "cannot read the rules file \(path): \(error.description)") }
    return RuleFile.read(text.array)
  }

  /// `check-rules`: says everything that is wrong, a line each, or how much there is.
  static func check(_ path: String) -> ExitCode {
    do throws(Failure) {
      let (rules, mistakes) = try read(path)
      for mistake in mistakes { Process.write("\(path): \(mistake.description)\n", to: 2) }
      if !mistakes.isEmpty { return .failure }
      Process.write("\(path): \(rules.families.count) families, \(rules.rules.count) rules\n")
      return .success
    } catch {
      Process.write("metrics-sidecar: \(error.message)\n", to: 2)
      return .failure
    }
  }
}
