import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// What clients push and OpenMetrics has no lines for.
@Suite struct PushedFamiliesTests {
  /// A page without the groups' times, and how many series of which family it has left out.
  private func page(
    _ pushed: String, _ format: ExpositionFormat = .openMetrics100, slice: Int = 1 << 20,
    _ events: [(name: String, type: Character)] = []
  ) throws -> (text: String, hidden: [String: Int]) {
    let both = try BesideFixture()
    try both.pushes.push("/j", pushed)
    for event in events { both.events.apply(event.name, event.type) }
    let (text, hidden) = both.page(format, slice: slice)
    var lines: [Substring] = []
    for line in text.split(separator: "\n") where !line.contains("push_") { lines.append(line) }
    return (
      lines.joined(separator: "\n").replacing(#"instance="",job="j""#, with: "…"), hidden
    )
  }

  @Test func `the start times that clients push beside a histogram or summary are left out`() throws
  {
    let pushed = """
      # TYPE h histogram
      h_bucket{le="1"} 2
      h_sum 3
      h_count 2
      # TYPE h_created gauge
      h_created 1.7e9
      # TYPE s_created gauge
      s_created 1.7e9
      # TYPE s summary
      s_sum 3
      s_count 2
      # TYPE alone_created gauge
      alone_created 1

      """
    let (text, hidden) = try page(pushed)
    #expect(
      text == """
        # TYPE h histogram
        h_bucket{…,le="1.0"} 2.0
        h_bucket{…,le="+Inf"} 2.0
        h_sum{…} 3.0
        h_count{…} 2.0
        # TYPE s summary
        s_sum{…} 3.0
        s_count{…} 2.0
        # TYPE alone_created gauge
        alone_created{…} 1.0
        # EOF
        """)
    #expect(hidden == [:], "every push of the official Python client has them")
    #expect(try page(pushed, .text004).text.contains("\nh_created{…} 1700000000.0"))
    #expect(try page(pushed, slice: 1).text == text)
  }

  @Test func `start times beside a histogram of events are left out`() throws {
    let text = try page(
      "# TYPE h_created gauge\nh_created 1.7e9\n", .openMetrics100, [("h", "h")]
    ).text
    #expect(!text.contains("h_created") && text.contains("# TYPE h histogram"))
  }

  @Test
  func `a pushed histogram makes room for a gauge of events with the name of its start times`()
    throws
  {
    let (text, hidden) = try page(
      "# TYPE h histogram\nh_sum 1\nh_count 1\n", .openMetrics100, [("h_created", "g")])
    #expect(text == "# TYPE h_created gauge\nh_created 1.0\n# EOF")
    #expect(hidden == ["h": 1])
  }

  @Test(arguments: ["NaN", "-1", "-Inf"])
  func `a counter that is NaN or below 0 is of unknown type, and whole`(_ value: String) throws {
    let pushed = "# TYPE c_total counter\nc_total{a=\"1\"} 5\nc_total{a=\"2\"} \(value)\n"
    let shown = value == "-1" ? "-1.0" : value
    #expect(
      try page(pushed).text == """
        # TYPE c_total unknown
        c_total{a="1",…} 5.0
        c_total{a="2",…} \(shown)
        # EOF
        """)
    #expect(try page(pushed, .text004).text.contains("# TYPE c_total counter\n"))
    // Beside events' series, too.
    let beside = try page(pushed, slice: 1, [("c", "c")]).text
    #expect(beside.hasPrefix("# TYPE c_total unknown\nc_total 1.0\n"))
    #expect(beside.contains("c_total{a=\"2\",…} \(shown)\n"))
  }

  @Test func `an own counter of the sidecar keeps its type`() throws {
    let both = try BesideFixture()
    try both.pushes.push(
      "/j", "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total -1\n")
    let own = OwnFamily(
      name: Array("process_cpu_seconds_total".utf8), type: .counter, help: [],
      samples: [([], 1.5)])
    let (text, hidden) = both.page(.openMetrics100, own: [own])
    #expect(text.contains("# TYPE process_cpu_seconds counter\n"))
    #expect(text.contains("\nprocess_cpu_seconds_total 1.5\n"))
    #expect(
      !text.contains("process_cpu_seconds_total{") && hidden == ["process_cpu_seconds_total": 1])
  }

  @Test(arguments: [
    // A sum that is below 0 or none, buckets below 0, a count that is another.
    ("h_bucket{le=\"1\"} 2\nh_sum -3\nh_count 2\n", ["1.0 2.0", "+Inf 2.0"], 0),
    ("h_bucket{le=\"1\"} 2\nh_sum NaN\nh_count 2\n", ["1.0 2.0", "+Inf 2.0"], 0),
    ("h_bucket{le=\"-1\"} 2\nh_sum 3\nh_count 2\n", ["-1.0 2.0", "+Inf 2.0"], 0),
    ("h_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 7\n", ["+Inf 2.0"], 0),
    // Counts that fall, are below 0, not whole, infinite or none.
    ("h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n", [], 1),
    ("h_bucket{le=\"1\"} -3\nh_sum 3\nh_count 2\n", [], 1),
    ("h_bucket{le=\"1\"} 0.5\nh_sum 3\nh_count 2\n", [], 1),
    ("h_bucket{le=\"1\"} NaN\nh_sum 3\nh_count 2\n", [], 1),
    ("h_sum 3\nh_count +Inf\n", [], 1),
  ])
  func `of a histogram stays what OpenMetrics takes`(
    _ lines: String, _ buckets: [String], _ hiddenCount: Int
  ) throws {
    let (text, hidden) = try page("# TYPE h histogram\n" + lines)
    var expected = "# TYPE h histogram\n"
    for bucket in buckets {
      let words = bucket.split(separator: " ")
      expected += "h_bucket{…,le=\"\(words[0])\"} \(words[1])\n"
    }
    #expect(text == expected + "# EOF")
    #expect(hidden == (hiddenCount == 0 ? [:] : ["h": hiddenCount]))
  }

  @Test func `of a summary stays what OpenMetrics takes`() throws {
    let quantiles = [("-1", "1"), ("0", "-2"), ("0.5", "2"), ("1", "NaN"), ("2", "3")]
      .map { "s{quantile=\"\($0.0)\"} \($0.1)\n" }.joined()
    let (text, _) = try page("# TYPE s summary\n" + quantiles + "s_sum -1\ns_count 4\n")
    #expect(
      text == """
        # TYPE s summary
        s{…,quantile="0.5"} 2.0
        s{…,quantile="1.0"} NaN
        # EOF
        """)
  }

  @Test func `a counter called _total keeps its name in each format`() throws {
    let pushed = "# TYPE _total counter\n_total 1\n"
    #expect(try page(pushed).text == "# TYPE _total unknown\n_total{…} 1.0\n# EOF")
    #expect(try page(pushed, .text004).text == "# TYPE _total untyped\n_total{…} 1.0")
    #expect(throws: (any Error).self) {
      try RuleFile.parse(Array(#"{"families": [{"name": "_total", "type": "counter"}]}"#.utf8))
    }
  }

  @Test func `a counter whose short name is a histogram's start time is unknown`() throws {
    let (text, _) = try page(
      """
      # TYPE h histogram
      h_sum 1
      h_count 1
      # TYPE h_created_total counter
      h_created_total 1

      """)
    #expect(text.contains("# TYPE h_created_total unknown\n"))
  }
}
