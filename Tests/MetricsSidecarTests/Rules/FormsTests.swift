import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Rules of one name with their own buckets, quantiles and times to live.
@Suite struct FormsTests {
  private static func rules(_ families: String...) -> String {
    #"{"families": [\#(families.joined(separator: ",\n"))]}"#
  }

  private static func family(_ event: String, _ more: String, name: String = "f") -> String {
    #"{"name": "\#(name)", "labels": ["l", "m"], "events": [{"event": "\#(event)"}], \#(more)}"#
  }

  private static let histograms = rules(
    family("a", #""type": "histogram", "buckets": [1, 2], "help": "One""#),
    family("b", #""buckets": [5]"#),
    family("c", #""native": true"#),
    family("d", #""type": "histogram""#),
    family("e", #""buckets": [5], "type": "histogram""#))

  private static let page = """
    # HELP f One
    # TYPE f histogram
    f_bucket{l="a",le="1.0"} 0.0
    f_bucket{l="a",le="2.0"} 0.0
    f_bucket{l="a",le="+Inf"} 1.0
    f_count{l="a"} 1.0
    f_sum{l="a"} 3.0
    f_bucket{l="d",le="1.0"} 0.0
    f_bucket{l="d",le="2.0"} 0.0
    f_bucket{l="d",le="+Inf"} 1.0
    f_count{l="d"} 1.0
    f_sum{l="d"} 3.0
    f_bucket{l="b",le="5.0"} 1.0
    f_bucket{l="b",le="+Inf"} 1.0
    f_count{l="b"} 1.0
    f_sum{l="b"} 3.0
    f_bucket{l="e",le="5.0"} 1.0
    f_bucket{l="e",le="+Inf"} 1.0
    f_count{l="e"} 1.0
    f_sum{l="e"} 3.0
    f_bucket{l="c",le="+Inf"} 1.0
    f_count{l="c"} 1.0
    f_sum{l="c"} 3.0

    """

  @Test func `each rule of a histogram has its own buckets, under one head`() throws {
    let fixture = try Fixture(rules: Self.histograms)
    for name in ["a", "b", "c", "d", "e"] { fixture.apply(name, "h", 3, tags: "l:\(name)") }
    #expect(fixture.page == Self.page)
    try fixture.reopen()
    fixture.check()
    #expect(fixture.page == Self.page)
    for name in ["a", "b", "c", "d", "e"] { fixture.apply(name, "h", 3, tags: "l:\(name)") }
    fixture.check()
    #expect(fixture.value(#"f_bucket{l="b",le="5.0"}"#) == 2)
    #expect(fixture.value(#"f_bucket{l="a",le="2.0"}"#) == 0)
    #expect(fixture.value(#"f_count{l="c"}"#) == 2)
  }

  @Test func `a series that two rules feed keeps the buckets of the first event`() throws {
    let fixture = try Fixture(rules: Self.histograms)
    for name in ["b", "a", "c"] { fixture.apply(name, "h", 3, tags: "l:x") }
    #expect(fixture.value(#"f_bucket{l="x",le="5.0"}"#) == 3)
    #expect(fixture.value(#"f_bucket{l="x",le="1.0"}"#) == nil)
    fixture.check()
  }

  @Test func `quantiles and windows of a summary are the rule's`() throws {
    let fixture = try Fixture(
      rules: Self.rules(
        Self.family("a", #""type": "summary", "quantiles": [0.5]"#),
        Self.family("b", #""quantiles": [0.9], "window": "1m""#),
        Self.family("c", #""quantiles": [0.25]"#)))
    for name in ["a", "b", "c"] { fixture.apply(name, "h", 0, tags: "l:\(name)") }
    for _ in 0..<2 {
      let lines = fixture.page.split(separator: "\n").filter { $0.contains("quantile") }
      #expect(
        lines.sorted() == [
          #"f{l="a",quantile="0.5"} 0.0"#, #"f{l="b",quantile="0.9"} 0.0"#,
          #"f{l="c",quantile="0.25"} 0.0"#,
        ])
      try fixture.reopen()
      fixture.check()
    }
  }

  @Test(arguments: [
    (#""type": "histogram""#, #""quantiles": [0.5]"#, #""quantiles" is for summaries"#),
    (#""type": "summary""#, #""buckets": [1]"#, #""buckets" are for histograms"#),
    (#""type": "counter""#, #""buckets": [1]"#, #""buckets" are for histograms"#),
    (#""type": "summary""#, #""type": "histogram""#, "of another type already"),
    (#""type": "counter""#, #""help": "x""#, "belongs to the first entry of the family f"),
    (#""type": "gauge""#, #""merge": "sum""#, "belongs to the first entry of the family f"),
    (#""type": "histogram""#, #""buckets": [1], "bucket_factor": 1.1"#, "is for histograms"),
  ])
  func `a rule cannot have what the type of its name has not`(
    _ first: String, _ second: String, _ message: String
  ) throws {
    let rules = Self.rules(Self.family("a", first), Self.family("b", second))
    let (_, mistakes) = RuleFile.read(Array(rules.utf8))
    #expect(mistakes.count == 1 && mistakes[0].message.contains(message), "\(mistakes)")
  }

  @Test(arguments: ["counter", "event"], [false, true])
  func `a rule may have its own time to live, over a restart and a reload`(
    _ type: String, _ isReloaded: Bool
  ) throws {
    func rules(_ second: String) -> String {
      Self.rules(
        Self.family("a", #""type": "\#(type)", "ttl": "10m""#), Self.family("b", second),
        Self.family("c", #""ttl": "0""#), Self.family("d", #""type": "\#(type)""#))
    }
    let fixture = try Fixture(rules: rules(#""ttl": "1m""#))
    fixture.begin()
    #expect(fixture.wait(50) == ["a", "b", "c", "d"])
    #expect(fixture.wait(30) == ["a", "c", "d"])
    #expect(fixture.wait(500) == ["a", "c", "d"])
    #expect(fixture.wait(200) == ["c"])
    fixture.begin()
    if isReloaded {
      fixture.registry.reload(try RuleFile.parse(Array(rules(#""ttl": "2m""#).utf8)))
    } else {
      try fixture.reopen()
    }
    fixture.check()
    if !isReloaded { fixture.registry.testMonotonicTime = Clock.monotonicNanoseconds }
    #expect(fixture.wait(50) == ["a", "b", "c", "d"])
    #expect(fixture.wait(30) == (isReloaded ? ["a", "b", "c", "d"] : ["a", "c", "d"]))
    #expect(fixture.wait(60) == ["a", "c", "d"])
  }

  @Test func `limits hold for all forms of a name together`() throws {
    var limits = Limits()
    limits.familySeries = 2
    let fixture = try Fixture(rules: Self.histograms, limits: limits)
    for name in ["b", "c", "a", "e"] { fixture.apply(name, "h", 3, tags: "l:\(name)") }
    #expect(fixture.value("f_count{overflow=\"true\"}") == 2)
    #expect(fixture.value(#"f_bucket{overflow="true",le="2.0"}"#) == 0)
    fixture.check()
    try fixture.reopen()
    fixture.apply("d", "h", 3, tags: "l:new")
    #expect(fixture.value("f_count{overflow=\"true\"}") == 3)
    fixture.check()
  }

  @Test func `rules that are taken away or moved leave series as they are`() throws {
    let fixture = try Fixture(rules: Self.histograms)
    for name in ["a", "b", "c"] { fixture.apply(name, "h", 3, tags: "l:\(name)") }
    let moved = Self.rules(
      Self.family("b", #""type": "histogram", "buckets": [5]"#),
      Self.family("z", #""buckets": [9]"#),
      Self.family("a", #""buckets": [1, 2], "ttl": "1h""#))
    fixture.registry.reload(try RuleFile.parse(Array(moved.utf8)))
    fixture.check()
    #expect(fixture.value(#"f_bucket{l="a",le="2.0"}"#) == 0)
    #expect(fixture.value(#"f_bucket{l="b",le="5.0"}"#) == 1)
    // No rule of the name has such buckets any more.
    #expect(fixture.value(#"f_count{l="c"}"#) == nil)
    for name in ["a", "b"] { fixture.apply(name, "h", 3, tags: "l:\(name)") }
    #expect(fixture.value(#"f_count{l="a"}"#) == 2)
    #expect(fixture.value(#"f_bucket{l="b",le="5.0"}"#) == 2)
    fixture.check()
  }

  @Test(arguments: 0..<60)
  func `events, reloads and restarts in any order leave one legal page`(_ seed: UInt64) throws {
    var dice = Dice(seed)
    let fixture = try Fixture(rules: Self.random(&dice))
    for _ in 0..<200 {
      switch dice.below(20) {
      case 0: fixture.registry.reload(try RuleFile.parse(Array(Self.random(&dice).utf8)))
      case 1: try fixture.reopen()
      case 2: _ = fixture.wait(UInt64(dice.below(100)))
      default:
        let event = ["a", "b", "c", "x.f", "x.g"][dice.below(5)]
        fixture.apply(
          event, ["h", "h", "c", "g"][dice.below(4)], Double(dice.below(9)),
          tags: "l:\(dice.below(3))")
        fixture.registry.commit()
      }
      fixture.check()
      fixture.checkPage()
    }
  }

  private static func random(_ dice: inout Dice) -> String {
    let type = [#""type": "histogram""#, #""type": "summary""#, #""type": "event""#]
    let kind = dice.below(3)
    let forms =
      kind == 1
      ? [#""quantiles": [0.5]"#, #""quantiles": [0.5, 0.9], "window": "1m""#]
      : [#""buckets": [1]"#, #""buckets": [1, 5]"#, #""native": true"#]
    var families: [String] = []
    for event in ["a", "b", "c", "x.*", "*"] where dice.below(4) > 0 {
      var more = [
        event == "x.*" || !families.contains { $0.contains(#"name": "f"#) } ? type[kind] : ""
      ]
      if dice.below(3) > 0 { more.append(forms[dice.below(forms.count)]) }
      if dice.below(3) == 0 { more.append(#""ttl": "\#(1 + dice.below(3))m""#) }
      let name = event == "x.*" ? "$1" : "f"
      families.append(family(event, more.filter { $0 != "" }.joined(separator: ", "), name: name))
    }
    return rules(families.map { $0.replacing("], }", with: "]}") }.joined(separator: ","))
  }
}

extension Fixture {
  /// What `Registry+Forms` promises.
  func check(_ location: SourceLocation = #_sourceLocation) {
    let registry = registry!
    for (place, family) in registry.families.enumerated() where !family.name.isEmpty {
      #expect(family.place == place, sourceLocation: location)
      let head = registry.families[registry.familyIndex[family.name]!]
      #expect(head.first { $0 === family } != nil, sourceLocation: location)
      #expect((head === family) == !family.isFurther, sourceLocation: location)
      #expect(FamilyType(head.kind) == FamilyType(family.kind), sourceLocation: location)
      for record in family.series {
        #expect(registry.hasForm(record, family), sourceLocation: location)
        #expect(registry.own(record, family.name) === family, sourceLocation: location)
      }
    }
  }

  /// Each family and each line once.
  func checkPage() {
    var seen: Set<Substring> = []
    for line in page.split(separator: "\n") {
      let end = line.hasPrefix("#") ? line.endIndex : line.lastIndex(of: " ")!
      let name = line.hasPrefix("# TYPE") ? line[..<line.lastIndex(of: " ")!] : line[..<end]
      #expect(seen.insert(name).inserted, "\(line)")
    }
  }

  fileprivate func begin() {
    registry.testMonotonicTime = registry.testMonotonicTime ?? Clock.monotonicNanoseconds
    for name in ["a", "b", "c", "d"] { apply(name, "c", 1, tags: "l:\(name)") }
    registry.commit()
    registry.turnEnded(now: registry.testMonotonicTime ?? 0, isRead: false)
  }

  /// Which of the series are left after so many seconds without an event.
  fileprivate func wait(_ seconds: UInt64) -> [String] {
    let end = (registry.testMonotonicTime ?? 0) + seconds * 1_000_000_000
    registry.testMonotonicTime = end
    while registry.expiry.due <= end {
      registry.testMonotonicTime = registry.expiry.due
      registry.expire(now: registry.expiry.due)
      registry.commit()
      registry.turnEnded(now: registry.testMonotonicTime ?? 0, isRead: false)
    }
    registry.testMonotonicTime = end
    return ["a", "b", "c", "d"].filter { value(#"f{l="\#($0)"}"#) != nil }
  }
}
