import SidecarPlatform

/// Opening a file that the sidecar keeps what it knows in: the state file, or the groups' beside it.
enum OwnFile {
  /// Maps the file, with room for `--state-size`; `EAGAIN` where another sidecar has it.
  static func map(_ path: String, _ settings: Settings) throws(Errno) -> MappedFile {
    do throws(MappedFile.Failure) {
      return try MappedFile(path: path, limit: settings.limits.stateByteCount)
    } catch {
      switch error {
      case .locked: throw .wouldBlock
      case .open(let code), .map(let code): throw code
      }
    }
  }

  /// Keeps a file that is not to be trusted under another name, and tells so in the log.
  static func setAside(
    _ path: String, _ why: String, _ consequence: StaticString, _ log: Log
  ) throws(Errno) {
    // Not one interpolation: of a text and a number, Embedded Swift on arm/v7 has lost the text.
    let aside = path + ".damaged-" + String(Clock.unixSeconds)
    try Files.rename(path, to: aside)
    log.error("\(path) is not trusted: \(why). It is kept as \(aside), and \(consequence)")
  }

  /// What a person reads where the file cannot be used.
  static func mistake(_ path: String, _ code: Errno) -> String {
    let why: String
    switch code {
    case .wouldBlock: why = "another sidecar has it. Give each sidecar a --state of its own"
    case .permissionDenied, .readOnlyFileSystem:
      why = "\(code.description). Mount a folder that this user may write, or name another --state"
    case .noSpace: why = "the disk is full"
    default: why = "\(code.description) (\(code.name))"
    }
    return "cannot use the state file \(path): \(why)"
  }
}
