import Foundation
import SidecarEvents
import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Lines as they come through a socket, by clients with a number each.
private final class Intake {
  let fixture: Fixture
  private(set) var processor: LineProcessor!

  init(rules: String = "{}", limits: Limits = Limits()) throws {
    fixture = try Fixture(rules: rules, limits: limits)
    fixture.registry.testTime = 1_000_000
    processor = LineProcessor(registry: fixture.registry, limits: limits)
    fixture.registry.owners.graceEnds = 0
  }

  func send(_ lines: String, client: UInt64 = 0) {
    let bytes = Array(lines.utf8)
    if client != 0, !fixture.registry.owners.contains(client) {
      fixture.registry.owners.insert(client)
    }
    fixture.registry.owners.current = client
    processor.lines(bytes.span.bytes, from: 0, .events)
    fixture.registry.owners.current = 0
    fixture.registry.commit()
  }

  func reopen() throws {
    // It holds the registry, which holds the file.
    processor = nil
    try fixture.reopen()
    fixture.registry.testTime = 1_000_000
    fixture.registry.owners.graceEnds = 1_060_000
    processor = LineProcessor(registry: fixture.registry, limits: fixture.limits)
  }

  var page: String { fixture.page }
  var rejected: UInt64 { processor.counts.rejectedCount }

  func openMetrics() throws -> String {
    let shape = ExpositionShape(format: .openMetrics100)
    return String(decoding: try fixture.scraped(shape, isGzip: false).bytes, as: UTF8.self)
  }
}

@Suite struct DeclarationsTests {
  @Test func `a declared family is there before its first event, with help and type`() throws {
    let intake = try Intake()
    intake.send(#"_family|jobs_total|counter|Jobs that ended \p well\\\n"#)
    #expect(
      intake.page == """
        # HELP jobs_total Jobs that ended | well\\\\\\n
        # TYPE jobs_total counter

        """)
    intake.send("jobs_total:2|c|#queue:mail\njobs_total:0.5|c|#queue:mail")
    #expect(intake.page.hasSuffix("jobs_total{queue=\"mail\"} 2.5\n"))
    #expect(intake.rejected == 0)
  }

  /// Each change has all lines forgotten, of whomever: a client that changes a family all the time
  /// would make each line of everybody a new one.
  @Test func `a hundred types change at once, and one a second`() throws {
    let intake = try Intake()
    let registry = intake.fixture.registry!
    registry.testMonotonicTime = 1_000_000_000_000
    for number in 0..<3 { intake.send("_family|f\(number)|counter|x\nknown:1|c") }
    let resolved = registry.resolvedLines
    for number in 0..<1000 {
      intake.send("_family|f\(number % 3)|\(number % 2 == 0 ? "gauge" : "counter")|x\nknown:1|c")
    }
    #expect(registry.resolvedLines - resolved <= 101)
    #expect(intake.rejected > 400)
    #expect(intake.fixture.value("known_total") == 1003)
    registry.testMonotonicTime! += 2_000_000_000
    let before = intake.rejected
    for type in ["summary", "histogram", "gauge", "summary"] {
      intake.send("_family|f0|\(type)|x")
    }
    #expect(intake.rejected - before == 2)
    // Another help text is no change.
    intake.send("_family|f0|histogram|y")
    #expect(intake.page.contains("# HELP f0 y"))
    #expect(intake.rejected - before == 2)
  }

  @Test func `names are as they are declared, with the buckets of the application`() throws {
    let intake = try Intake()
    intake.send(
      """
      _family|wait|histogram|Waiting|b:0.1,2.5,+Inf
      _family|size|summary|Sizes
      wait:0.1:3|d
      size:4:8|d|#k:v
      """)
    #expect(
      intake.page == """
        # HELP wait Waiting
        # TYPE wait histogram
        wait_bucket{le="0.1"} 1.0
        wait_bucket{le="2.5"} 1.0
        wait_bucket{le="+Inf"} 2.0
        wait_count 2.0
        wait_sum 3.1
        # HELP size Sizes
        # TYPE size summary
        size_count{k="v"} 2.0
        size_sum{k="v"} 12.0

        """)
  }

  @Test func `a label's value is any text`() throws {
    let intake = try Intake()
    intake.send("_family|hits_total|counter|")
    intake.send(#"hits_total:1|c|#path:/a\cb\pc:d\\\n,empty:"#)
    #expect(intake.page.hasSuffix(#"hits_total{path="/a,b|c:d\\\n"} 1.0"# + "\n"))
    intake.send(#"hits_total:1|c|#path:a\x"#)
    #expect(intake.rejected == 1)
  }

  @Test(arguments: [
    "", "a", "a|counter", "|counter|", "1a|counter|", "a:b|counter|", "a b|counter|",
    "a|gauges|", "a|set|", #"a|counter|\"#, #"a|counter|\q"#, "a|counter||b:1", "a|counter||m:sum",
    "a|histogram||b:", "a|histogram||b:1,1", "a|histogram||b:2,1", "a|histogram||b:nan",
    "a|histogram||b:x", "a|gauge||m:first", "a|gauge||m:", "a|gauge||b:1",
    "a|histogram||b:" + (0...200).map(String.init).joined(separator: ","),
  ])
  func `what is no declaration is refused and counted`(_ text: String) throws {
    let intake = try Intake()
    intake.send("_family|" + text)
    #expect(intake.page == "")
    #expect(intake.rejected == 1)
  }

  @Test func `a declaration and its series survive a restart, and a field of tomorrow is skipped`()
    throws
  {
    let intake = try Intake()
    intake.send("_family|wait|histogram|Waiting|b:1,2|z:new\nwait:1.5|d\n_family|n|gauge|N|m:sum")
    intake.send("n:4|g", client: 3)
    let page = intake.page
    try intake.reopen()
    #expect(intake.page == page)
    intake.send("wait:1.5|d")
    #expect(intake.fixture.value("wait_count") == 2)
  }

  @Test func `the last help stands, and the series goes on`() throws {
    let intake = try Intake()
    intake.send(
      "_family|a_total|counter|Old\na_total:3|c\n_family|a_total|counter|New\na_total:1|c")
    #expect(
      intake.page == "# HELP a_total New\n# TYPE a_total counter\na_total 4.0\n")
    try intake.reopen()
    #expect(intake.page.hasPrefix("# HELP a_total New\n"))
  }

  @Test func `other buckets wait until nobody has the old ones`() throws {
    let intake = try Intake()
    intake.send("_family|w|histogram||b:1\nw:0.5|d", client: 3)
    intake.send("_family|w|histogram||b:1,2", client: 5)
    #expect(intake.rejected == 1)
    #expect(intake.fixture.value("w_count") == 1)
    // Its own, it may change.
    intake.send("_family|w|histogram||b:3", client: 3)
    #expect(intake.page.contains(#"w_bucket{le="3.0"}"#) || !intake.page.contains("le=\"1.0\""))
    intake.fixture.registry.connectionEnded(3)
    intake.send("_family|w|histogram||b:1,2\nw:1.5|d", client: 5)
    #expect(intake.rejected == 1)
    #expect(intake.fixture.value(#"w_bucket{le="2.0"}"#) == 1)
    #expect(intake.fixture.value("w_count") == 1)
  }

  @Test func `after a restart the old ones have a minute to come back`() throws {
    let intake = try Intake()
    intake.send("_family|w|histogram||b:1", client: 3)
    try intake.reopen()
    intake.send("_family|w|histogram||b:2", client: 5)
    #expect(intake.rejected == 1)
    intake.fixture.registry.testTime = 1_000_000 + 60_000
    intake.fixture.registry.forgetAbsentSessions()
    intake.send("_family|w|histogram||b:2", client: 5)
    #expect(intake.rejected == 1)
  }

  @Test func `rules win, for their events and for their families`() throws {
    let rules = #"""
      {"families": [
        {"name": "ruled_total", "type": "counter", "help": "By rule",
         "events": [{"event": "known"}, {"event": "ruled_total"}]}]}
      """#
    let intake = try Intake(rules: rules)
    intake.send(
      """
      _family|ruled_total|gauge|By client
      _family|known|counter|By client
      known:1|c|#a:b
      ruled_total:1|c
      """)
    #expect(
      intake.page == """
        # HELP ruled_total By rule
        # TYPE ruled_total counter
        ruled_total 2.0
        # HELP known By client
        # TYPE known counter

        """)
    // Once the rules are gone, the declaration says what it is.
    intake.fixture.registry.reload(Rules())
    #expect(intake.page.contains("# TYPE ruled_total gauge\n"))
    intake.send("known:1|c|#a:b")
    #expect(intake.fixture.value(#"known{a="b"}"#) == 1)
  }

  @Test
  func `a line that counted under its default name counts under the declared one from then on`()
    throws
  {
    let intake = try Intake()
    intake.send("a:1|c\n_family|a|counter|\na:1|c\na:1|c")
    #expect(intake.fixture.value("a_total") == 1)
    #expect(intake.fixture.value("a") == 2)
  }

  @Test func `names of others' samples and of the sidecar are refused`() throws {
    let intake = try Intake()
    intake.send(
      """
      _family|w|histogram|
      _family|w_count|counter|
      _family|metrics_sidecar_x|gauge|
      _family|process_x|gauge|
      """)
    #expect(intake.rejected == 3)
    #expect(intake.page == "# TYPE w histogram\n")
  }

  @Test func `families are bounded`() throws {
    var limits = Limits()
    limits.families = 3
    let intake = try Intake(limits: limits)
    for index in 0..<9 { intake.send("_family|f\(index)|counter|") }
    #expect(intake.rejected == 6)
  }

  @Test func `a gauge is what its clients make of it, and a part that is removed ends`() throws {
    let intake = try Intake()
    intake.send(
      "_family|n|gauge||m:livesum\n_family|p|gauge||m:liveall\n_family|r|gauge||m:mostrecent")
    intake.send("n:4|g\np:1|g|#pid:3\nr:7|g|T2000.5", client: 3)
    intake.send("n:5|g\np:2|g|#pid:5\nr:8|g|T1000", client: 5)
    #expect(intake.fixture.value("n") == 9)
    #expect(intake.fixture.value("r") == 7)
    intake.send("_remove|n\n_remove|none\n_remove|p|#pid:4", client: 3)
    #expect(intake.fixture.value("n") == 5)
    intake.fixture.registry.connectionEnded(5)
    #expect(intake.fixture.value("n") == 0)
    #expect(intake.fixture.value(#"p{pid="5"}"#) == nil)
    #expect(intake.fixture.value(#"p{pid="3"}"#) == 1)
    #expect(intake.rejected == 0)
  }

  @Test func `a series can be there before its first event, unless a rule takes that`() throws {
    let rules =
      #"{"families": [{"name": "r_total", "type": "counter", "events": [{"event": "w"}]}]}"#
    let intake = try Intake(rules: rules)
    intake.send(
      """
      _family|a_total|counter|
      _family|h|histogram||b:1
      _family|w|counter|
      _series|a_total|#k:v
      _series|h
      _series|w
      _series|unknown
      """)
    #expect(intake.fixture.value(#"a_total{k="v"}"#) == 0)
    #expect(intake.fixture.value(#"h_bucket{le="+Inf"}"#) == 0)
    #expect(!intake.page.contains("\nw "))
    #expect(intake.rejected == 0)
    intake.send("_series|a_total|k:v\n_series|a_total|#k:\\q")
    #expect(intake.rejected == 2)
  }

  @Test func `a live series of one client that is silent leaves room`() throws {
    let intake = try Intake()
    let start = Clock.monotonicNanoseconds
    intake.fixture.registry.testMonotonicTime = start
    intake.send("_family|p|gauge||m:liveall\np:1|g|#pid:3", client: 3)
    let registry = intake.fixture.registry!
    #expect(registry.seriesCount == 1)
    registry.turnEnded(now: start, isRead: false)
    let later = start + 340_000_000_000
    registry.turnEnded(now: later, isRead: false)
    registry.testMonotonicTime = later
    registry.expire(now: later)
    #expect(registry.seriesCount == 0)
    #expect(intake.page == "# TYPE p gauge\n")
  }

  @Test func `exemplars have the labels that the client gives`() throws {
    let intake = try Intake()
    intake.send(
      """
      _family|a_total|counter|
      _family|w|histogram||b:1
      a_total:2|c|x:trace_id:4bf9,span_id:00f0
      w:0.5|d|#k:v|x:trace_id:77
      a_total:1|c|x:no
      a_total:1|c|x:a:1,a:2
      """)
    let page = try intake.openMetrics()
    #expect(page.contains(#"a_total 4.0 # {trace_id="4bf9",span_id="00f0"} 2.0 1000.0"#), "\(page)")
    #expect(page.contains(#"w_bucket{k="v",le="1.0"} 1.0 # {trace_id="77"} 0.5 1000.0"#))
    #expect(intake.rejected == 0)
  }

  @Test func `bent declarations neither trap nor spoil what is there`() throws {
    var generator = FuzzGenerator(seed: 7)
    let seeds = [
      "_family|jobs_total|counter|Help", "_family|w|histogram|H|b:0.1,1,10|m:sum",
      "_family|g|gauge|H|m:livesum", "_remove|g|#a:b", "_series|w|#a:b", "g:1|g|#a:b|T1767225600.5",
      "w:1|d|x:trace_id:1,span_id:2", #"jobs_total:1|c|#a:\c\p\n\\"#,
    ]
    let intake = try Intake()
    intake.send("_family|safe_total|counter|\nsafe_total:1|c")
    for _ in 0..<4000 {
      var line = Array(seeds[Int(generator.next() % UInt64(seeds.count))].utf8)
      for _ in 0..<Int(generator.next() % 4) {
        let at = Int(generator.next() % UInt64(line.count))
        switch generator.next() % 3 {
        case 0: line[at] = UInt8(truncatingIfNeeded: generator.next())
        case 1: line.remove(at: at)
        default: line.insert(Array("|:,\\_#b".utf8)[Int(generator.next() % 7)], at: at)
        }
        if line.isEmpty { line = [95] }
      }
      line.removeAll { $0 == 10 }
      intake.fixture.registry.owners.current = generator.next() % 4
      intake.processor.lines(line.span.bytes, from: 0, .events)
    }
    intake.fixture.registry.owners.current = 0
    intake.fixture.registry.commit()
    #expect(intake.fixture.value("safe_total") == 1)
    let page = intake.page
    try intake.reopen()
    #expect(
      Set(intake.page.split(separator: "\n")).isSuperset(
        of: page.split(separator: "\n").filter { $0.hasPrefix("safe_total") || $0.hasPrefix("# ") })
    )
  }
}

/// SplitMix64: the same numbers for a seed, everywhere.
private struct FuzzGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
