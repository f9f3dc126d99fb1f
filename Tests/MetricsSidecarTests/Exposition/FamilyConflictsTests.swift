import Foundation
import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Events and pushes in one sidecar.
final class BesideFixture {
  let events: Fixture
  let pushes: PushFixture

  init(rules: String = "{}") throws {
    events = try Fixture(rules: rules)
    pushes = try PushFixture()
    pushes.store.others = events.registry
    events.registry.notesRemoved = true
  }

  func reopen() throws {
    events.registry.commit()
    pushes.store.others = nil
    try events.reopen()
    try pushes.reopen()
    pushes.store.others = events.registry
    events.registry.notesRemoved = true
  }

  /// A page, so many bytes a call.
  func page(
    _ format: ExpositionFormat = .text004, slice: Int = 1 << 20, own: [OwnFamily] = [],
    between: () -> Void = {}
  ) -> (text: String, hidden: [String: Int]) {
    let snapshot = Snapshot(
      events.registry, filter: NameFilter(), isOpenMetrics: format.isOpenMetrics)
    let pushed = FamilyConflicts(
      PushedFamilies(pushes.store, now: pushes.moment, format: format), events.registry)
    snapshot.pushed = pushed
    snapshot.own = own
    let writer = ExpositionWriter(
      snapshot, shape: ExpositionShape(format: format), filter: NameFilter())
    var page = ByteBuffer()
    while !writer.write(into: &page, byteCount: slice) { between() }
    var hidden: [String: Int] = [:]
    for (name, count) in pushed.hidden.families {
      hidden[String(decoding: name, as: UTF8.self), default: 0] += count
    }
    let text = String(decoding: page.array, as: UTF8.self)
      .split(separator: "\n", omittingEmptySubsequences: false)
      .filter { !$0.hasPrefix("metrics_sidecar_push_series_hidden") }.joined(separator: "\n")
    return (text, hidden)
  }

  /// Lines of the page that stand there more than once, without their values.
  var repeated: [String] {
    let lines = page().text.split(separator: "\n").map { line in
      line.hasPrefix("# ") ? String(line) : String(line[..<line.lastIndex(of: " ")!])
    }
    return Dictionary(grouping: lines) { $0 }.filter { $0.value.count > 1 }.keys.sorted()
  }
}

@Suite struct FamilyConflictsTests {
  private static let tags = "instance:,job:j"
  private static let counter = "# TYPE jobs_total counter\njobs_total 5\n"

  @Test func `a push of a series that events have is refused, a dry run too`() throws {
    let both = try BesideFixture()
    both.events.apply("jobs", tags: Self.tags)
    for isDryRun in [true, false] {
      let refusal = both.pushes.refusal {
        try both.pushes.push("/j", Self.counter, isDryRun: isDryRun)
      }
      #expect(
        refusal?.hasSuffix(#"jobs_total{instance="",job="j"} is there already, from events"#)
          == true, "\(refusal ?? "taken")")
    }
    // The same family with other labels, and another family, go on.
    try both.pushes.push("/k", Self.counter)
    try both.pushes.push("/j", "other 1\n")
    #expect(both.page().text.contains(#"jobs_total{instance="",job="k"} 5.0"#))
    #expect(both.repeated == [])
  }

  @Test func `an event of a pushed series counts, and the pushed series is left out`() throws {
    let both = try BesideFixture()
    try both.pushes.push("/j", Self.counter + "jobs_total{k=\"a\"} 6\n")
    #expect(both.events.apply("jobs", tags: Self.tags) == nil)
    for _ in 0..<2 {
      let (text, hidden) = both.page()
      #expect(text.contains("jobs_total{job=\"j\"} 1.0\n"))
      #expect(text.contains("jobs_total{instance=\"\",job=\"j\",k=\"a\"} 6.0\n"))
      #expect(!text.contains("} 5.0"))
      #expect(hidden == ["jobs_total": 1])
      #expect(both.repeated == [])
      try both.reopen()
    }
  }

  @Test func `a pushed series is back when that of events has gone`() throws {
    let both = try BesideFixture()
    try both.pushes.push("/j", Self.counter)
    both.events.apply("jobs", tags: Self.tags)
    #expect(both.page().hidden == ["jobs_total": 1])
    let registry = both.events.registry!
    let index = try #require(registry.familyIndex[Array("jobs_total".utf8)])
    let family = registry.families[index]
    for record in family.series { registry.removeSeries(record, family) }
    family.series = []
    registry.forgetFamily(index)
    #expect(both.page().hidden == [:])
    #expect(both.page().text.contains("jobs_total{instance=\"\",job=\"j\"} 5.0\n"))
  }

  /// Event's name and type, what was pushed before it, the families that are left out then.
  @Test(arguments: [
    ("a", "g", "# TYPE a counter\na 1\n", ["a": 1]),
    ("a", "d", "# TYPE a histogram\na_bucket{le=\"7\"} 1\na_sum 1\na_count 1\n", ["a": 1]),
    ("a", "d", "a_count 1\na_count{k=\"1\"} 1\na_sum 3\n", ["a_count": 2, "a_sum": 1]),
    ("a_count", "g", "# TYPE a histogram\na_sum 1\na_count 1\n", ["a": 1]),
    ("a_sum", "g", "# TYPE a summary\na_sum 1\na_count 1\n", ["a": 1]),
    ("a_bucket", "g", "# TYPE a summary\na_sum 1\na_count 1\n", [:]),
    ("a_count", "g", "# TYPE a gauge\na 1\n", [:]),
  ])
  func `families of events win over pushed ones that came before`(
    _ name: String, _ type: String, _ body: String, _ hidden: [String: Int]
  ) throws {
    let both = try BesideFixture()
    try both.pushes.push("/j", body)
    #expect(both.events.apply(name, Character(type), 1, tags: Self.tags) == nil)
    #expect(both.page().hidden == hidden)
    #expect(both.repeated == [])
    try both.reopen()
    #expect(both.page().hidden == hidden)
    #expect(both.repeated == [])
    // The other way round the push is refused.
    let after = try BesideFixture()
    after.events.apply(name, Character(type), 1, tags: Self.tags)
    let refusal = after.pushes.refusal { try after.pushes.push("/j", body) }
    #expect((refusal != nil) == !hidden.isEmpty, "\(refusal ?? "taken")")
  }

  @Test func `rules that come later hide what does not go with them`() throws {
    let both = try BesideFixture()
    try both.pushes.push("/j", "# TYPE a gauge\na 1\n# TYPE b counter\nb 2\n")
    both.events.registry.reload(
      try RuleFile.parse(
        Array(
          #"""
          {"families": [
            {"name": "a", "type": "counter", "events": [{"event": "a"}]},
            {"name": "b", "type": "counter", "constants": {"job": "j", "instance": ""},
             "events": [{"event": "b"}]}]}
          """#.utf8)))
    let (text, hidden) = both.page()
    #expect(hidden == ["a": 1, "b": 1], "\(text)")
    #expect(text.contains("b{job=\"j\"} 0.0\n"))
    #expect(both.repeated == [])
  }

  @Test func `events have no families of the names that groups have of themselves`() throws {
    let both = try BesideFixture()
    try both.pushes.push("/j", "x 1\n")
    both.events.apply("push_time_seconds", "g", 7, tags: Self.tags)
    both.events.apply("push_failure_time", "m", 7)
    #expect(both.page().text.contains("exported_push_time_seconds{job=\"j\"} 7.0"))
    #expect(both.page().text.contains("exported_push_failure_time_seconds_count 1.0"))
    #expect(both.repeated == [])
    #expect(throws: (any Error).self) {
      try RuleFile.parse(
        Array(#"{"families": [{"name": "push_time_seconds", "type": "gauge"}]}"#.utf8))
    }
  }

  @Test func `in OpenMetrics no two families have one name, whoever brought them`() throws {
    let both = try BesideFixture()
    both.events.apply("b_total")
    both.events.apply("f_total")
    both.events.apply("plain")
    both.events.apply("h", "h")
    try both.pushes.push(
      "/j",
      """
      # TYPE b gauge
      b 1
      # TYPE f_created gauge
      f_created 1
      # TYPE w gauge
      w 1
      # TYPE w_total counter
      w_total 2
      # TYPE h_count_total counter
      h_count_total 1
      # TYPE alone_total counter
      alone_total 1

      """)
    let types = both.page(.openMetrics100).text.split(separator: "\n")
      .filter { $0.hasPrefix("# TYPE ") && !$0.contains(" push_") }.map { $0.dropFirst(7) }.sorted()
    #expect(
      types == [
        "alone counter", "b gauge", "b_total unknown", "f_created gauge", "f_total unknown",
        "h histogram", "h_count_total unknown", "plain counter", "w gauge", "w_total unknown",
      ])
  }

  private func filled() throws -> BesideFixture {
    let both = try BesideFixture()
    for n in 0..<30 {
      both.events.apply("jobs", "c", Double(n), tags: "k:\(n)")
      both.events.apply("level\(n)", "g", 1)
    }
    for n in 0..<20 {
      try both.pushes.push("/j\(n)", Self.group(1, n))
    }
    both.events.apply("jobs", "c", 1, tags: "instance:,job:j7,k:3")
    both.events.apply("only3", "g", 1)
    return both
  }

  /// A group's body, all of whose series have one value.
  private static func group(_ value: Int, _ n: Int) -> String {
    var body = "# HELP jobs_total Of \\\\ it\n# TYPE jobs_total counter\n"
    for k in 0..<5 { body += "jobs_total{k=\"\(k)\"} \(value)\n" }
    body += "# TYPE h histogram\n"
    for k in 0..<5 {
      body += "h_bucket{k=\"\(k)\",le=\"1\"} \(value)\nh_bucket{k=\"\(k)\",le=\"+Inf\"} \(value)\n"
      body += "h_sum{k=\"\(k)\"} \(value)\nh_count{k=\"\(k)\"} \(value)\n"
    }
    return body + "# TYPE only\(n) counter\nonly\(n) \(value)\nlevel_b \(value)\n"
  }

  @Test(arguments: ExpositionFormat.allCases)
  func `a page written in slices is the page written at once`(_ format: ExpositionFormat) throws {
    let both = try filled()
    let whole = both.page(format)
    for slice in [1, 100, 5000] {
      let page = both.page(format, slice: slice)
      #expect(page.text == whole.text && page.hidden == whole.hidden, "\(slice)")
    }
    #expect(whole.hidden == ["jobs_total": 1, "only3": 1])
    #expect(whole.text.contains("level29") && whole.text.contains("only19"))
  }

  @Test(arguments: ExpositionFormat.allCases)
  func `groups and events that change while a page is written are on it as they were`(
    _ format: ExpositionFormat
  ) throws {
    var dice = Dice(9)
    for slice in [1, 300] {
      let both = try filled()
      let before = both.page(format)
      var value = 2
      let page = both.page(format, slice: slice) {
        for _ in 0..<3 {
          value += 1
          let n = Int.random(in: 0..<40, using: &dice)
          let path = "/j\(n)"
          // Some are refused, since events have the series by then.
          switch value % 7 {
          case 0: both.pushes.delete(path)
          case 1: _ = both.pushes.refusal { try both.pushes.push(path, "new\(value) 1\n") }
          case 2, 3:
            _ = both.pushes.refusal {
              try both.pushes.push(path, Self.group(value, n), mode: .merge)
            }
          case 4: both.pushes.fail(path)
          default: break
          }
          // An event's series that a group has too, and one that goes.
          both.events.apply("jobs", "c", 1, tags: "instance:,job:j\(n % 20),k:\(n % 5)")
          let registry = both.events.registry!
          if let index = registry.familyIndex[Array("level\(n)".utf8)] {
            let family = registry.families[index]
            for record in family.series { registry.removeSeries(record, family) }
            family.series = []
          }
          registry.commit()
        }
      }
      #expect(page.text == before.text && page.hidden == before.hidden)
      #expect(both.page(format).text != page.text)
    }
  }

  @Test func `groups as JSON in slices are those at once, and as they were when it began`() throws {
    let both = try filled()
    func json(_ slice: Int, between: () -> Void = {}) -> [UInt8] {
      let text = GroupsJSON(PushedFamilies(both.pushes.store, now: both.pushes.moment))
      var page = ByteBuffer()
      while !text.write(into: &page, byteCount: slice) { between() }
      return page.array
    }
    let whole = json(1 << 20)
    let parsed = try JSONSerialization.jsonObject(with: Data(whole)) as? [String: Any]
    #expect((parsed?["data"] as? [Any])?.count == 20)
    #expect(json(1) == whole && json(700) == whole)
    var value = 0
    let during = json(200) {
      value += 1
      if value % 5 == 0 { both.pushes.delete("/j\(value % 20)") }
      let path = "/j\(value * 7 % 30)"
      _ = both.pushes.refusal { try both.pushes.push(path, "new\(value) 1\n") }
    }
    #expect(during == whole)
    #expect(json(200) != whole)
  }

  @Test func `families that are left out are told by name, up to a bound`() {
    var hidden = HiddenSeries()
    for number in 0..<130 { hidden.add(Array("f\(number)".utf8), number) }
    #expect(hidden.families.count == 100)
    #expect(hidden.overflow == (101..<130).reduce(0, +))
  }
}
