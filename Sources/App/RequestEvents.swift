import SidecarEvents
import SidecarHTTP

/// The events for requests: `http.request` and `http.request.duration`.
///
/// A combination of endpoint, method and status is registered with its first request, so that
/// counting a later one takes two additions, and startup does not pay for hundreds that never
/// occur.
final class RequestEvents {
  private static let methods: [StaticString] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "other",
  ]
  private static let statuses = [200, 400, 404, 405, 408, 413, 414, 417, 431, 501, 503, 505]

  private let client: EventClient
  /// The last one is `unmatched`.
  private let endpoints: [StaticString]
  /// By endpoint, method and status.
  private var requests: [EventClient.Handle?]
  /// By endpoint.
  private var durations: [EventClient.Handle?]

  init(_ client: EventClient, _ routes: [Route]) {
    self.client = client
    endpoints = routes.map { $0.path } + ["unmatched"]
    durations = Array(repeating: nil, count: endpoints.count)
    requests = Array(
      repeating: nil, count: endpoints.count * Self.methods.count * Self.statuses.count)
  }

  /// Counts an answer that leaves at `end`, on the clock of `Answer.arrivedAt`.
  @inline(__always)
  @_optimize(speed)
  func count(_ answer: Answer, end: UInt64) {
    let endpoint = min(Int(clamping: answer.route), endpoints.count - 1)
    let method = Int(answer.method.rawValue)
    let status = Self.index(of: answer.status)
    let index = (endpoint * Self.methods.count + method) * Self.statuses.count + status
    client.add(requests[index] ?? registerRequest(index, endpoint, method, status), 1)
    client.observe(
      durations[endpoint] ?? registerDuration(endpoint), nanoseconds: end - answer.arrivedAt)
  }

  @inline(never)
  private func registerRequest(
    _ index: Int, _ endpoint: Int, _ method: Int, _ status: Int
  ) -> EventClient.Handle {
    let handle = client.counter(
      "http.request",
      tags: "endpoint:\(endpoints[endpoint]),method:\(Self.methods[method]),"
        + "status:\(Self.statuses[status])")
    requests[index] = handle
    return handle
  }

  @inline(never)
  private func registerDuration(_ endpoint: Int) -> EventClient.Handle {
    let handle = client.durations("http.request.duration", tags: "endpoint:\(endpoints[endpoint])")
    durations[endpoint] = handle
    return handle
  }

  @inline(__always)
  private static func index(of status: Int) -> Int {
    switch status {
    case 200: 0
    case 400: 1
    case 404: 2
    case 405: 3
    case 408: 4
    case 413: 5
    case 414: 6
    case 417: 7
    case 431: 8
    case 501: 9
    case 503: 10
    default: 11
    }
  }
}
