import SidecarEvents
import SidecarPlatform

/// `metrics-sidecar emit 'jobs.done:1|c'`: sends lines from a shell, a cron job or a probe.
///
/// What must stay true: nothing is sent unless every line is valid.
enum Emit {
  static func run(_ options: Options) throws(Options.Mistake) -> ExitCode {
    let key = options.text("once")
    // With an unset variable each try would count.
    if key.isEmpty, Process.arguments.contains(where: { $0 == "--once" || $0 == "--once=" }) {
      throw options.mistake("once", "takes a key that is not empty")
    }
    let lines: EmitLines
    do throws(EmitLines.Mistake) { lines = try EmitLines(options.operands) } catch {
      return fail(error.message, .usage)
    }
    if try options.flag("wait") || key != "" {
      guard key.utf8.count <= 255 else { throw options.mistake("once", "has at most 255 bytes") }
      return session(lines, key, options.text("events-socket"))
    }
    let path = options.text("statsd-socket")
    var lastError: Errno?
    lines.forEachBatch(of: EmitLines.datagramByteCount) { batch in
      if lastError == nil { lastError = datagram(batch, to: path) }
    }
    if let lastError { return fail(cannotSend(lastError, path, "statsd-socket"), .failure) }
    return .success
  }

  private static func fail(_ message: String, _ code: ExitCode) -> ExitCode {
    Process.write(joined("metrics-sidecar emit: ", message, "\n"), to: 2)
    return code
  }

  /// Sends one datagram, or returns why it cannot. Waits a moment if the queue is full: the sidecar
  /// may be starting.
  static func datagram(_ payload: RawSpan, to path: String) -> Errno? {
    do throws(Errno) {
      let socket = try Socket.connectUnix(path: path, kind: .datagram)
      for _ in 0..<100 {
        switch socket.send(payload) {
        case .bytes: return nil
        case .wouldBlock: Process.sleep(milliseconds: 10)
        case .closed: return .connectionRefused
        case .failed(let error): return error
        }
      }
      return .wouldBlock
    } catch { return error }
  }

  /// The message for a socket at `path`, from `flag`, that accepts nothing.
  static func cannotSend(_ error: Errno, _ path: String, _ flag: String) -> String {
    let why =
      switch error {
      case .noSuchFile:
        joined("there is no such socket; is the sidecar running, and --", flag, " right?")
      case .connectionRefused: "nothing listens there; is the sidecar running?"
      case .permissionDenied:
        """
        permission denied; run with the socket's group, or start the sidecar with \
        --socket-mode 0666
        """
      case .wouldBlock: "its queue stays full; the sidecar does not read"
      default: error.description
      }
    return joined("cannot send to ", path, ": ", why)
  }

  // MARK: With acknowledgement

  /// Sends the lines as a session's frames and waits until they are acknowledged. With a key the
  /// session is derived from it, and all lines are its first frame: so they count once, however
  /// often this runs.
  private static func session(_ lines: EmitLines, _ key: String, _ path: String) -> ExitCode {
    var id = SessionID(high: 0, low: 0)
    var limit = EmitLines.frameByteCount
    if key.isEmpty {
      do throws(Errno) {
        let (high, low) = try Process.randomIdentity()
        id = SessionID(high: high, low: low)
      } catch { return fail(joined("no random bytes: ", error.description), .failure) }
    } else {
      let digest = SHA256.hash(Array(key.utf8))
      for index in 0..<8 {
        id.high = id.high << 8 | UInt64(digest[index])
        id.low = id.low << 8 | UInt64(digest[index + 8])
      }
      limit = EmitLines.onceByteCount
      guard lines.byteCount <= limit else {
        return fail("--once takes 1000 KiB of lines at most: they count as one frame", .usage)
      }
    }
    var session = EmitSession(id)
    lines.forEachBatch(of: limit) { session.add($0) }
    switch session.send(to: path) {
    case .acknowledged: return .success
    case .refused(let error): return fail(cannotSend(error, path, "events-socket"), .failure)
    case .unknown:
      return fail(
        key.isEmpty
          ? joined(path, " has not acknowledged all within 10 s: some may be counted")
          : joined(path, " has not acknowledged within 10 s: try again with the same --once ", key),
        .failure)
    }
  }
}
