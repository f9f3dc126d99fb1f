import SidecarEvents
import SidecarHTTP
import SidecarPlatform

// Starts things: flags, then a server for each worker thread. The API is in Routes.swift.

private func fail(_ message: String, _ code: ExitCode = .failure) -> Never {
  Process.write("simple-server: \(message)\n", to: 2)
  Process.exit(code)
}

private func run() throws(Options.Mistake) {
  switch try Commands.app.read(Process.arguments) {
  case .text(let text): Process.write(text)
  case .run(let command, let options): try run(command, options)
  }
}

private func run(_ command: String, _ options: Options) throws(Options.Mistake) {
  switch command {
  case "stress": try Stress.run(options)
  case "sleep": try Process.sleep(seconds: options.operands[0])
  case "healthcheck": healthcheck(try options.address("listen"))
  default:
    let given = try options.number("workers", in: 0...256)
    let workers = given == 0 ? Processors.count : given
    let memory = try options.byteCount("max-client-memory", in: (1 << 20)...(1 << 30))
    // A share has room for at least two of the longest heads.
    let plan = WorkerPlan(
      eventsPath: options.text("events-socket"),
      outage: EventsOutage(path: options.text("events-socket")), docs: try docs(options),
      memoryByteCount: max(memory / workers, 64 << 10))
    serve(try options.address("listen"), plan, workers: workers)
  }
}

private func healthcheck(_ address: NetworkAddress) {
  let place = joined("http://", address.description, "/health")
  do throws(Client.Failure) {
    let status = try Client.status(of: "/health", at: address, timeoutMilliseconds: 2000)
    if status == 200 { return }
    fail(joined(place, " answers ", status.description))
  } catch {
    fail(joined("nothing answers on ", place, "; is the server running, and --listen the same?"))
  }
}

private func docs(_ options: Options) throws(Options.Mistake) -> Docs {
  guard let rootPath = RootPath(options.text("root-path")) else {
    throw options.mistake(
      "root-path", "takes a path such as /api, of letters, digits and /._~-")
  }
  let folder = options.text("swagger-ui")
  guard !folder.isEmpty else { return Docs(rootPath: rootPath, swaggerUI: .remote) }
  do throws(SwaggerUI.Failure) {
    return Docs(rootPath: rootPath, swaggerUI: try SwaggerUI(folder: folder))
  } catch {
    if folder == SwaggerUI.standardFolder, error.reason == .noSuchFile {
      return Docs(rootPath: rootPath, swaggerUI: .remote)
    }
    fail("cannot read \(error.path) for /docs: \(error.reason.description); see --swagger-ui")
  }
}

/// The parts of each worker.
private struct WorkerPlan: Sendable {
  let eventsPath: String
  let outage: EventsOutage
  let docs: Docs
  let memoryByteCount: Int

  func make(_ stopDescriptor: Int32) throws(Errno) -> Worker {
    let events = eventsPath.isEmpty ? nil : try EventClient(path: eventsPath)
    return Worker(
      docs, events: events, outage: outage, stopDescriptor: stopDescriptor,
      memoryByteCount: memoryByteCount)
  }
}

/// The start is counted before any answer, so anyone who sees the server running sees it counted.
private func serve(_ address: NetworkAddress, _ plan: WorkerPlan, workers: Int) {
  for warning in Options.misspelled(Commands.flags, prefix: Commands.prefix) {
    Log().warning(warning)
  }
  do throws(Errno) {
    // As many clients as the machine allows, rather than the shell.
    _ = Process.openFileLimit
    // One descriptor tells every worker to stop, so it exists before they do.
    let signals = try Signals()
    // Listening exclusively first shows that no other program does: it would share the port
    // silently.
    let first = listen(address)
    try Socket.share(first.raw)
    let worker = try plan.make(signals.raw)
    worker.countStart()
    Log().info("Running on http://\(address.description) (CTRL + C to quit)")
    let port = try Socket.localPort(first.raw)
    for _ in 1..<max(workers, 1) {
      let listener = try Socket.bindTCP(host: address.host, port: port)
      try start(listener, plan, signals.raw)
    }
    try worker.run(first)
    Workers.join()
    Log().info("Stopped")
  } catch { fail("cannot start: \(error.description)") }
}

private func start(
  _ listener: consuming Descriptor, _ plan: WorkerPlan, _ stopDescriptor: Int32
) throws(Errno) {
  let raw = listener.release()
  try Workers.start {
    do throws(Errno) {
      let worker = try plan.make(stopDescriptor)
      try Socket.listen(raw)
      try worker.run(Descriptor(owning: raw))
    } catch { fail("a worker cannot start: \(error.description)") }
  }
}

private func listen(_ address: NetworkAddress) -> Descriptor {
  do throws(Errno) {
    return try Socket.listenTCP(host: address.host, port: address.port)
  } catch {
    let hint =
      switch error {
      case .addressInUse:
        "another program listens there; choose another by --listen or SIMPLE_SERVER_LISTEN"
      case .invalid: "its host is an address in numbers, such as 127.0.0.1 or [::], or localhost"
      default: error.description
      }
    fail("cannot listen on \(address.description): \(hint)")
  }
}

do throws(Options.Mistake) { try run() } catch { fail(error.message, .usage) }
