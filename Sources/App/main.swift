import Events
import HTTP
import Platform

// Starts things: flags, then a server for each worker thread. The API is in Routes.swift.

private let prefix = "SIMPLE_SERVER"

private let standardFolder = "/swagger-ui"

private let table: [Option] = [
  Option("listen", "HOST:PORT", "0.0.0.0:8081", "Where the API is served."),
  Option(
    "events-socket", "PATH", "/run/metrics/events.sock",
    "Where events go; they wait here while nothing listens there. Empty: no events."),
  Option("workers", "N", "0", "Threads, each with its own loop; 0: the processors there are."),
  Option(
    "swagger-ui", "DIR", standardFolder,
    "Folder with swagger-ui.css and swagger-ui-bundle.js (release 5) for /docs. Empty, or not "
      + "there in the default: a CDN's, checked by their hashes."),
  Option(
    "root-path", "PATH", "",
    "Where a proxy shows the API, such as /api; requests may come with or without it."),
]

private let usage = """
  simple-server: an API that counts its requests and does not know what Prometheus is.

  Usage:
    simple-server [serve] [flags]    serve the API
    simple-server healthcheck [--listen HOST:PORT]
                                     exit 0 when GET /health answers 200
    simple-server stress --cpu N --memory SIZE --duration T
                                     burn processor and memory for a while
    simple-server sleep SECONDS      wait: a preStop hook for images without a shell

  Flags, each with its environment variable:

  """

private func fail(_ message: String, _ code: ExitCode = .failure) -> Never {
  Process.write("simple-server: \(message)\n", to: 2)
  Process.exit(code)
}

private func run() throws(Options.Mistake) {
  var arguments = Process.arguments
  if arguments.first == "stress" {
    arguments.removeFirst()
    let options = try Options(Stress.table, prefix: prefix, arguments: arguments)
    if options.wantsHelp {
      Process.write(Options.help(Stress.table, prefix: prefix))
      return
    }
    guard options.operands.isEmpty else { throw Options.Mistake("stress takes flags only") }
    return try Stress.run(options)
  }
  let options = try Options(table, prefix: prefix, arguments: arguments)
  if options.wantsHelp || options.operands.first == "help" {
    Process.write(usage + Options.help(table, prefix: prefix))
    return
  }
  if options.wantsVersion {
    Process.write("simple-server \(Version.number)\n")
    return
  }
  let command = options.operands.first ?? "serve"
  if command == "sleep" { return try Process.sleep(operands: options.operands.dropFirst()) }
  guard options.operands.count <= 1 else {
    throw Options.Mistake("\(command) takes flags only, not '\(options.operands[1])'")
  }
  let address = try options.address("listen")
  switch command {
  case "serve":
    let workers = try options.number("workers", in: 0...256)
    serve(
      address, options.text("events-socket"), try docs(options),
      workers: workers == 0 ? Processors.count : workers)
  case "healthcheck": healthcheck(address)
  default:
    let near = Spelling.closest(to: command, among: ["serve", "healthcheck", "stress", "sleep"])
    throw Options.Mistake(
      "unknown command \(command)" + (near.map { ": did you mean \($0)?" } ?? ": see --help"))
  }
}

private func healthcheck(_ address: NetworkAddress) {
  do throws(Client.Failure) {
    let status = try Client.status(of: "/health", at: address, timeoutMilliseconds: 2000)
    if status == 200 { return }
    fail("/health answers \(status)")
  } catch { fail("nothing answers on http://\(address.description)/health") }
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
    if folder == standardFolder, error.reason == .noSuchFile {
      return Docs(rootPath: rootPath, swaggerUI: .remote)
    }
    fail("cannot read \(error.path) for /docs: \(error.reason.description); see --swagger-ui")
  }
}

/// The start is counted before anybody can connect: who sees the server running sees it counted.
private func serve(_ address: NetworkAddress, _ eventsPath: String, _ docs: Docs, workers: Int) {
  do throws(Errno) {
    // One descriptor tells every worker to stop, so it is there before they are.
    let signals = try Signals()
    let first = bind(address)
    let worker = try makeWorker(eventsPath, docs, signals.raw)
    worker.countStart()
    try Socket.listen(first.raw)
    Log().info("Running on http://\(address.description) (CTRL + C to quit)")
    for _ in 1..<max(workers, 1) { try start(bind(address), eventsPath, docs, signals.raw) }
    try worker.run(first)
    Workers.join()
    Log().info("Stopped")
  } catch { fail("cannot start: \(error.description)") }
}

private func makeWorker(
  _ eventsPath: String, _ docs: Docs, _ stopDescriptor: Int32
) throws(Errno) -> Worker {
  let events = eventsPath.isEmpty ? nil : try EventClient(path: eventsPath)
  return Worker(docs, events: events, stopDescriptor: stopDescriptor)
}

private func start(
  _ listener: consuming Descriptor, _ eventsPath: String, _ docs: Docs, _ stopDescriptor: Int32
) throws(Errno) {
  let raw = listener.release()
  try Workers.start {
    do throws(Errno) {
      let worker = try makeWorker(eventsPath, docs, stopDescriptor)
      try Socket.listen(raw)
      try worker.run(Descriptor(owning: raw))
    } catch { fail("a worker cannot start: \(error.description)") }
  }
}

private func bind(_ address: NetworkAddress) -> Descriptor {
  do throws(Errno) {
    return try Socket.bindTCP(host: address.host, port: address.port)
  } catch {
    let hint =
      error == .addressInUse
      ? "another program listens there; choose another with --listen" : error.description
    fail("cannot listen on \(address.description): \(hint)")
  }
}

do throws(Options.Mistake) { try run() } catch { fail(error.message, .usage) }
