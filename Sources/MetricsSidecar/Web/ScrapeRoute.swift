import SidecarHTTP
import SidecarPlatform

/// `/metrics`: first reads what the kernel holds, then writes the exposition in the scraper's
/// preferred format. A small one is answered at once, a larger one is written between the turns of
/// the loop.
extension Sidecar {
  func scrape(_ request: Request, _ head: RawSpan, into response: inout ResponseWriter) {
    let kind = ScrapeKind(
      shape: AcceptField.shape(request.field("accept", in: head)),
      filter: NameFilter(query: head.extracting(request.query)),
      isGzip: AcceptField.takesGzip(request.field("accept-encoding", in: head)))
    answer(kind, reader: reader(request, head, kind, response), into: &response)
  }

  /// `GET /api/v1/metrics`: pushed groups, which can be as many as an exposition's series.
  func groups(into response: inout ResponseWriter) {
    answer(
      ScrapeKind(shape: ExpositionShape(), filter: NameFilter(), isGzip: false, isGroups: true),
      reader: 0, into: &response)
  }

  private func answer(
    _ kind: ScrapeKind, reader: UInt64, into response: inout ResponseWriter
  ) {
    guard scrapes.isIdle, turn.half == .nothing, otlp?.current == nil else {
      return scrapes.wait(postpone(&response, reader), kind)
    }
    let now = Clock.monotonicNanoseconds
    guard isDrained(for: kind, isNew: true, now) else {
      scrapes.next = (kind, [postpone(&response, reader)])
      return
    }
    let job = makeJob(kind, now)
    if job.writeSlice() {
      response.begin(
        status: 200, contentType: job.contentType, extraFields: job.fields)
      job.body.copy(to: &response.buffer)
      response.end()
      response.receipt = receipt(job, reader, now)
      ended(job)
    } else {
      job.tickets = [postpone(&response, reader)]
      scrapes.current = job
    }
  }

  private func postpone(_ response: inout ResponseWriter, _ reader: UInt64) -> Ticket {
    var ticket = response.postpone()
    ticket.note = reader
    return ticket
  }

  private func receipt(_ job: ScrapeJob, _ reader: UInt64, _ now: UInt64) -> Receipt? {
    guard reader != 0 else { return nil }
    expectReceipt(now)
    return Receipt(reader: reader, mark: job.mark)
  }

  /// Reads a slice of what the kernel held when the scrape came; returns whether all of it is
  /// applied.
  private func isDrained(for kind: ScrapeKind, isNew: Bool, _ now: UInt64) -> Bool {
    if kind.isGroups { return true }
    if isNew { beginDrainForRequest(now) }
    return continueDrain(now, until: Clock.monotonicNanoseconds + Drain.sliceNanoseconds)
  }

  /// Reads a slice of the next exposition's input, or writes a slice of the current one.
  func continueScrapes(_ now: UInt64) {
    if scrapes.current == nil {
      // Series of a request that has no effect yet are not shown.
      if otlp?.current != nil { return }
      let isNew = scrapes.next == nil
      if isNew { scrapes.next = scrapes.takeNext() }
      guard let next = scrapes.next, isDrained(for: next.kind, isNew: isNew, now) else { return }
      scrapes.next = nil
      let job = makeJob(next.kind, now)
      job.tickets = next.tickets
      scrapes.current = job
    }
    guard let job = scrapes.current, job.writeSlice() else { return }
    scrapes.current = nil
    for ticket in job.tickets {
      let receipt = receipt(job, ticket.note, now)
      server?.answer(ticket, job.head, job.body, receipt: receipt, now: now)
    }
    ended(job)
  }

  /// Takes a snapshot of the values. Call it after everything accepted before is applied.
  private func makeJob(_ kind: ScrapeKind, _ now: UInt64) -> ScrapeJob {
    if kind.isGroups, let push {
      let moment = PushedFamilies(push.store, now: .now)
      return ScrapeJob(kind, GroupsJSON(moment), startedAt: now)
    }
    lookAtIntake()
    history.note(processor.registry)
    let snapshot = Snapshot(
      processor.registry, filter: kind.filter, isOpenMetrics: kind.shape.format.isOpenMetrics)
    snapshot.hasCreatedLines = settings.hasCreatedLines
    snapshot.pushed = pushed(kind.shape.format)
    snapshot.own = OwnMetric.families(OwnMoment(selfMetrics, processor, push))
    let job = ScrapeJob(kind, snapshot, startedAt: now)
    if linger != nil { job.mark = appliedCount }
    return job
  }

  private func ended(_ job: ScrapeJob) {
    if job.kind.isGroups { return }
    selfMetrics.scrapeSeconds = Double(Clock.monotonicNanoseconds - job.startedAt) / 1e9
  }
}
