import SidecarEvents
import SidecarHTTP
import SidecarPlatform

// Starts things; the work is in Sidecar.swift, and README.md walks one event through it.

private func fail(_ message: String, _ code: ExitCode = .failure) -> Never {
  Process.write(joined("metrics-sidecar: ", message, "\n"), to: 2)
  Process.exit(code)
}

private func run() throws(Options.Mistake) {
  // A reload or a stop that arrives before the loop exists waits for it.
  Signals.hold()
  if Process.arguments.first == "convert-rules" {
    throw Options.Mistake("convert-rules is a program of its own, beside this one in each release")
  }
  switch try Commands.sidecar.read(Process.arguments) {
  case .text(let text): Process.write(text)
  case .run(let command, let options): try run(command, options)
  }
}

private func run(_ command: String, _ options: Options) throws(Options.Mistake) {
  let operands = options.operands
  if command != "serve" { Signals.hold(false) }
  switch command {
  case "emit": Process.exit(try Emit.run(options))
  case "run": try RunCommand.run(options)
  case "copy": Process.exit(CopyCommand.run(operands[0]))
  case "check-rules": Process.exit(RuleLoading.check(operands[0], test: options.text("test")))
  case "healthcheck": healthcheck(try options.address("listen"))
  case "tail":
    Process.exit(
      Tail.run(
        try options.address("listen"), name: options.text("name"),
        isOfRefusals: try options.flag("rejected")))
  case "top":
    Process.exit(Top.run(try options.address("listen"), isOnce: try options.flag("once")))
  case "sleep": try Process.sleep(seconds: operands[0])
  case "hash-password": Process.exit(HashPassword.run(operands[0]))
  default: serve(try Settings(options))
  }
}

private func healthcheck(_ address: NetworkAddress) {
  let place = joined("http://", address.description, "/-/ready")
  do throws(Client.Failure) {
    let status = try Client.status(of: "/-/ready", at: address, timeoutMilliseconds: 2000)
    if status == 200 { return }
    fail(joined(place, " answers ", status.description, "; its text says why"))
  } catch {
    fail(joined("nothing answers on ", place, "; is the sidecar running, and --listen the same?"))
  }
}

private func serve(_ settings: Settings) {
  for warning in Options.misspelled(Settings.table, prefix: Settings.prefix) {
    settings.log.warning(warning)
  }
  let datagrams: Datagrams
  do throws(Errno) {
    datagrams = try Datagrams(maximumByteCount: settings.limits.datagramByteCount)
  } catch { fail(joined("no memory for datagrams: ", error.description)) }
  guard settings.supervises else {
    do throws(Errno) { try WorkerBoard.beAlone() } catch {
      fail(joined("signals: ", error.description))
    }
    Signals.endWithin(
      seconds: Supervisor.stopSeconds,
      lingerSeconds: Int((settings.lingerNanoseconds + 999_999_999) / 1_000_000_000),
      or: joined(
        "metrics-sidecar: it has not ended within ", Supervisor.stopSeconds.description,
        " s of the signal, or of the end of --linger\n"))
    return work(settings, datagrams, nil, nil, nil)
  }
  // From here on workers do everything, with the parent's sockets.
  let sockets: IntakeSockets
  let listener: Descriptor
  do throws(StateOpening.Failure) {
    sockets = try openSockets(settings)
    listener = try listen(settings)
  } catch { fail(error.message) }
  let kept: LastGoodFiles
  do throws(Errno) {
    kept = try LastGoodFiles(settings.limits)
    try sockets.share()
    var supervisor = Supervisor(
      log: settings.log, board: kept.board, lingerNanoseconds: settings.lingerNanoseconds)
    try supervisor.run(datagrams)
  } catch { fail(joined("cannot start a worker: ", error.description)) }
  work(settings, datagrams, sockets, listener, kept)
}

private func work(
  _ settings: Settings, _ datagrams: consuming Datagrams, _ sockets: IntakeSockets?,
  _ listener: consuming Descriptor?, _ kept: LastGoodFiles?
) {
  let signals: Signals
  do throws(Errno) { signals = try Signals() } catch {
    fail(joined("signals: ", error.description))
  }
  let rules: Rules
  var reloads = Reloads()
  do throws(RuleLoading.Failure) {
    rules = try RuleLoading.load(settings.rules, kept: kept?.rules, &reloads) ?? Rules()
  } catch {
    // A worker that takes over continues with its predecessor's rules: a bad file never ends it.
    guard let last = RuleLoading.last(kept?.rules) else { fail(error.message, .usage) }
    settings.log.error(
      joined("The worker that takes over keeps the last good rules: ", error.message))
    rules = last.rules
    reloads.failureCount = 1
    reloads.hasLastSucceeded = false
    reloads.lastSuccessSeconds = last.seconds
    reloads.inForce = last.mark
  }
  do throws(StateOpening.Failure) {
    let opened = try StateOpening.open(settings, kept?.board)
    var hasValues = opened.state.hasRecords
    let registry = Registry(
      state: opened.state, rules: rules, limits: settings.limits,
      keepsSpellings: settings.hasUTF8Names)
    let push: PushAPI?
    do throws(StateOpening.Failure) {
      push = try openPush(settings, opened.path, kept)
      if let push, push.store.groupCount > 0 { hasValues = true }
      let sockets = if let sockets { sockets } else { try openSockets(settings) }
      let socket: Descriptor
      if let listener { socket = listener } else { socket = try listen(settings) }
      let sidecar = Sidecar(
        registry: registry, settings: settings, sockets: sockets, datagrams: datagrams,
        signals: signals, stateResets: opened.resets)
      sidecar.selfMetrics.reloads = reloads
      sidecar.kept = kept
      if let push { sidecar.take(push) }
      sidecar.prepareLinger(hasValues: hasValues)
      do throws(Errno) { try sidecar.run(socket) } catch {
        fail(joined("epoll: ", error.description))
      }
    } catch {
      // Nothing was counted, so the file is still as it was.
      opened.state.endInOrder()
      fail(error.message)
    }
  } catch { fail(error.message) }
}

private func openPush(
  _ settings: Settings, _ statePath: String, _ kept: LastGoodFiles?
) throws(StateOpening.Failure) -> PushAPI? {
  do throws(PushOpening.Failure) {
    return try PushOpening.open(settings, state: statePath, kept)
  } catch { throw StateOpening.Failure(message: error.message) }
}

private func openSockets(_ settings: Settings) throws(StateOpening.Failure) -> IntakeSockets {
  do throws(IntakeSockets.Failure) {
    return try IntakeSockets(settings)
  } catch { throw StateOpening.Failure(message: error.message) }
}

private func listen(_ settings: Settings) throws(StateOpening.Failure) -> Descriptor {
  do throws(Errno) {
    return try Socket.listenTCP(host: settings.listen.host, port: settings.listen.port)
  } catch {
    let hint =
      switch error {
      case .addressInUse:
        "another program listens there; choose another by --listen or METRICS_SIDECAR_LISTEN"
      case .invalid: "its host is an address in numbers, such as 127.0.0.1 or [::], or localhost"
      default: error.description
      }
    throw StateOpening.Failure(
      message: joined("cannot listen on ", settings.listen.description, ": ", hint))
  }
}

do throws(Options.Mistake) { try run() } catch { fail(error.message, .usage) }
