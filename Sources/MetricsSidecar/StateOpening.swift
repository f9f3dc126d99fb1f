import SidecarPlatform

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
      return (try file(path, settings), 0, path)
    } catch {
      switch error {
      case .system(let code): throw Failure(message: OwnFile.mistake(path, code))
      case .damaged(let damage):
        do throws(Errno) {
          try OwnFile.setAside(
            path, damage.description, "counting starts at zero", settings.log)
        } catch { throw Failure(message: OwnFile.mistake(path, error)) }
        do throws(StateFile.OpenFailure) {
          return (try file(path, settings), 1, path)
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

  private static func file(
    _ path: String, _ settings: Settings
  ) throws(StateFile.OpenFailure) -> StateFile {
    let mapped: MappedFile
    do throws(Errno) { mapped = try OwnFile.map(path, settings) } catch { throw .system(error) }
    return try StateFile(mapped)
  }
}
