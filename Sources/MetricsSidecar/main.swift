import Events
import HTTP
import Platform

// Starts things; the work is in Sidecar.swift, and README.md walks one event through it.

private let usage = """
  metrics-sidecar: takes events over Unix sockets, serves them to Prometheus.

  Usage:
    metrics-sidecar [serve] [flags]        take events and serve /metrics
    metrics-sidecar emit LINE… [flags]     send events: emit 'jobs.done:1|c'
    metrics-sidecar check-rules FILE       tell every mistake of a rules file
    metrics-sidecar healthcheck [flags]    exit 0 when the sidecar is ready

  Flags, each with its environment variable:

  """

private func fail(_ message: String, _ code: ExitCode = .failure) -> Never {
  Process.write("metrics-sidecar: \(message)\n", to: 2)
  Process.exit(code)
}

private func run() throws(Options.Mistake) {
  let options = try Options(
    Settings.table, prefix: Settings.prefix, arguments: Process.arguments)
  if options.wantsHelp {
    Process.write(usage + Options.help(Settings.table, prefix: Settings.prefix))
    return
  }
  if options.wantsVersion {
    Process.write("metrics-sidecar \(Version.number)\n")
    return
  }
  let settings = try Settings(options)
  let operands = Array(options.operands.dropFirst())
  switch options.operands.first ?? "serve" {
  case "serve":
    guard operands.isEmpty else { throw Options.Mistake("serve takes flags only") }
    serve(settings)
  case "emit": Process.exit(Emit.run(operands, socket: settings.statsdSocket))
  case "check-rules":
    guard operands.count == 1 else { throw Options.Mistake("check-rules takes one file") }
    Process.exit(RuleLoading.check(operands[0]))
  case "healthcheck": healthcheck(settings)
  case let other:
    let commands = ["serve", "emit", "check-rules", "healthcheck"]
    let near = Spelling.closest(to: other, among: commands)
    throw Options.Mistake(
      "unknown command \(other)" + (near.map { ": did you mean \($0)?" } ?? ": see --help"))
  }
}

private func healthcheck(_ settings: Settings) {
  do throws(Client.Failure) {
    let status = try Client.status(of: "/-/ready", at: settings.listen, timeoutMilliseconds: 2000)
    if status == 200 { return }
    fail("/-/ready answers \(status)")
  } catch { fail("nothing answers on http://\(settings.listen.description)/-/ready") }
}

private func serve(_ settings: Settings) {
  let signals: Signals
  do throws(Errno) { signals = try Signals() } catch { fail("signals: \(error.description)") }
  let rules: Rules
  do throws(RuleLoading.Failure) {
    rules = try RuleLoading.load(settings.rules)
  } catch { fail(error.message, .usage) }
  do throws(StateOpening.Failure) {
    let opened = try StateOpening.open(settings)
    let registry = Registry(state: opened.state, rules: rules, limits: settings.limits)
    let events = socketFile(settings, settings.eventsSocket, .stream, "--events-socket")
    let statsd = socketFile(settings, settings.statsdSocket, .datagram, "--statsd-socket")
    let listener = listen(settings)
    let sidecar = Sidecar(
      registry: registry, settings: settings, eventsFile: events, statsdFile: statsd,
      signals: signals, stateResets: opened.resets)
    do throws(Errno) { try sidecar.run(listener) } catch { fail("epoll: \(error.description)") }
  } catch { fail(error.message) }
}

private func listen(_ settings: Settings) -> Descriptor {
  do throws(Errno) {
    return try Socket.listenTCP(host: settings.listen.host, port: settings.listen.port)
  } catch {
    let hint =
      error == .addressInUse
      ? "another program listens there; choose another with --listen" : error.description
    fail("cannot listen on \(settings.listen.description): \(hint)")
  }
}

private func socketFile(
  _ settings: Settings, _ path: String, _ kind: Socket.Kind, _ flag: String
) -> SocketFile? {
  if path.isEmpty { return nil }
  if let folder = Files.parent(of: path) {
    do throws(Errno) { try Files.makeFolder(folder) } catch {}
  }
  do throws(SocketFile.Failure) {
    return try SocketFile(
      path: path, kind: kind, mode: settings.socketMode, group: settings.socketGroup)
  } catch {
    switch error {
    case .inUse: fail("\(path) is in use by another sidecar; choose another with \(flag)")
    case .pathTooLong(let count):
      fail(
        "\(path) has \(count) bytes; a Unix socket's path has at most 107. Choose a shorter \(flag)"
      )
    case .lock(let code), .bind(let code): fail(cannotBind(path, code, flag))
    }
  }
}

private func cannotBind(_ path: String, _ code: Errno, _ flag: String) -> String {
  let folder = Files.parent(of: path) ?? "."
  switch code {
  case .permissionDenied, .readOnlyFileSystem:
    return
      "cannot make \(path): this user may not write to \(folder). Mount a volume there that its "
      + "group may write (fsGroup in Kubernetes), or choose another \(flag)"
  case .noSuchFile, .notDirectory:
    return "cannot make \(path): there is no folder \(folder). Mount a volume there, or choose "
      + "another \(flag)"
  case .addressInUse:
    return "cannot make \(path): something that is not a stale socket is in its place"
  default: return "cannot make \(path): \(code.description) (\(code.name))"
  }
}

do throws(Options.Mistake) { try run() } catch { fail(error.message, .usage) }
