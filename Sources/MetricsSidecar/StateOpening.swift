import SidecarPlatform

/// Opens the state file: sets aside one that cannot be trusted, and falls back to the folder of the
/// sockets if its own is not writable.
enum StateOpening {
  struct Failure: Error { let message: String }

  /// The file, how many were lost or set aside on the way, and its path.
  static func open(
    _ settings: Settings, _ board: WorkerBoard? = nil
  ) throws(Failure) -> (state: StateFile, resets: UInt64, path: String) {
    let path = choosePath(settings)
    var resets = 0
    do throws(StateFile.OpenFailure) {
      let state = try file(path, settings, board, &resets)
      return (state, StateFileOpening.state.opened(resets: resets, board), path)
    } catch {
      switch error {
      case .system(let code): throw Failure(message: StateFileOpening.mistake(path, code))
      case .damaged(let damage):
        do throws(Errno) {
          try StateFileOpening.state.setAside(path, damage.description, settings)
        } catch { throw Failure(message: StateFileOpening.mistake(path, error)) }
      }
    }
    resets = 0
    do throws(StateFile.OpenFailure) {
      let state = try file(path, settings, nil, &resets)
      return (state, StateFileOpening.state.opened(resets: 1, board), path)
    } catch {
      guard case .system(let code) = error else {
        throw Failure(message: joined("cannot make a new state file ", path))
      }
      throw Failure(message: StateFileOpening.mistake(path, code))
    }
  }

  private static func choosePath(_ settings: Settings) -> String {
    let folder = Files.parent(of: Files.resolved(settings.state)) ?? "."
    do throws(Errno) { try Files.makeFolder(folder) } catch {}
    if Files.isWritableFolder(folder) { return settings.state }
    guard let sockets = Files.parent(of: settings.eventsSocket), sockets != folder else {
      return settings.state
    }
    let fallback = sockets + "/state"
    settings.log.warning(
      joined(
        "state: ", folder, " cannot be written, so the state file is ", fallback,
        ": it lasts as long as ")
        + "that folder. Mount a writable folder there, or name a file with --state")
    return fallback
  }

  private static func file(
    _ path: String, _ settings: Settings, _ board: WorkerBoard?, _ resets: inout Int
  ) throws(StateFile.OpenFailure) -> StateFile {
    let mapped: MappedFile
    do throws(Errno) {
      mapped = try StateFileOpening.state.map(path, settings)
    } catch { throw .system(error) }
    if StateFileOpening.state.isLost(mapped, board, settings.log) { resets += 1 }
    let state = try StateFile(mapped)
    StateFileOpening.warnOfSize(path, state.usedByteCount, settings)
    return state
  }
}
