import SidecarHTTP
import SidecarPlatform

/// `/metrics`: first what the kernel holds, then the page in the form that the scraper likes best.
/// A page of one slice is answered at once, a larger one is written between the turns of the loop.
extension Sidecar {
  func scrape(_ request: Request, _ head: RawSpan, into response: inout ResponseWriter) {
    let kind = ScrapeKind(
      shape: AcceptField.shape(request.field("accept", in: head)),
      filter: NameFilter(query: head.extracting(request.query)),
      isGzip: AcceptField.takesGzip(request.field("accept-encoding", in: head)))
    answer(kind, into: &response)
  }

  /// `GET /api/v1/metrics`: pushed groups, which can be as many as a page's series.
  func groups(into response: inout ResponseWriter) {
    answer(
      ScrapeKind(shape: PageShape(), filter: NameFilter(), isGzip: false, isGroups: true),
      into: &response)
  }

  private func answer(_ kind: ScrapeKind, into response: inout ResponseWriter) {
    guard scrapes.isIdle else { return scrapes.wait(response.postpone(), kind) }
    let job = makeJob(kind, Clock.monotonicNanoseconds)
    if job.writeSlice() {
      response.begin(
        status: 200, contentType: job.contentType, extraFields: job.fields)
      job.body.copy(to: &response.buffer)
      response.end()
      ended(job)
    } else {
      job.tickets = [response.postpone()]
      scrapes.current = job
    }
  }

  /// One slice of the page being written, or the start of the next one.
  func continueScrapes(_ now: UInt64) {
    if scrapes.current == nil, let next = scrapes.takeNext() {
      let job = makeJob(next.kind, now)
      job.tickets = next.tickets
      scrapes.current = job
    }
    guard let job = scrapes.current, job.writeSlice() else { return }
    scrapes.current = nil
    for ticket in job.tickets { server?.answer(ticket, job.head, job.body, now: now) }
    ended(job)
  }

  /// Takes what was accepted before now, and the values as they are then.
  private func makeJob(_ kind: ScrapeKind, _ now: UInt64) -> ScrapeJob {
    if kind.isGroups, let push {
      let moment = PushText(push.store, now: Double(Clock.unixNanoseconds) / 1e9)
      return ScrapeJob(kind, GroupsText(moment), startedAt: now)
    }
    drain(now)
    lookAtIntake()
    let snapshot = Snapshot(
      applier.registry, filter: kind.filter, isOpenMetrics: kind.shape.format.isOpenMetrics)
    snapshot.hasCreatedLines = settings.hasCreatedLines
    var text = ByteBuffer(capacity: 8192)
    selfMetrics.append(applier, to: &text)
    snapshot.pushed = pushed(to: &text, kind.shape.format)
    snapshot.selfText = text.array
    return ScrapeJob(kind, snapshot, startedAt: now)
  }

  private func ended(_ job: ScrapeJob) {
    if job.kind.isGroups { return }
    selfMetrics.scrapeSeconds = Double(Clock.monotonicNanoseconds - job.startedAt) / 1e9
  }
}
