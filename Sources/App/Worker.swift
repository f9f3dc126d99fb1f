import SidecarEvents
import SidecarHTTP
import SidecarPlatform

/// One thread's server: answers from the routes table, and counts what it answers. Events go to the
/// kernel at the end of a turn, before the answers do.
final class Worker: Responder {
  private let routes: [Route]
  private let answers: [PreparedResponse]
  private let paths: [[UInt8]]
  private let docs: Docs
  private let assets: [PreparedResponse]
  private let assetPaths: [[UInt8]]
  private let events: EventClient?
  private let requestEvents: RequestEvents?
  private var closedEvents = ClosedEvents()
  private var outage: OutageWatch?
  private var server: Server<Worker>?
  private var watched = 0
  private var watchesWritable = false
  private let stopDescriptor: Int32
  private let memory: ClientMemory
  /// Answers of this turn, whose time is known when it ends.
  private var answered: [Answer] = []

  /// Until when the log says nothing more about waiting clients.
  private var silentUntil: UInt64 = 0

  private static let eventsToken: UInt32 = 0
  private static let stopToken: UInt32 = 1

  /// `stopDescriptor` becomes readable when the program should stop; all workers watch the same
  /// one. The worker's clients may hold up to `memoryByteCount` bytes.
  init(
    _ docs: Docs, events: EventClient?, outage: EventsOutage? = nil, stopDescriptor: Int32,
    memoryByteCount: Int
  ) {
    self.outage = outage.map { OutageWatch($0) }
    memory = ClientMemory(limit: memoryByteCount)
    let routes = Routes.all(docs)
    self.routes = routes
    self.docs = docs
    self.events = events
    self.stopDescriptor = stopDescriptor
    answers = routes.map {
      PreparedResponse(
        status: 200, contentType: $0.contentType, body: Array($0.body.utf8),
        extraFields: $0.extraFields)
    }
    paths = routes.map { Array("\($0.path)".utf8) }
    let assets = docs.assets
    self.assets = assets.map {
      PreparedResponse(
        status: 200, contentType: $0.contentType, body: $0.body,
        extraFields: "Cache-Control: max-age=3600\r\nX-Content-Type-Options: nosniff\r\n")
    }
    assetPaths = assets.map { Array("\($0.path)".utf8) }
    requestEvents = events.map { RequestEvents($0, routes) }
    answered.reserveCapacity(4096)
  }

  /// Counts a start of the program, and hands the count to the kernel.
  func countStart() {
    guard let events else { return }
    events.add(events.counter("app.start"), 1)
    events.flush(now: Clock.monotonicNanoseconds)
    outage?.look(events)
  }

  func run(_ listener: consuming Descriptor) throws(Errno) {
    let server = try Server(
      listener: listener, limits: HTTPLimits(), responder: self, memory: memory)
    self.server = server
    try server.watch(stopDescriptor, .readable, token: Self.stopToken)
    events?.flush(now: Clock.monotonicNanoseconds)
    syncWatch()
    server.run()
    events?.drain(until: Clock.monotonicNanoseconds + 2_000_000_000)
    self.server = nil
  }

  @_optimize(speed)
  func respond(
    to request: Request, head: RawSpan, body: RawSpan, into response: inout ResponseWriter
  ) {
    let path = head.extracting(request.path)
    if respond(request, path, into: &response) { return }
    if let path = docs.rootPath.remainder(of: path), respond(request, path, into: &response) {
      return
    }
    response.problem(status: 404, detail: "there is no such path; /docs lists them")
  }

  /// No route accepts a body.
  func bodyLimit(of request: Request, head: RawSpan) -> Int { 0 }

  func isProbe(_ request: Request, head: RawSpan) -> Bool {
    head.extracting(request.path).isEqual(to: "/health")
  }

  /// Whether there is a route at `path`.
  @_optimize(speed)
  private func respond(
    _ request: Request, _ path: RawSpan, into response: inout ResponseWriter
  ) -> Bool {
    if let index = index(of: path, in: paths) {
      response.route = UInt32(index)
      send(answers[index], request, into: &response)
      return true
    }
    guard let index = index(of: path, in: assetPaths) else { return false }
    response.route = UInt32(Routes.api.count)
    send(assets[index], request, into: &response)
    return true
  }

  @inline(__always)
  @_optimize(speed)
  private func index(of path: RawSpan, in paths: [[UInt8]]) -> Int? {
    for index in 0..<paths.count {
      let known = paths[index]
      if unsafe ByteCompare.equal(known.span.bytes, path) { return index }
    }
    return nil
  }

  @inline(__always)
  @_optimize(speed)
  private func send(
    _ answer: PreparedResponse, _ request: Request, into response: inout ResponseWriter
  ) {
    if request.method == .get || request.method == .head { return response.send(answer) }
    response.problem(
      status: 405, detail: "this path is read only", extraFields: "Allow: GET, HEAD\r\n")
  }

  @_optimize(speed)
  func answered(_ answer: Answer) {
    if events != nil { answered.append(answer) }
  }

  @_optimize(speed)
  func turnEnds(now: UInt64) {
    guard let events, let requestEvents else { return }
    let isClosed = server.map { closedEvents.count($0.closed, events) } ?? false
    if isClosed || !answered.isEmpty {
      let end = Clock.monotonicNanoseconds
      for answer in answered { requestEvents.count(answer, end: end) }
      answered.removeAll(keepingCapacity: true)
      events.flush(now: end)
    }
    outage?.look(events)
    syncWatch()
  }

  func clientsWait(_ error: Errno, now: UInt64) {
    guard now >= silentUntil else { return }
    silentUntil = now + 60_000_000_000
    Log().warning(
      "Clients wait to be taken: " + error.description
        + ". Raise the limit of open files (ulimit -n)")
  }

  func ready(_ token: UInt32, _ interest: Poller.Interest, now: UInt64) {
    if token == Self.stopToken {
      server?.unwatch(stopDescriptor)
      server?.stop(now: now)
    } else {
      events?.ready(interest, now: now)
    }
  }

  func nextDeadline() -> UInt64 { events?.nextDeadline ?? .max }
  func deadlineReached(now: UInt64) { events?.flush(now: now) }

  /// Watches a new connection for its end, and for room while the kernel's buffer is full.
  private func syncWatch() {
    guard let events, events.descriptor >= 0 else { return }
    guard events.connectionNumber != watched || events.isBlocked != watchesWritable else { return }
    let interest: Poller.Interest = events.isBlocked ? .writable : []
    do throws(Errno) {
      if events.connectionNumber != watched {
        try server?.watch(events.descriptor, interest, token: Self.eventsToken)
      } else {
        try server?.change(events.descriptor, interest, token: Self.eventsToken)
      }
      watched = events.connectionNumber
      watchesWritable = events.isBlocked
    } catch {}
  }
}
