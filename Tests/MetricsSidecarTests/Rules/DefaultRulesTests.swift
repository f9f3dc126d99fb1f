import Foundation
import Testing

@testable import MetricsSidecar

/// The rules file that ships with the App, as the chart mounts it.
@Suite struct DefaultRulesTests {
  static let text: String = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let file = root.appendingPathComponent("chart/files/rules.json")
    return (try? String(contentsOf: file, encoding: .utf8)) ?? ""
  }()

  @Test func `families without labels are there from the start, line for line`() throws {
    let fixture = try Fixture(rules: Self.text)
    #expect(
      fixture.page == """
        # HELP server_requests_total Total number of requests to this webserver
        # TYPE server_requests_total counter
        server_requests_total 0.0
        # HELP healthcheck_requests_total Total number of requests to healthcheck
        # TYPE healthcheck_requests_total counter
        healthcheck_requests_total 0.0
        # HELP main_requests_total Total number of requests to main endpoint
        # TYPE main_requests_total counter
        main_requests_total 0.0
        # HELP bye_request_total Total number of requests to bye endpoint
        # TYPE bye_request_total counter
        bye_request_total 0.0
        # HELP app_starts_total Number of times the application has started
        # TYPE app_starts_total counter
        app_starts_total 0.0
        # HELP http_requests_total Requests by endpoint, method and status
        # TYPE http_requests_total counter
        # HELP http_request_duration_seconds Time from the first byte of a request to its answer, \
        in seconds
        # TYPE http_request_duration_seconds histogram
        # HELP http_connections_closed_total Connections closed at a limit, by the reason
        # TYPE http_connections_closed_total counter

        """)
  }

  @Test func `requests to the server are the sum of its own endpoints`() throws {
    let fixture = try Fixture(rules: Self.text)
    let counts = [
      ("/health", 26.0), ("/", 4), ("/bye", 3), ("/added", 2), ("/docs", 50),
      ("/openapi.json", 60), ("unmatched", 70),
    ]
    for (endpoint, count) in counts {
      fixture.apply("http.request", "c", count, tags: "endpoint:\(endpoint),method:GET,status:200")
    }
    fixture.apply("app.start")
    #expect(fixture.value("server_requests_total") == 35)
    #expect(fixture.value("healthcheck_requests_total") == 26)
    #expect(fixture.value("main_requests_total") == 4)
    #expect(fixture.value("bye_request_total") == 3)
    #expect(fixture.value("app_starts_total") == 1)
    for (endpoint, count) in counts {
      let series = #"http_requests_total{endpoint="\#(endpoint)",method="GET",status="200"}"#
      #expect(fixture.value(series) == count)
    }
  }

  @Test func `a sampled duration counts for all those it stands for`()
    throws
  {
    let fixture = try Fixture(rules: Self.text)
    fixture.apply("http.request.duration", "d", 0.005, tags: "endpoint:/bye")
    fixture.apply("http.request.duration", "d", 0.3, tags: "endpoint:/bye", weight: 1 / 0.25)
    let name = "http_request_duration_seconds"
    #expect(fixture.value(name + #"_bucket{endpoint="/bye",le="0.005"}"#) == 1)
    #expect(fixture.value(name + #"_bucket{endpoint="/bye",le="0.25"}"#) == 1)
    #expect(fixture.value(name + #"_bucket{endpoint="/bye",le="0.5"}"#) == 5)
    #expect(fixture.value(name + #"_bucket{endpoint="/bye",le="+Inf"}"#) == 5)
    #expect(fixture.value(name + #"_count{endpoint="/bye"}"#) == 5)
    #expect(fixture.value(name + #"_sum{endpoint="/bye"}"#) == 0.005 + 0.3 * 4)
  }
}
