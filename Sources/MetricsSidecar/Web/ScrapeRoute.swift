import HTTP
import Platform

/// `/metrics`: first what the kernel holds, then the page in the form that the scraper likes best.
extension Sidecar {
  func scrape(_ request: Request, _ head: RawSpan, into response: inout ResponseWriter) {
    let start = Clock.monotonicNanoseconds
    drain(start)
    let shape = AcceptField.shape(request.field("accept", in: head))
    let filter = NameFilter(query: head.extracting(request.query))
    let snapshot = Snapshot(
      applier.registry, filter: filter, isOpenMetrics: shape.format.isOpenMetrics)
    var text = ByteBuffer(capacity: 8192)
    selfMetrics.append(applier, to: &text)
    appendPushed(to: &text, snapshot)
    snapshot.selfText = text.array
    let writer = PageWriter(snapshot, shape: shape, filter: filter)
    response.begin(
      status: 200, contentType: shape.contentType,
      extraFields: Array("Vary: Accept, Accept-Encoding\r\n".utf8))
    while !writer.write(into: &response.buffer, byteCount: 1 << 20) {}
    response.end()
    selfMetrics.scrapeSeconds = Double(Clock.monotonicNanoseconds - start) / 1e9
  }
}
