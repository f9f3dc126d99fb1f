import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct PushStoreTests {
  private let prefix = "pushed metrics are invalid or inconsistent with existing metrics: "

  @Test func `PUT replaces the group, POST the families it names`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", "a 1\nb 2\n")
    try fixture.push("/j", "b 3\nc 4\n", mode: .merge)
    #expect(
      fixture.page == """
        # TYPE a untyped
        a{instance="",job="j"} 1.0
        # TYPE b untyped
        b{instance="",job="j"} 3.0
        # TYPE c untyped
        c{instance="",job="j"} 4.0

        """)
    try fixture.push("/j", "c 5\n")
    #expect(fixture.page == "# TYPE c untyped\nc{instance=\"\",job=\"j\"} 5.0\n")
    #expect(fixture.store.seriesCount == 1)
  }

  @Test func `an empty PUT empties the group and keeps its times`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", "a 1\n")
    try fixture.push("/j", "")
    #expect(fixture.page == "")
    #expect(fixture.times.contains(#"push_time_seconds{instance="",job="j"} 1700000000.0"#))
  }

  @Test func `families of one name in several groups are one`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j/instance/a", "# HELP x one\n# TYPE x gauge\nx 1\n")
    try fixture.push("/j/instance/b", "# HELP x two\n# TYPE x gauge\nx 2\n")
    #expect(
      fixture.page == """
        # HELP x one
        # TYPE x gauge
        x{instance="a",job="j"} 1.0
        x{instance="b",job="j"} 2.0

        """)
  }

  @Test func `another type in another group is refused, in the same group it is taken`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j/k/a", "# TYPE x gauge\nx 1\n")
    try fixture.push("/j/k/a", "# TYPE x counter\nx 2\n")
    #expect(
      fixture.refusal { try fixture.push("/j/k/b", "# TYPE x gauge\nx 1\n") }
        == prefix + "x is a counter in another group, not a gauge")
    try fixture.push("/j/k/b", "# TYPE x counter\nx 1\n")
    #expect(
      fixture.refusal { try fixture.push("/j/k/a", "# TYPE x gauge\nx 1\n") }
        == prefix + "x is a counter in another group, not a gauge")
    #expect(fixture.page.contains(#"x{instance="",job="j",k="a"} 2.0"#))
  }

  @Test(arguments: [
    ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\n", "h_sum 1\n"),
    ("# TYPE s summary\ns_sum 1\n", "s_count 1\n"),
    ("h_bucket 1\n", "# TYPE h histogram\nh_sum 1\n"),
  ])
  func `a family whose name is that of another's lines is refused`(
    _ first: String, _ second: String
  ) throws {
    let fixture = try PushFixture()
    try fixture.push("/j/k/a", first)
    let refusal = fixture.refusal { try fixture.push("/j/k/b", second) }
    #expect(refusal?.contains("would be taken for lines of") == true, "\(refusal ?? "none")")
  }

  @Test func `a series that another group has is refused`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", "x{k=\"a\"} 1\n")
    #expect(
      fixture.refusal { try fixture.push("/j/k/a", "x 1\n") }
        == prefix + #"x{instance="",job="j",k="a"} is there already, in the group {job="j"}"#)
    try fixture.push("/j/k/b", "x 1\n")
    #expect(
      fixture.refusal { try fixture.push("/j/instance@base64/=", "y 1\n") }
        == prefix + #"the group {job="j"} has the same series"#)
  }

  @Test func `of groups of many shapes, the one with the same series is found`() throws {
    let fixture = try PushFixture()
    for number in 0..<40 { try fixture.push("/j/l\(number)/v/instance/\(number)", "x 1\n") }
    try fixture.push("/j", "x{l7=\"v\",instance=\"8\"} 1\n")
    let refusal = fixture.refusal {
      try fixture.push("/j", "x{l7=\"v\",instance=\"7\"} 1\n", mode: .merge)
    }
    #expect(refusal?.hasSuffix(#"in the group {instance="7",job="j",l7="v"}"#) == true)
    for (first, second) in [("/t/instance@base64/=", "/t"), ("/u/k/1", "/u/instance@base64/=/k/1")]
    {
      try fixture.push(first, "y 1\n")
      let refusal = fixture.refusal { try fixture.push(second, "z 1\n") }
      #expect(refusal?.hasSuffix("has the same series") == true, "\(second)")
    }
    try fixture.push("/t/instance/1", "z 1\n")
  }

  @Test(arguments: [
    ("/j/le/1", "# TYPE h histogram\nh_sum 1\nh_count 1\n", "has a label le of its own"),
    ("/j/quantile/1", "# TYPE h summary\nh_sum 1\n", "has a label quantile of its own"),
    ("/j/quantile/1", "# TYPE h histogram\nh_sum 1\n", ""),
    ("/j/le/1", "# TYPE h gauge\nh{quantile=\"x\"} 1\n", ""),
  ])
  func `no line has a label le or quantile twice`(
    _ path: String, _ body: String, _ message: String
  ) throws {
    let fixture = try PushFixture()
    let refusal = fixture.refusal { try fixture.push(path, body) } ?? ""
    #expect(refusal.hasSuffix(message) && refusal.isEmpty == message.isEmpty, "\(refusal)")
  }

  @Test func `buckets in any order are shown in theirs, and one that is there twice is refused`()
    throws
  {
    let fixture = try PushFixture()
    for seed in 1...20 {
      let count = 1 + seed * 7 % 60
      let bounds = (0..<count).map { $0 * 37 % 61 }
      let lines = bounds.map { "h_bucket{le=\"\($0)\"} \($0)\n" }.joined()
      try fixture.push("/j", "# TYPE h histogram\n" + lines)
      let shown = fixture.page.split(separator: "\n").filter { $0.contains("le=") }.dropLast()
      let expected = bounds.sorted().map {
        "h_bucket{instance=\"\",job=\"j\",le=\"\($0).0\"} \($0).0"
      }
      #expect(shown.map(String.init) == expected)
      let again = "h_bucket{le=\"\(bounds[count / 2])\"} 1\n"
      let refusal = fixture.refusal {
        try fixture.push("/j", "# TYPE h histogram\n" + lines + again)
      }
      #expect(refusal?.hasSuffix("has a bound twice") == true)
    }
  }

  @Test func `a family of the sidecar keeps its type`() throws {
    let fixture = try PushFixture()
    fixture.store.others = EventFamilies()
    #expect(
      fixture.refusal { try fixture.push("/j", "# TYPE x gauge\nx 1\n") }
        == prefix + "x is a counter here, not a gauge")
    try fixture.push("/j", "# TYPE x counter\nx 1\n")
    #expect(fixture.refusal { try fixture.push("/j", "metrics_sidecar_series 1\n") } != nil)
  }

  @Test func `a histogram of events keeps its buckets and the names of its lines`() throws {
    let fixture = try PushFixture()
    fixture.store.others = EventFamilies()
    func histogram(_ bounds: [String]) -> String {
      "# TYPE h histogram\n" + bounds.map { "h_bucket{le=\"\($0)\"} 1\n" }.joined()
        + "h_sum 1\nh_count 1\n"
    }
    try fixture.push("/j", histogram(["0.5", "1", "+Inf"]))
    try fixture.push("/j", histogram(["0.5", "1"]))
    for bounds in [["0.5", "+Inf"], ["0.5", "2", "+Inf"], ["0.5", "1", "2"], []] {
      #expect(
        fixture.refusal { try fixture.push("/j", histogram(bounds)) }
          == prefix + "h has other buckets here, as the rules have them")
    }
    #expect(
      fixture.refusal { try fixture.push("/j", "h_count 1\n") }
        == prefix + "h_count would be taken for lines of h")
    #expect(
      fixture.refusal { try fixture.push("/k", "# TYPE a histogram\na_sum 1\na_count 1\n") }
        == prefix + "a would be taken for lines of a_sum")
  }

  @Test func `a full file can be emptied and filled again`() throws {
    let fixture = try PushFixture(fileByteCount: 1 << 20)
    let filler = (0..<200).map { "filler{n=\"\($0)\"} 1\n" }.joined()
    var count = 0
    while fixture.refusal({
      try fixture.push("/full/group/\(count)", filler, ttl: count == 0 ? 5 : 0)
    })
      == nil
    { count += 1 }
    #expect(count > 10)
    #expect(fixture.refusal { try fixture.push("/full/group/another", filler) } != nil)
    // Deleted, expired and wiped, without room for a record.
    let isDeleted = fixture.store.delete(try PushFixture.key("/full/group/1").identity)
    #expect(isDeleted)
    fixture.now += 6
    fixture.store.expire(fixture.moment.steady)
    #expect(fixture.store.groupCount == count - 2)
    let lines = fixture.page.split(separator: "\n").sorted()
    try fixture.reopen()
    #expect(fixture.page.split(separator: "\n").sorted() == lines)
    fixture.store.deleteAll()
    #expect(fixture.page == "")
    try fixture.reopen()
    #expect(fixture.store.groupCount == 0)
    for n in 0..<(count / 2) { try fixture.push("/again/group/\(n)", filler) }
  }

  @Test func `a failed push leaves its time and nothing else`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", "a 1\n")
    fixture.now += 5
    fixture.fail("/j")
    fixture.now += 1
    fixture.fail("/new")
    #expect(
      fixture.times == """
        push_failure_time_seconds{instance="",job="j"} 1700000005.0
        push_failure_time_seconds{instance="",job="new"} 1700000006.0
        push_time_seconds{instance="",job="j"} 1700000000.0
        push_time_seconds{instance="",job="new"} 0.0
        """)
  }

  @Test func `groups outlive the process, deleted ones do not`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j/k/a", "# HELP x h\n# TYPE x gauge\nx{l=\"\\\"\"} 1\n", ttl: 60)
    try fixture.push("/j/k/b", "y 1\n")
    try fixture.push("/j/k/c", "z 1\n")
    fixture.store.delete(try PushFixture.key("/j/k/b").identity)
    let page = fixture.page
    try fixture.reopen()
    #expect(fixture.page == page)
    #expect(fixture.store.groupCount == 2)
    #expect(fixture.store.seriesCount == 2)
    fixture.now += 60
    #expect(fixture.page == "# TYPE z untyped\nz{instance=\"\",job=\"j\",k=\"c\"} 1.0\n")
    #expect(fixture.store.expiredCount == 1)
  }

  @Test func `a push prolongs a group's life, one that failed does not`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", "a 1\n", ttl: 10)
    fixture.now += 8
    try fixture.push("/j", "a 2\n", ttl: 10)
    fixture.now += 8
    fixture.store.fail(try PushFixture.key("/j"), timeToLive: 10, now: fixture.moment)
    #expect(fixture.page != "")
    fixture.now += 2
    #expect(fixture.page == "")
    #expect(fixture.store.groupCount == 0)
  }

  @Test func `limits of groups and series are kept, and a known group goes on`() throws {
    var limits = PushLimits()
    limits.groups = 2
    limits.series = 3
    let fixture = try PushFixture(limits)
    try fixture.push("/a", "x 1\n")
    try fixture.push("/b", "x 1\nx{l=\"1\"} 1\n")
    #expect(
      fixture.refusal { try fixture.push("/c", "x 1\n") }
        == "there are 2 groups, which is the limit")
    #expect(
      fixture.refusal { try fixture.push("/a", "x 1\ny 1\n") }
        == "4 pushed series would be more than the limit of 3")
    try fixture.push("/a", "x 2\n")
    #expect(fixture.store.seriesCount == 3)
  }

  @Test func `a dry run tells what is wrong and changes nothing`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j/k/a", "# TYPE x gauge\nx 1\n")
    let page = fixture.page
    try fixture.push("/j/k/b", "# TYPE x gauge\nx 1\n", isDryRun: true)
    #expect(
      fixture.refusal {
        try fixture.push("/j/k/b", "# TYPE x counter\nx 1\n", isDryRun: true)
      } != nil)
    try fixture.push("/j/k/a", "# TYPE x counter\nx 1\n", isDryRun: true)
    #expect(fixture.page == page)
    try fixture.push("/j/k/b", "# TYPE x gauge\nx 1\n")
  }

  @Test func `names of groups that have gone do not pile up`() throws {
    let fixture = try PushFixture()
    for round in 0..<5000 { try fixture.push("/j", "name_\(round) 1\n") }
    #expect(fixture.store.names.entries.count <= 1026)
    #expect(fixture.page == "# TYPE name_4999 untyped\nname_4999{instance=\"\",job=\"j\"} 1.0\n")
  }
}

/// A counter `x`, a histogram `h` and a gauge `a_sum`, as events make them.
private final class EventFamilies: OtherFamilies {
  func type(of name: [UInt8]) -> FamilyType? {
    switch String(decoding: name, as: UTF8.self) {
    case "x": .counter
    case "h": .histogram
    case "a_sum": .gauge
    default: nil
    }
  }

  func bounds(of name: [UInt8]) -> [Double]? {
    String(decoding: name, as: UTF8.self) == "h" ? [0.5, 1] : nil
  }

  func hasSeries(_ key: RawSpan) -> Bool { false }
  var textByteCount: Int { 0 }
}
