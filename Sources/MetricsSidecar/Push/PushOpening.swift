import SidecarPlatform

/// Opens the files for pushing: that of groups, beside the state file, and the password file.
enum PushOpening {
  struct Failure: Error { let message: String }

  /// `nil` if pushing is off.
  static func open(
    _ settings: Settings, state path: String, _ kept: LastGoodFiles?
  ) throws(Failure) -> PushAPI? {
    guard settings.push.isOn else { return nil }
    var auth: PushAuth?
    do throws(Failure) {
      auth = try Self.auth(settings.push.authFile, kept)
    } catch {
      // A worker that takes over continues with its predecessor's passwords.
      guard let last = kept?.passwords.load(), let read = try? PushAuth(last.text) else {
        throw error
      }
      settings.log.error(
        joined("push: the worker that takes over keeps the passwords: ", error.message))
      auth = read
    }
    let (file, resets) = try open(path + ".push", settings, kept?.board)
    let store = PushStore(file: file, limits: settings.push.limits)
    let api = PushAPI(store: store, settings: settings.push, auth: auth, stateResets: resets)
    api.log = settings.log
    return api
  }

  /// The longest password file, in bytes.
  static let authByteLimit = 1 << 20

  /// The password file, `nil` if none is named. Stores one without a mistake in `kept`.
  static func auth(_ path: String, _ kept: LastGoodFiles?) throws(Failure) -> PushAuth? {
    path.isEmpty ? nil : try auth(try text(path), path, kept)
  }

  static func text(_ path: String) throws(Failure) -> [UInt8] {
    var text = ByteBuffer()
    do throws(Errno) {
      try Files.read(path, limit: authByteLimit, into: &text)
    } catch {
      throw Failure(message: joined("cannot read --push-auth ", path, ": ", error.description))
    }
    return text.array
  }

  static func auth(
    _ text: [UInt8], _ path: String, _ kept: LastGoodFiles?
  ) throws(Failure) -> PushAuth {
    do throws(PushError) {
      let auth = try PushAuth(text)
      unsafe kept?.passwords.store(text.span.bytes, note: 0)
      return auth
    } catch { throw Failure(message: joined(path, ": ", error.message)) }
  }

  /// Sets aside a file that is not trusted, like the state file; returns how many were.
  private static func open(
    _ path: String, _ settings: Settings, _ board: WorkerBoard?
  ) throws(Failure) -> (PushFile, UInt64) {
    var resets = 0
    do throws(PushFile.Failure) {
      let file = try file(path, settings, board, &resets)
      return (file, StateFileOpening.groups.opened(resets: resets, board))
    } catch {
      switch error {
      case .system(let code): throw Failure(message: StateFileOpening.mistake(path, code))
      case .damaged(let why):
        do throws(Errno) {
          try StateFileOpening.groups.setAside(path, why, settings)
        } catch { throw Failure(message: StateFileOpening.mistake(path, error)) }
      }
    }
    do throws(PushFile.Failure) {
      let file = try file(path, settings, nil, &resets)
      return (file, StateFileOpening.groups.opened(resets: 1, board))
    } catch {
      guard case .system(let code) = error else {
        throw Failure(message: joined("cannot make a new file ", path))
      }
      throw Failure(message: StateFileOpening.mistake(path, code))
    }
  }

  private static func file(
    _ path: String, _ settings: Settings, _ board: WorkerBoard?, _ resets: inout Int
  ) throws(PushFile.Failure) -> PushFile {
    let mapped: MappedFile
    do throws(Errno) {
      mapped = try StateFileOpening.groups.map(path, settings)
    } catch { throw .system(error) }
    if StateFileOpening.groups.isLost(mapped, board, settings.log) { resets += 1 }
    let file = try PushFile(mapped)
    StateFileOpening.warnOfSize(path, file.end, settings)
    return file
  }
}
