import HTTP
import Platform

/// `/metrics`: first what the kernel holds, then the page.
extension Sidecar {
  func scrape(_ request: Request, _ head: RawSpan, into response: inout ResponseWriter) {
    let start = Clock.monotonicNanoseconds
    drain(start)
    response.begin(status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8")
    TextFormat.append(applier.registry, to: &response.buffer)
    selfMetrics.append(applier, to: &response.buffer)
    appendPushed(to: &response.buffer)
    response.end()
    selfMetrics.scrapeSeconds = Double(Clock.monotonicNanoseconds - start) / 1e9
  }
}
