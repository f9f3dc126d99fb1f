import Platform

/// Reads the rules file that a flag names.
enum RuleLoading {
  struct Failure: Error { let message: String }

  /// The rules in `path`; none, so that every event has its own name, where no file is named.
  static func load(_ path: String) throws(Failure) -> Rules {
    guard !path.isEmpty else { return Rules() }
    var text = ByteBuffer()
    do throws(Errno) {
      try Files.read(path, limit: 4 << 20, into: &text)
    } catch { throw Failure(message: "cannot read the rules file \(path): \(error.description)") }
    do throws(JSON.Mistake) {
      return try RuleFile.parse(text.array)
    } catch { throw Failure(message: "\(path): \(error.description)") }
  }

  /// `check-rules`: says what is wrong, or how much there is.
  static func check(_ path: String) -> ExitCode {
    do throws(Failure) {
      let rules = try load(path)
      Process.write("\(path): \(rules.families.count) families, \(rules.rules.count) rules\n")
      return .success
    } catch {
      Process.write("metrics-sidecar: \(error.message)\n", to: 2)
      return .failure
    }
  }
}
