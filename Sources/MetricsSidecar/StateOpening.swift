import Platform

/// Opens the state file: one that cannot be trusted is set aside, a folder that cannot be written
/// falls back to the one beside the sockets.
enum StateOpening {
  struct Failure: Error { let message: String }

  /// The file, how many damaged ones were set aside on the way (0 or 1), and where it is.
  static func open(
    _ settings: Settings
  ) throws(Failure) -> (state: StateFile, resets: UInt64, path: String) {
    let path = choosePath(settings)
    do throws(StateFile.OpenFailure) {
      return (try StateFile(try map(path, settings)), 0, path)
    } catch {
      switch error {
      case .system(let code): throw cannot(path, code)
      case .damaged(let damage):
        let aside = "\(path).damaged-\(Clock.unixSeconds)"
        do throws(Errno) { try Files.rename(path, to: aside) } catch { throw cannot(path, error) }
        settings.log.error(
          "state: \(path) is not trusted: \(damage.description). It is kept as \(aside), and "
            + "counting starts at zero")
        do throws(StateFile.OpenFailure) {
          return (try StateFile(try map(path, settings)), 1, path)
        } catch { throw Failure(message: "cannot make a new state file \(path)") }
      }
    }
  }

  private static func choosePath(_ settings: Settings) -> String {
    let folder = Files.parent(of: settings.state) ?? "."
    do throws(Errno) { try Files.makeFolder(folder) } catch {}
    if Files.isWritableFolder(folder) { return settings.state }
    guard let sockets = Files.parent(of: settings.eventsSocket), sockets != folder else {
      return settings.state
    }
    let fallback = sockets + "/state"
    settings.log.warning(
      "state: \(folder) cannot be written, so the state file is \(fallback): it lasts as long as "
        + "that folder. Mount a writable folder there, or name a file with --state")
    return fallback
  }

  private static func map(
    _ path: String, _ settings: Settings
  ) throws(StateFile.OpenFailure) -> MappedFile {
    do throws(MappedFile.Failure) {
      return try MappedFile(path: path, limit: settings.limits.stateByteCount)
    } catch {
      switch error {
      case .locked: throw .system(.wouldBlock)
      case .open(let code), .map(let code): throw .system(code)
      }
    }
  }

  private static func cannot(_ path: String, _ code: Errno) -> Failure {
    let why: String
    switch code {
    case .wouldBlock:
      why = "another sidecar has it. Give each sidecar a --state of its own"
    case .permissionDenied, .readOnlyFileSystem:
      why = "\(code.description). Mount a folder that this user may write, or name another --state"
    case .noSpace: why = "the disk is full"
    default: why = "\(code.description) (\(code.name))"
    }
    return Failure(message: "cannot use the state file \(path): \(why)")
  }
}
