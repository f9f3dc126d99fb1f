import SidecarPlatform

/// Opens a file of the sidecar's state, and sets aside one that is not trusted.
enum StateFileOpening: Int {
  /// The state file.
  case state
  /// The file of pushed groups, beside it.
  case groups

  /// Maps the file, with room for `--state-size`; `EAGAIN` if another sidecar has it.
  func map(_ path: String, _ settings: Settings) throws(Errno) -> MappedFile {
    do throws(MappedFile.Failure) {
      let file = try MappedFile(path: path, limit: settings.limits.stateByteCount)
      file.sayWhenCut(
        rawValue,
        joined(
          "metrics-sidecar: ", file.path,
          " was cut short while it was in use, or its disk has failed. ")
          + "Start again: what is damaged is set aside then\n")
      return file
    } catch {
      switch error {
      case .locked: throw .wouldBlock
      case .open(let code), .map(let code): throw code
      }
    }
  }

  /// Reports that the file's content is lost, if it is empty or new although an earlier worker had
  /// it; returns whether it did.
  func isLost(_ file: borrowing MappedFile, _ board: WorkerBoard?, _ log: Log) -> Bool {
    guard file.size == 0 else { return false }
    let path = file.path
    guard let board, board.addShared(2 + rawValue, 0) > 0 else {
      if file.wasEmpty {
        log.warning(joined(path, " was there and empty, so ", consequence.description))
      }
      return false
    }
    log.error(
      joined(
        path, " was emptied or removed while it was in use: what it had is lost, and ",
        consequence.description)
    )
    return true
  }

  /// Records that the file is open, and counts files that were lost or set aside on the way;
  /// returns how many, over all workers.
  func opened(resets: Int, _ board: WorkerBoard?) -> UInt64 {
    guard let board else { return UInt64(resets) }
    board.addShared(2 + rawValue, 1)
    return board.addShared(rawValue, UInt64(resets))
  }

  private var consequence: StaticString {
    self == .state ? "counting starts at zero" : "there are no pushed groups"
  }

  /// Keeps a file that is not trusted under another name, and logs that. Beyond the limit the
  /// oldest one is removed: they could fill the disk.
  func setAside(_ path: String, _ why: String, _ settings: Settings) throws(Errno) {
    let path = Files.resolved(path)
    // Not one interpolation: with a text and a number, Embedded Swift on arm/v7 has lost the text.
    let prefix = path + ".damaged-"
    let limit = settings.limits.damagedFiles
    let last = Files.paths(beginning: prefix, isGreatest: true)
    for _ in 0..<max(0, last.count - max(0, limit - 1)) {
      let oldest = Files.paths(beginning: prefix).path
      Files.remove(oldest)
      settings.log.warning(
        joined(oldest, " is removed: --max-damaged-files ", limit.description, " are kept"))
    }
    guard limit > 0 else {
      Files.remove(path)
      return settings.log.error(
        joined(path, " is not trusted: ", why, ". It is removed, and ", consequence.description))
    }
    let first = prefix + String(Clock.unixSeconds)
    var aside = first
    // In the same second, after those that exist or existed.
    var number = Self.number(last.path, behind: first)
    while true {
      if number > 1 { aside = first + "-" + String(number) }
      do throws(Errno) {
        try Files.rename(path, toNew: aside)
        break
      } catch {
        guard error == .exists, number < 10_000 else { throw error }
        number += 1
      }
    }
    settings.log.error(
      joined(
        path, " is not trusted: ", why, ". It is kept as ", aside, ", and ", consequence.description
      ))
  }

  /// The number of the next name after `last`: 1 if that is from another second.
  static func number(_ last: String, behind first: String) -> Int {
    guard last.utf8.starts(with: first.utf8) else { return 1 }
    let digits = last.utf8.dropFirst(first.utf8.count + 1)
    return digits.reduce(0) { $0 &* 10 &+ Int($1) &- 48 } &+ (digits.isEmpty ? 2 : 1)
  }

  /// Reports that a file is longer than it may grow to.
  static func warnOfSize(_ path: String, _ usedByteCount: Int, _ settings: Settings) {
    let limit = settings.limits.stateByteCount
    guard usedByteCount > limit else { return }
    settings.log.warning(
      joined(
        path, " has ", usedByteCount.description, " bytes in use, more than the ",
        limit.description, " of --state-size: all of them ")
        + "are kept, and it does not grow")
  }

  /// The message for a file that cannot be used.
  static func mistake(_ path: String, _ code: Errno) -> String {
    let why: String
    switch code {
    case .wouldBlock: why = "another sidecar has it. Give each sidecar a --state of its own"
    case .permissionDenied, .readOnlyFileSystem:
      why = joined(
        code.description, ". Mount a folder that this user may write, or name another --state")
    case .noSpace: why = "the disk is full"
    case .isDirectory: why = "it is a folder. Name a file in it with --state"
    case .invalid: why = "a device, a pipe or a socket is no file. Name another --state"
    default: why = joined(code.description, " (", code.name, ")")
    }
    return joined("cannot use the state file ", path, ": ", why)
  }
}
