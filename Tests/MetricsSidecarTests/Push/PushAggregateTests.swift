import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct PushAggregateTests {
  @Test func `counters, histograms and summaries add up`() throws {
    let fixture = try PushFixture()
    let body = """
      # TYPE c counter
      c{k="a"} 2
      # TYPE h histogram
      h_bucket{le="1"} 1
      h_bucket{le="+Inf"} 3
      h_sum 4
      h_count 3
      # TYPE s summary
      s_sum 1.5
      s_count 2

      """
    try fixture.push("/j", body, mode: .aggregate(.last))
    try fixture.push("/j", body, mode: .aggregate(.last))
    try fixture.push("/j", "# TYPE c counter\nc{k=\"b\"} 7\n", mode: .aggregate(.last))
    #expect(
      fixture.page == """
        # TYPE c counter
        c{instance="",job="j",k="b"} 7.0
        c{instance="",job="j",k="a"} 4.0
        # TYPE h histogram
        h_bucket{instance="",job="j",le="1.0"} 2.0
        h_bucket{instance="",job="j",le="+Inf"} 6.0
        h_sum{instance="",job="j"} 8.0
        h_count{instance="",job="j"} 6.0
        # TYPE s summary
        s_sum{instance="",job="j"} 3.0
        s_count{instance="",job="j"} 4.0

        """)
  }

  @Test(arguments: [(GaugeRule.last, "3.0"), (.sum, "8.0"), (.max, "5.0")])
  func `gauges follow the rule`(_ rule: GaugeRule, _ value: String) throws {
    let fixture = try PushFixture()
    try fixture.push("/j", "# TYPE g gauge\ng 5\n", mode: .aggregate(rule))
    try fixture.push("/j", "# TYPE g gauge\ng 3\n", mode: .aggregate(rule))
    #expect(fixture.page == "# TYPE g gauge\ng{instance=\"\",job=\"j\"} \(value)\n")
  }

  @Test(arguments: [
    (
      "# TYPE x histogram\nx_bucket{le=\"1\"} 1\n", "# TYPE x histogram\nx_bucket{le=\"2\"} 1\n",
      "x has other buckets than its group has"
    ),
    (
      "# TYPE x histogram\nx_bucket{le=\"1\"} 1\n",
      "# TYPE x histogram\nx_bucket{le=\"1\"} 1\nx_bucket{le=\"2\"} 1\n",
      "x has other buckets than its group has"
    ),
    (
      "# TYPE x summary\nx_sum 1\n", "# TYPE x summary\nx{quantile=\"0.5\"} 1\n",
      "quantiles cannot be added"
    ),
    ("# TYPE x gauge\nx 1\n", "# TYPE x counter\nx 1\n", "x is a gauge in its group"),
  ])
  func `what cannot be added is an error and changes nothing`(
    _ first: String, _ second: String, _ message: String
  ) throws {
    let fixture = try PushFixture()
    try fixture.push("/j", first, mode: .aggregate(.last))
    let page = fixture.page
    let refusal = fixture.refusal { try fixture.push("/j", second, mode: .aggregate(.last)) }
    #expect(refusal?.hasPrefix(message) == true, "\(refusal ?? "none")")
    #expect(fixture.page == page)
  }

  @Test(arguments: [
    ("# TYPE c counter\nc NaN\n", 3, "a counter that is added up is a number from 0 to 1e100"),
    ("# TYPE c counter\nc -1\n", 3, "a counter that is added up is a number from 0 to 1e100"),
    ("# TYPE c counter\nc +Inf\n", 3, "a counter that is added up is a number from 0 to 1e100"),
    ("# TYPE c counter\nc 2e100\n", 3, "a counter that is added up is a number from 0 to 1e100"),
    (
      "# TYPE h histogram\nh_bucket{le=\"1\"} -1\n", 18,
      "a count that is added up is a number from 0 to 1e100"
    ),
    ("# TYPE h histogram\nh_sum NaN\n", 7, "a sum that is added up is finite, up to 1e100"),
    ("# TYPE s summary\ns_sum -Inf\n", 7, "a sum that is added up is finite, up to 1e100"),
    (
      "# TYPE s summary\ns_count NaN\n", 9, "a count that is added up is a number from 0 to 1e100"
    ),
    ("# TYPE g gauge\ng NaN\n", 3, "a gauge that is added up is finite, up to 1e100"),
  ])
  func `what would spoil a sum for ever is refused with its place, and nothing is kept`(
    _ body: String, _ column: Int, _ message: String
  ) throws {
    let fixture = try PushFixture()
    let refusal = fixture.refusal { try fixture.push("/j", body, mode: .aggregate(.sum)) }
    #expect(refusal == "line 2, column \(column): \(message)")
    #expect(fixture.store.groupCount == 0)
    // What replaces a group may be anything.
    try fixture.push("/j", body)
  }

  @Test(arguments: [
    Wire.family("c", 0, [Wire.field(3, Wire.double(1, .nan))]),
    Wire.family("s", 2, [Wire.field(4, Wire.double(2, .infinity))]),
    Wire.histogram(Wire.double(4, -1)),
    Wire.histogram(Wire.field(3, Wire.double(4, .nan) + Wire.double(2, 1))),
  ])
  func `so it is in protobuf`(_ body: [UInt8]) throws {
    let fixture = try PushFixture()
    let refusal = fixture.refusal {
      try fixture.push("/j", protobuf: body, mode: .aggregate(.last))
    }
    #expect(refusal?.contains("that is added up is") == true, "\(refusal ?? "taken")")
    try fixture.push("/j", protobuf: body)
  }

  @Test func `sums begin anew where what was there is no number`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", "# TYPE c counter\nc{k=\"1\"} NaN\nc{k=\"2\"} -5\n")
    try fixture.push(
      "/j", "# TYPE c counter\nc{k=\"1\"} 1\nc{k=\"2\"} 2\n", mode: .aggregate(.last))
    #expect(
      fixture.page == """
        # TYPE c counter
        c{instance="",job="j",k="1"} 1.0
        c{instance="",job="j",k="2"} 2.0

        """)
    try fixture.push("/k", "# TYPE g gauge\ng 3\n", mode: .aggregate(.max))
    try fixture.push("/k", "# TYPE g gauge\ng NaN\n", mode: .aggregate(.max))
    #expect(fixture.page.contains("g{instance=\"\",job=\"k\"} 3.0\n"))
  }
}
