import SidecarEvents
import SidecarPlatform

/// `metrics-sidecar emit 'jobs.done:1|c'`: sends lines from a shell, a cron job or a probe.
enum Emit {
  static func run(_ lines: [String], socket path: String) -> ExitCode {
    guard !lines.isEmpty else {
      Process.write("metrics-sidecar emit: name an event, such as 'jobs.done:1|c'\n", to: 2)
      return .usage
    }
    var payload = ByteBuffer()
    for (index, line) in lines.enumerated() {
      guard isEvent(line) else {
        Process.write(
          "metrics-sidecar emit: '\(line)' is no event: NAME:VALUE|TYPE, such as 'jobs.done:1|c'\n",
          to: 2)
        return .usage
      }
      if index > 0 { payload.append(UInt8(ascii: "\n")) }
      payload.append(line)
    }
    do throws(Errno) {
      let socket = try Socket.connectUnix(path: path, kind: .datagram)
      // A full queue is waited for, a moment: the sidecar may be starting.
      Socket.setTimeouts(socket.raw, milliseconds: 1000)
      for _ in 0..<100 {
        switch socket.send(payload.bytes) {
        case .bytes: return .success
        case .wouldBlock: Process.sleep(milliseconds: 10)
        case .closed: throw .connectionRefused
        case .failed(let error): throw error
        }
      }
      throw .wouldBlock
    } catch {
      Process.write("metrics-sidecar emit: cannot send to \(path): \(hint(error))\n", to: 2)
      return .failure
    }
  }

  /// Whether it has a name, a value and a type. The rest is the sidecar's to judge, which counts what it
  /// refuses.
  private static func isEvent(_ line: String) -> Bool {
    let bytes = Array(line.utf8)
    do throws(LineError) { _ = try unsafe EventLine.parse(bytes.span.bytes) } catch {
      return error != .noName && error != .noValue && error != .noType
    }
    return true
  }

  private static func hint(_ error: Errno) -> String {
    switch error {
    case .noSuchFile: "there is no such socket; is the sidecar running, and --statsd-socket right?"
    case .connectionRefused: "nothing listens there; is the sidecar running?"
    case .permissionDenied:
      "permission denied; run with the socket's group, or start the sidecar with --socket-mode 0666"
    case .wouldBlock: "its queue stays full; the sidecar does not read"
    default: error.description
    }
  }
}
