import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct ProtobufParserTests {
  private func push(_ body: [UInt8]) throws -> String {
    let fixture = try PushFixture()
    let key = try PushFixture.key("/j")
    fixture.batch.begin(key)
    try fixture.batch.take(body.span.bytes, isProtobuf: true, fixture.limits)
    try fixture.store.push(key, fixture.batch, mode: .replace, timeToLive: 0, now: fixture.moment)
    return fixture.page
  }

  @Test func `all types are read, whatever the order of the fields`() throws {
    let body =
      Wire.family(
        "c", 0, help: "a\\b\n\"", [Wire.label("k", "v\"\\\n") + Wire.field(3, Wire.double(1, 3))])
      + Wire.family("g", 1, [Wire.field(2, Wire.double(1, -1.5)) + Wire.number(99, 7)])
      + Wire.family("u", 3, [Wire.field(5, Wire.double(1, .infinity))])
      + Wire.family(
        "h", 4,
        [
          Wire.field(
            7,
            Wire.number(1, 5) + Wire.double(2, 7.5)
              + Wire.field(3, Wire.number(1, 4) + Wire.double(2, 2))
              + Wire.field(3, Wire.number(1, 2) + Wire.double(2, 0.5)))
        ])
      + Wire.family(
        "s", 2,
        [
          Wire.field(
            4,
            Wire.number(1, 2) + Wire.double(2, 1)
              + Wire.field(3, Wire.double(1, 0.9) + Wire.double(2, 4)))
        ])
    #expect(
      try push(body) == #"""
        # HELP c a\\b\n"
        # TYPE c counter
        c{instance="",job="j",k="v\"\\\n"} 3.0
        # TYPE g gauge
        g{instance="",job="j"} -1.5
        # TYPE u untyped
        u{instance="",job="j"} +Inf
        # TYPE h histogram
        h_bucket{instance="",job="j",le="0.5"} 2.0
        h_bucket{instance="",job="j",le="2.0"} 4.0
        h_bucket{instance="",job="j",le="+Inf"} 5.0
        h_sum{instance="",job="j"} 7.5
        h_count{instance="",job="j"} 5.0
        # TYPE s summary
        s{instance="",job="j",quantile="0.9"} 4.0
        s_sum{instance="",job="j"} 1.0
        s_count{instance="",job="j"} 2.0

        """#)
  }

  @Test func `quantiles and float buckets are shown as pushed`() throws {
    let summary = Wire.family(
      "s", 2,
      [
        Wire.field(
          4,
          Wire.number(1, 1) + Wire.double(2, -1)
            + Wire.field(3, Wire.double(1, 0.5) + Wire.double(2, -3))
            + Wire.field(3, Wire.double(1, 0.9) + Wire.double(2, .nan)))
      ])
    let histogram = Wire.histogram(
      Wire.double(4, -2), Wire.double(2, 1),
      Wire.field(3, Wire.double(4, -1.5) + Wire.double(2, 1)),
      Wire.field(3, Wire.double(2, 2) + Wire.double(4, .nan)))
    #expect(
      try push(summary + histogram) == #"""
        # TYPE s summary
        s{instance="",job="j",quantile="0.5"} -3.0
        s{instance="",job="j",quantile="0.9"} NaN
        s_sum{instance="",job="j"} -1.0
        s_count{instance="",job="j"} 1.0
        # TYPE h histogram
        h_bucket{instance="",job="j",le="1.0"} -1.5
        h_bucket{instance="",job="j",le="2.0"} NaN
        h_bucket{instance="",job="j",le="+Inf"} -2.0
        h_sum{instance="",job="j"} 1.0
        h_count{instance="",job="j"} -2.0

        """#)
    let fixture = try PushFixture()
    try fixture.push("/j", protobuf: histogram)
    let page = fixture.protobufPage
    #expect(page.contains(Wire.double(4, -1.5)) && page.contains(Wire.double(4, -2)))
  }

  @Test func `a message that says nothing and old groups of fields are skipped`() throws {
    let group =
      Wire.varint(99 << 3 | 3) + Wire.number(1, 5) + Wire.varint(98 << 3 | 3)
      + Wire.double(1, 2) + Wire.field(2, "x") + Wire.varint(98 << 3 | 4) + Wire.varint(99 << 3 | 4)
    let gauge = Wire.field(2, Wire.double(1, 1.5)) + group
    let page = "# TYPE g gauge\ng{instance=\"\",job=\"j\"} 1.5\n"
    #expect(try push([0, 0] + Wire.family("g", 1, [gauge]) + [0]) == page)
    #expect(try push([0]) == "")
  }

  @Test(arguments: [
    (
      // What follows the 33rd label is not looked at.
      Wire.family("c", 0, [(0..<33).flatMap { Wire.label("l\($0)", "") } + [7, 7]]),
      "more than 32 labels"
    ),
    (Wire.family("c", 1, [Wire.label("__x", "")]), "the label __x is Prometheus's own"),
    (
      Wire.family("c", 1, [Wire.varint(99 << 3 | 3) + Wire.number(1, 5)]), "no delimited protobuf"
    ),
    (Wire.family("c", 1, [Wire.varint(99 << 3 | 4)]), "no delimited protobuf"),
    (Wire.family("c", 0, [Wire.field(2, Wire.double(1, 3))]), "has no counter value"),
    (Wire.family("c", 9, []), "has the type 9"),
    (Wire.family("9c", 0, []), "a family's name that Prometheus does not allow"),
    (Wire.family("c", 1, [Wire.label("k-", "v")]), "a label's name that Prometheus does not allow"),
    (Wire.family("c", 1, []) + Wire.family("c", 1, []), "is there twice"),
    (
      Wire.family("c", 1, [Wire.field(2, Wire.double(1, 3)) + Wire.number(6, 1)]),
      "must not have timestamps"
    ),
    (
      Wire.family("h", 4, [Wire.field(7, Wire.number(1, 1) + Wire.field(12, [8, 0]))]),
      "is a native histogram with buckets that do not add up to its count"
    ),
    ([5, 1, 2], "no delimited protobuf"),
    ([2, 10, 200], "no delimited protobuf"),
    ([255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], "no delimited protobuf"),
  ])
  func `a body that cannot be taken says why`(_ body: [UInt8], _ message: String) {
    do {
      _ = try push(body)
      Issue.record("taken")
    } catch {
      let text = (error as? PushError)?.message ?? ""
      #expect(text.contains(message), "\(text)")
    }
  }
}
