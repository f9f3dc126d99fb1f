import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

let pushedTexts: [(body: String, page: String)] = [
  ("", ""),
  ("\n\n", ""),
  ("# a comment\n#\n", ""),
  ("# TYPE\n# HELP \n# TYPE a\n# HELP a\n# HELP a \n", ""),
  ("a 1\n", "# TYPE a untyped\na{instance=\"\",job=\"j\"} 1.0\n"),
  (" \ta  \t 1.5 \t\n", "# TYPE a untyped\na{instance=\"\",job=\"j\"} 1.5\n"),
  ("# TYPE a COUNTER\na 1\n", "# TYPE a counter\na{instance=\"\",job=\"j\"} 1.0\n"),
  (
    "# HELP a x\\\\y\\nz\na 1\n",
    "# HELP a x\\\\y\\nz\n# TYPE a untyped\na{instance=\"\",job=\"j\"} 1.0\n"
  ),
  ("# TYPE a gauge\n", ""),
  ("a{} 1\n", "# TYPE a untyped\na{instance=\"\",job=\"j\"} 1.0\n"),
  ("a{x=\"1\",} 1\n", "# TYPE a untyped\na{instance=\"\",job=\"j\",x=\"1\"} 1.0\n"),
  (
    "a { z = \"1\" , b = \"\\\"\\\\\\n\" } +Inf\n",
    "# TYPE a untyped\na{b=\"\\\"\\\\\\n\",instance=\"\",job=\"j\",z=\"1\"} +Inf\n"
  ),
  ("a{job=\"x\",k=\"ä\"} NaN\n", "# TYPE a untyped\na{instance=\"\",job=\"j\",k=\"ä\"} NaN\n"),
  ("a{instance=\"x\"} -1e3\n", "# TYPE a untyped\na{instance=\"x\",job=\"j\"} -1000.0\n"),
  (
    "# TYPE h histogram\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"1\"} 2\nh_sum 4\nh_count 5\n",
    """
    # TYPE h histogram
    h_bucket{instance="",job="j",le="1.0"} 2.0
    h_bucket{instance="",job="j",le="2.0"} 3.0
    h_bucket{instance="",job="j",le="+Inf"} 5.0
    h_sum{instance="",job="j"} 4.0
    h_count{instance="",job="j"} 5.0

    """
  ),
  (
    "# TYPE s summary\ns{quantile=\"0.5\"} 3\ns_sum 4\ns_count 5\n",
    """
    # TYPE s summary
    s{instance="",job="j",quantile="0.5"} 3.0
    s_sum{instance="",job="j"} 4.0
    s_count{instance="",job="j"} 5.0

    """
  ),
  (
    "a 1\nb 2\na{x=\"1\"} 3\n",
    """
    # TYPE a untyped
    a{instance="",job="j"} 1.0
    a{instance="",job="j",x="1"} 3.0
    # TYPE b untyped
    b{instance="",job="j"} 2.0

    """
  ),
]

let refusedTexts: [(body: String, message: String)] = [
  ("a 1", "line 1, column 4: the last line does not end with a newline"),
  ("a 1\nb 2", "line 2, column 4: the last line does not end with a newline"),
  ("a 1\r\n", "line 1, column 4: a carriage return: lines end with a newline alone"),
  ("a\n", "line 1, column 2: expected a value"),
  ("a 1e999\n", "line 1, column 3: \"1e999\" is no number"),
  ("a x\n", "line 1, column 3: \"x\" is no number"),
  ("a 0x1p3\n", "line 1, column 3: \"0x1p3\" is no number"),
  ("a 1_0\n", "line 1, column 3: \"1_0\" is no number"),
  ("9a 1\n", "line 1, column 1: expected a family's name"),
  ("a{9=\"1\"} 1\n", "line 1, column 3: expected a label's name"),
  ("a{x=1} 1\n", "line 1, column 5: expected '\"' before a label's value"),
  ("a{x} 1\n", "line 1, column 4: expected '=' after a label's name"),
  ("a{x=\"1\n", "line 1, column 6: a label's value without its closing '\"'"),
  ("a{x=\"\\t\"} 1\n", "line 1, column 6: a \\ in a label's value stands before \\, \" or n"),
  ("a{x=\"1\"y=\"2\"} 1\n", "line 1, column 8: expected ',' or '}' after a label"),
  ("a{x=\"1\",x=\"2\"} 1\n", "line 1, column 9: the label x is there twice"),
  ("a{__name__=\"b\"} 1\n", "line 1, column 3: the label __name__ is Prometheus's own"),
  ("# TYPE a gauge\n# TYPE a gauge\n", "line 2, column 1: a second TYPE line for a"),
  ("# HELP a x\n# HELP a x\n", "line 2, column 1: a second HELP line for a"),
  ("a 1\n# TYPE a gauge\n", "line 2, column 1: TYPE of a after its first sample"),
  (
    "# TYPE a foo\n",
    "line 1, column 10: \"foo\" is no type: counter, gauge, histogram, summary or untyped"
  ),
  (
    // What follows the 33rd label is not looked at.
    "a{" + (0..<33).map { "l\($0)=\"\"," }.joined() + "!\n", "line 1, column 1: more than 32 labels"
  ),
  ("a 1 x\n", "line 1, column 5: expected a timestamp or the end of the line"),
  ("a 1 2 3\n", "line 1, column 7: expected the end of the line"),
  (
    "# TYPE h histogram\nh 1\n",
    "line 2, column 1: a histogram has _bucket, _sum and _count lines only"
  ),
  (
    "# TYPE h histogram\nh_bucket 1\n", "line 2, column 1: a bucket without the label le"
  ),
  (
    "# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", "line 2, column 14: \"x\" is no number"
  ),
]

@Suite struct TextParserTests {
  @Test(arguments: pushedTexts)
  func `a body is exposed with its group's labels`(_ body: String, _ page: String) throws {
    let fixture = try PushFixture()
    try fixture.push("/j", body)
    #expect(fixture.page == page)
  }

  @Test(arguments: refusedTexts)
  func `a mistake is told with its line and column`(_ body: String, _ message: String) throws {
    let fixture = try PushFixture()
    #expect(fixture.refusal { try fixture.push("/j", body) } == message)
  }

  @Test(arguments: [
    ("a 1\na 2\n", "a{instance=\"\",job=\"j\"} is there twice"),
    (
      "a{x=\"1\"} 1\nb 1\na{job=\"q\",x=\"1\"} 2\n",
      "a{instance=\"\",job=\"j\",x=\"1\"} is there twice"
    ),
    ("a 1 1700000000000\n", "pushed metrics must not have timestamps (line 1)"),
    ("a 1\nb{__x=\"1\"} 1\n", "the label __x is Prometheus's own (line 2)"),
    (
      "# TYPE s summary\ns_sum{job=\"a\"} 1\ns_count{job=\"a\"} 1\ns_sum{job=\"b\"} 20\n",
      "s{instance=\"\",job=\"j\"} is there twice"
    ),
    (
      "# TYPE s summary\ns_sum{instance=\"\"} 1\ns_count 1\n",
      "s{instance=\"\",job=\"j\"} is there twice"
    ),
    (
      "# TYPE s summary\ns_sum{k=\"1\"} 1\ns_sum{k=\"2\"} 1\ns_count{job=\"j\",k=\"1\"} 1\n",
      "s{instance=\"\",job=\"j\",k=\"1\"} is there twice"
    ),
    (
      "# TYPE h histogram\nh_bucket{job=\"a\",le=\"1\"} 1\nh_bucket{job=\"b\",le=\"2\"} 1\n",
      "h{instance=\"\",job=\"j\"} is there twice"
    ),
    (
      "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1\"} 1\n",
      "h{instance=\"\",job=\"j\"} has a bound twice"
    ),
  ])
  func `what contradicts itself is refused whole`(_ body: String, _ problem: String) throws {
    let fixture = try PushFixture()
    #expect(
      fixture.refusal { try fixture.push("/j", body) }
        == "pushed metrics are invalid or inconsistent with existing metrics: \(problem)")
    #expect(fixture.page == "")
  }

  @Test
  func `lines with the same labels are one histogram or summary, whatever the path overrides`()
    throws
  {
    let fixture = try PushFixture()
    try fixture.push(
      "/j",
      """
      # TYPE s summary
      s{job="a",quantile="0.5"} 2
      s_sum{job="a"} 1
      s_sum{job="a"} 3
      s_count{job="a"} 4

      """)
    #expect(
      fixture.page == """
        # TYPE s summary
        s{instance="",job="j",quantile="0.5"} 2.0
        s_sum{instance="",job="j"} 3.0
        s_count{instance="",job="j"} 4.0

        """)
  }

  @Test func `thousands of series are told apart and duplicates among them found`() throws {
    let fixture = try PushFixture()
    let lines = (0..<5000).map { "a{i=\"\($0)\"} \($0)\n" }
    try fixture.push("/j", lines.joined())
    #expect(fixture.store.seriesCount == 5000)
    let twice = lines.joined() + lines[2500]
    #expect(fixture.refusal { try fixture.push("/j", twice) }?.hasSuffix("is there twice") == true)
  }

  @Test(arguments: [
    ("1", 1.0), ("-0", -0.0), ("1.25", 1.25), (".5", 0.5), ("5.", 5), ("+7", 7), ("1e3", 1000),
    ("1234567890123456789", 1_234_567_890_123_456_768), ("0.1", 0.1), ("inf", .infinity),
    ("-Infinity", -.infinity), ("1.7976931348623157e308", 1.7976931348623157e308),
  ])
  func `numbers are read as Go reads them`(_ text: String, _ value: Double) {
    let bytes = Array(text.utf8)
    #expect(Number.parse(bytes.span.bytes) == value)
  }

  @Test(arguments: ["", "-", ".", "e5", "1e", "0x1", "1 ", "--1", "1..2", "nanx", "i"])
  func `what is no number is not taken`(_ text: String) {
    let bytes = Array(text.utf8)
    #expect(Number.parse(bytes.span.bytes) == nil)
  }
}
