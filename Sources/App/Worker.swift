import Events
import HTTP
import Platform

/// One thread's server: answers from the routes table, and counts what it answers. Events go to the
/// kernel at the end of a turn, before the answers do.
final class Worker: Responder {
  private let routes: [Route]
  private let answers: [PreparedResponse]
  private let paths: [[UInt8]]
  private let events: EventClient?
  private let requestEvents: RequestEvents?
  private var server: Server<Worker>?
  private var watched = 0
  private var watchesWritable = false
  private let stopDescriptor: Int32
  /// Answers of this turn, whose time is known when it ends.
  private var answered: [Answer] = []

  private static let eventsToken: UInt32 = 0
  private static let stopToken: UInt32 = 1

  /// `stopDescriptor` becomes readable when the program shall stop; all workers watch the same.
  init(_ routes: [Route], events: EventClient?, stopDescriptor: Int32) {
    self.routes = routes
    self.events = events
    self.stopDescriptor = stopDescriptor
    answers = routes.map {
      PreparedResponse(status: 200, contentType: $0.contentType, body: Array($0.body.utf8))
    }
    paths = routes.map { Array("\($0.path)".utf8) }
    requestEvents = events.map { RequestEvents($0, routes) }
    answered.reserveCapacity(4096)
  }

  func countStart() {
    if let events { events.add(events.counter("app.start"), 1) }
  }

  func run(_ listener: consuming Descriptor) throws(Errno) {
    let server = try Server(listener: listener, limits: HTTPLimits(), responder: self)
    self.server = server
    try server.watch(stopDescriptor, .readable, token: Self.stopToken)
    events?.flush(now: Clock.monotonicNanoseconds)
    syncWatch()
    server.run()
    events?.drain(until: Clock.monotonicNanoseconds + 2_000_000_000)
    self.server = nil
  }

  func respond(
    to request: Request, head: RawSpan, body: RawSpan, into response: inout ResponseWriter
  ) {
    let path = head.extracting(request.path)
    for index in 0..<paths.count {
      let known = paths[index]
      guard unsafe ByteCompare.equal(known.span.bytes, path) else { continue }
      response.route = UInt32(index)
      if request.method == .get || request.method == .head {
        response.send(answers[index])
      } else {
        response.problem(
          status: 405, detail: "this path is read only", extraFields: "Allow: GET, HEAD\r\n")
      }
      return
    }
    response.problem(status: 404, detail: "there is no such path; /docs lists them")
  }

  func answered(_ answer: Answer) {
    if events != nil { answered.append(answer) }
  }

  func turnEnds(now: UInt64) {
    guard let events, let requestEvents else { return }
    if !answered.isEmpty {
      let end = Clock.monotonicNanoseconds
      for answer in answered {
        events.add(requestEvents.request(answer), 1)
        events.observe(requestEvents.duration(answer), nanoseconds: end - answer.arrivedAt)
      }
      answered.removeAll(keepingCapacity: true)
      events.flush(now: end)
    }
    syncWatch()
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
