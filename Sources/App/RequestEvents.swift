import Events
import HTTP

/// The events that requests become: `http.request` and `http.request.duration`, registered once for
/// each combination, so that counting one is two additions.
struct RequestEvents {
  private static let methods: [(method: Request.Method, name: String)] = [
    (.get, "GET"), (.head, "HEAD"), (.post, "POST"), (.put, "PUT"), (.delete, "DELETE"),
    (.options, "OPTIONS"), (.patch, "PATCH"), (.other, "other"),
  ]
  private static let statuses = [200, 400, 404, 405, 408, 413, 414, 417, 431, 501, 505]

  /// By endpoint, method and status; the last endpoint is `unmatched`.
  private var requests: [EventClient.Handle] = []
  private var durations: [EventClient.Handle] = []
  private let endpointCount: Int

  init(_ client: EventClient, _ routes: [Route]) {
    let endpoints = routes.map { "\($0.path)" } + ["unmatched"]
    endpointCount = endpoints.count
    for endpoint in endpoints {
      durations.append(client.timing("http.request.duration", tags: "endpoint:\(endpoint)"))
      for (_, method) in Self.methods {
        for status in Self.statuses {
          requests.append(
            client.counter(
              "http.request", tags: "endpoint:\(endpoint),method:\(method),status:\(status)"))
        }
      }
    }
  }

  @inline(__always)
  func request(_ answer: Answer) -> EventClient.Handle {
    let status = Self.index(of: answer.status)
    let method = Int(answer.method.rawValue)
    return requests[(endpoint(answer) * 8 + method) * 11 + status]
  }

  @inline(__always)
  func duration(_ answer: Answer) -> EventClient.Handle { durations[endpoint(answer)] }

  @inline(__always)
  private func endpoint(_ answer: Answer) -> Int {
    min(Int(clamping: answer.route), endpointCount - 1)
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
    default: 10
    }
  }
}
