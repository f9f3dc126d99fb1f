import Events
import HTTP
import Platform

// Starts things; the work is in Sidecar.swift, and README.md walks one event through it.

private let usage = """
  metrics-sidecar: takes events over Unix sockets, serves them to Prometheus.

  Usage:
    metrics-sidecar [serve] [flags]        take events and serve /metrics
    metrics-sidecar emit LINE…             send events: emit 'jobs.done:1|c' [--statsd-socket PATH]
    metrics-sidecar check-rules FILE       tell every mistake of a rules file
    metrics-sidecar convert-rules FILE     make one of a statsd_exporter mapping file
    metrics-sidecar healthcheck            exit 0 when the sidecar is ready [--listen HOST:PORT]
    metrics-sidecar sleep SECONDS          wait: a preStop hook for images without a shell
    metrics-sidecar hash-password NAME     a line for --push-auth, of the password on standard input

  Flags, each with its environment variable:

  """

private func fail(_ message: String, _ code: ExitCode = .failure) -> Never {
  Process.write("metrics-sidecar: \(message)\n", to: 2)
  Process.exit(code)
}

private func run() throws(Options.Mistake) {
  let options = try Options(
    Settings.table, prefix: Settings.prefix, arguments: Process.arguments)
  if options.wantsHelp || options.operands.first == "help" {
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
  case "convert-rules":
    guard operands.count == 1 else { throw Options.Mistake("convert-rules takes one file") }
    Process.exit(ConvertRules.run(operands[0]))
  case "healthcheck": healthcheck(settings)
  case "sleep": try Process.sleep(operands: operands[...])
  case "hash-password":
    guard operands.count == 1 else { throw Options.Mistake("hash-password takes one name") }
    Process.exit(HashPassword.run(operands[0]))
  case let other:
    let commands = [
      "serve", "emit", "check-rules", "convert-rules", "healthcheck", "sleep", "hash-password",
    ]
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
  let datagrams: Datagrams
  do throws(Errno) {
    datagrams = try Datagrams(maximumByteCount: settings.limits.datagramByteCount)
  } catch { fail("no memory for datagrams: \(error.description)") }
  guard settings.supervises else { return work(settings, datagrams, nil, nil, nil) }
  // From here on everything is done by workers, with the parent's sockets.
  let sockets = openSockets(settings)
  let listener = listen(settings)
  let kept: KeptFiles
  do throws(Errno) {
    kept = try KeptFiles()
    try sockets.share()
    var supervisor = Supervisor(log: settings.log)
    try supervisor.run(datagrams)
  } catch { fail("cannot start a worker: \(error.description)") }
  work(settings, datagrams, sockets, listener, kept)
}

private func work(
  _ settings: Settings, _ datagrams: consuming Datagrams, _ sockets: IntakeSockets?,
  _ listener: consuming Descriptor?, _ kept: KeptFiles?
) {
  let signals: Signals
  do throws(Errno) { signals = try Signals() } catch { fail("signals: \(error.description)") }
  let rules: Rules
  var reloads = Reloads()
  do throws(RuleLoading.Failure) {
    rules = try RuleLoading.load(settings.rules, kept: kept?.rules)
  } catch {
    // One that takes over goes on with the rules of the one before: a bad file never ends it.
    guard let last = RuleLoading.last(kept?.rules) else { fail(error.message, .usage) }
    settings.log.error("The worker that takes over keeps the last good rules: \(error.message)")
    rules = last.rules
    reloads = Reloads(failureCount: 1, hasLastSucceeded: false, lastSuccessSeconds: last.seconds)
  }
  do throws(StateOpening.Failure) {
    let opened = try StateOpening.open(settings)
    let registry = Registry(state: opened.state, rules: rules, limits: settings.limits)
    registry.dialects = settings.dialects
    registry.spellings.isOn = settings.hasUTF8Names
    let push = openPush(settings, opened.path, kept)
    let sockets = sockets ?? openSockets(settings)
    let listener = listener ?? listen(settings)
    let sidecar = Sidecar(
      registry: registry, settings: settings, sockets: sockets, datagrams: datagrams,
      signals: signals, stateResets: opened.resets)
    sidecar.selfMetrics.reloads = reloads
    sidecar.kept = kept
    if let push { sidecar.take(push) }
    do throws(Errno) { try sidecar.run(listener) } catch { fail("epoll: \(error.description)") }
  } catch { fail(error.message) }
}

private func openPush(
  _ settings: Settings, _ statePath: String, _ kept: KeptFiles?
) -> PushAPI? {
  do throws(PushOpening.Failure) {
    return try PushOpening.open(settings, state: statePath, kept)
  } catch { fail(error.message) }
}

private func openSockets(_ settings: Settings) -> IntakeSockets {
  do throws(IntakeSockets.Failure) {
    return try IntakeSockets(settings)
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

do throws(Options.Mistake) { try run() } catch { fail(error.message, .usage) }
