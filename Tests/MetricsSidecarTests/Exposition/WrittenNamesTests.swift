import SidecarEvents
import SidecarPlatform
import SidecarRules
import Testing

@testable import MetricsSidecar

/// Names beyond what Prometheus has always allowed, as the scraper asks for them.
@Suite struct WrittenNamesTests {
  @Test(arguments: [
    ("my_name", "my__name", "my_name"), ("my.name", "my_dot_name", "U__my_2e_name"),
    ("http.status:sum", "http_dot_status:sum", "U__http_2e_status:sum"),
    ("label with 😱", "label__with____", "U__label_20_with_20__1f631_"),
    ("花火", "____", "U___82b1__706b_"), ("9a", "__a", "U___39_a"), ("a9", "a9", "a9"),
    ("with_under.score", "with__under_dot_score", "U__with__under_2e_score"),
    ("a\"b\\c", "a__b__c", "U__a_22_b_5c_c"),
  ])
  func `a name under each scheme`(_ name: String, _ dots: String, _ values: String) {
    func escaped(_ scheme: Escaping) -> String {
      String(decoding: scheme.escaped(Array(name.utf8)), as: UTF8.self)
    }
    #expect(escaped(.dots) == dots)
    #expect(escaped(.values) == values)
    #expect(escaped(.allowUTF8) == name)
  }

  @Test(arguments: [
    ("a.b", "a_b"), ("ä.ö", "___"), ("x--y---z", "x_y_z"), ("x..y", "x__y"), ("9a", "_9a"),
    ("", "_"), ("a  b", "a__b"), ("😱", "_"),
  ])
  func `a name that is not allowed becomes what statsd_exporter makes of it`(
    _ name: String, _ plain: String
  ) {
    #expect(String(decoding: Names.sanitised(Array(name.utf8)[...]), as: UTF8.self) == plain)
  }

  @Test(arguments: [
    ("jobs.done", "c", "jobs.done_total"), ("jobs.total", "c", "jobs_total"),
    ("a.b.total", "c", "a.b_total"), ("a.b--total", "c", "a.b_total"),
    ("a.bétotal", "c", "a.b_total"), ("a.b_total", "c", "a.b_total"), ("a.total", "g", "a.total"),
    ("wait.time", "m", "wait.time_seconds"), ("total", "c", "total_total"),
  ])
  func `a counter is spelled with the ending that OpenMetrics knows it by`(
    _ name: String, _ type: String, _ spelled: String
  ) {
    let bytes = Array(name.utf8)
    let none: [UInt8] = []
    let event = EventDescription(
      line: Event(
        name: bytes.span.bytes, EventType(rawValue: Array(type.utf8)[0] & 31)!,
        tags: none.span.bytes, .lines, EventValue(number: 1)), .all)
    #expect(String(decoding: event.spelledFamily, as: UTF8.self) == spelled)
    #expect(Names.sanitised(event.spelledFamily[...]) == event.defaultFamily)
  }

  @Test func `a counter that is called as its ending alone has a name before it`() throws {
    let fixture = try Fixture()
    fixture.apply("_total", "c", 1)
    #expect(fixture.value("__total") == 1)
  }

  @Test func `an empty name is no spelling`() throws {
    let fixture = try Fixture()
    fixture.registry.spellings.isOn = true
    fixture.apply("#a=b", "g", 1)
    #expect(fixture.registry.spellings.spelling(OriginalNames.family, Array("_".utf8)) == [0x5f])
  }

  @Test func `bytes that are no UTF-8 leave no name that begins with a digit`() {
    for first in 0...255 as ClosedRange<UInt8> {
      for second in [UInt8(ascii: "8"), 0x80, 0xbf, UInt8(ascii: "-"), UInt8(ascii: "a")] {
        let name = Names.sanitised([first, second, UInt8(ascii: "8")][...])
        #expect(Names.isFamilyName(String(decoding: name, as: UTF8.self)), "\(first) \(second)")
      }
    }
  }

  private func filled(isOn: Bool = true) throws -> Fixture {
    let fixture = try Fixture()
    fixture.registry.spellings.isOn = isOn
    fixture.apply("http.requests", "c", 4, tags: "http.path:/a,b:\"x")
    fixture.apply("wait.seconds", "h", 0.7)
    fixture.apply("plain", "g", 1, tags: "ü:1")
    return fixture
  }

  private func own(_ name: String, help: String) -> OwnFamily {
    OwnFamily(
      name: Array(name.utf8), type: .counter, help: Array(help.utf8), samples: [([], 1)])
  }

  private func page(
    _ fixture: Fixture, _ format: ExpositionFormat, _ escaping: Escaping?, slice: Int = 1 << 20,
    own: [OwnFamily] = [], hasCreatedLines: Bool = false
  ) -> [UInt8] {
    let snapshot = Snapshot(
      fixture.registry, filter: NameFilter(), isOpenMetrics: format.isOpenMetrics)
    snapshot.own = own
    snapshot.hasCreatedLines = hasCreatedLines
    let writer = ExpositionWriter(
      snapshot, shape: ExpositionShape(format: format, escaping: escaping), filter: NameFilter())
    var page = ByteBuffer()
    while !writer.write(into: &page, byteCount: slice) {}
    return page.array
  }

  /// Without the buckets but +Inf, and with start times made the same.
  private func text(
    _ fixture: Fixture, _ format: ExpositionFormat, _ escaping: Escaping?, own: [OwnFamily] = []
  ) -> String {
    String(
      decoding: page(fixture, format, escaping, own: own, hasCreatedLines: true), as: UTF8.self
    )
    .split(separator: "\n")
    .filter { !$0.contains("le=") || $0.contains("+Inf") }
    .map { $0.contains("_created") ? $0.prefix(while: { $0 != " " }) + " T" : $0 }
    .joined(separator: "\n")
  }

  @Test func `names in quotes where UTF-8 is allowed`() throws {
    #expect(
      text(try filled(), .text100, .allowUTF8) == #"""
        # TYPE "http.requests_total" counter
        {"http.requests_total",b="\"x","http.path"="/a"} 4.0
        # TYPE "wait.seconds" histogram
        {"wait.seconds_bucket",le="+Inf"} 1.0
        {"wait.seconds_count"} 1.0
        {"wait.seconds_sum"} 0.7
        # TYPE plain gauge
        plain{"ü"="1"} 1.0
        """#)
  }

  @Test func `OpenMetrics in quotes: the short name, no unit that is not the name's end`() throws {
    #expect(
      text(
        try filled(), .openMetrics100, .allowUTF8,
        own: [own("own_bytes_total", help: "Of it")])
          == #"""
          # TYPE "http.requests" counter
          {"http.requests_total",b="\"x","http.path"="/a"} 4.0
          {"http.requests_created",b="\"x","http.path"="/a"} T
          # TYPE "wait.seconds" histogram
          {"wait.seconds_bucket",le="+Inf"} 1.0
          {"wait.seconds_count"} 1.0
          {"wait.seconds_sum"} 0.7
          {"wait.seconds_created"} T
          # TYPE plain gauge
          plain{"ü"="1"} 1.0
          # TYPE own_bytes counter
          # UNIT own_bytes bytes
          # HELP own_bytes Of it
          own_bytes_total 1.0
          # EOF
          """#)
  }

  @Test(arguments: [
    (Escaping.values, "U__http_2e_requests__total", "U__http_2e_path", "U__wait_2e_seconds"),
    (.dots, "http_dot_requests__total", "http_dot_path", "wait_dot_seconds"),
    (.underscores, "http_requests_total", "http_path", "wait_seconds"),
  ])
  func `names escaped where only those are taken that were always allowed`(
    _ escaping: Escaping, _ counter: String, _ label: String, _ histogram: String
  ) throws {
    let page = text(try filled(), .text004, escaping)
    #expect(page.contains("# TYPE \(counter) counter\n"))
    #expect(page.contains("\n\(counter){b=\"\\\"x\",\(label)=\"/a\"} 4.0\n"))
    #expect(page.contains("\n\(histogram)_count 1.0\n"))
  }

  @Test func `the dots scheme doubles underscores of every name`() throws {
    let fixture = try Fixture()
    fixture.apply("a_b", "c", 1, tags: "k_l:v_w")
    #expect(
      text(fixture, .text100, .dots, own: [own("own_total", help: "It")]) == """
        # TYPE a__b__total counter
        a__b__total{k__l="v_w"} 1.0
        # HELP own__total It
        # TYPE own__total counter
        own__total 1.0
        """)
  }

  @Test(arguments: [
    ("a--b", "a__b"), ("1a", "_1a"), ("1--a", "_1_a"), ("x.y", "x/y"), ("é", "_"),
    ("U__x_2e_y", "x.y"),
  ])
  func `two names are never written as one`(_ one: String, _ other: String) throws {
    for escaping in Escaping.allCases {
      let fixture = try Fixture()
      fixture.registry.spellings.isOn = true
      fixture.apply("f", "g", 1, tags: "\(one):1,z:1")
      fixture.apply("f", "g", 2, tags: "\(other):1,z:1")
      fixture.apply(one, "g", 1)
      fixture.apply(other, "g", 1)
      let isOne = Names.sanitised(Array(one.utf8)[...]) == Names.sanitised(Array(other.utf8)[...])
      let lines = text(fixture, .text100, escaping).split(separator: "\n")
        .filter { !$0.hasPrefix("#") }
      let keys = Set(lines.map { $0.prefix { $0 != " " } })
      #expect(keys.count == lines.count && keys.count == (isOne ? 2 : 4), "\(escaping) \(lines)")
    }
  }

  @Test func `a label has neither a colon nor two underscores at its start`() throws {
    let fixture = try Fixture()
    fixture.registry.spellings.isOn = true
    fixture.apply("f,a:b=1,_c=2,1d=3,exported_c=4", "g", 1)
    let written: [Escaping: String] = [
      .underscores: #"f{_1d="3",_c="2",a_b="1",exported_c="4"} 1.0"#,
      .dots: #"f{exported___1d="3",exported___c="2",a__b="1",exported__c="4"} 1.0"#,
      .values: #"f{U___31_d="3",_c="2",U__a_3a_b="1",exported_c="4"} 1.0"#,
      .allowUTF8: #"f{"1d"="3",_c="2","a:b"="1",exported_c="4"} 1.0"#,
    ]
    for (escaping, line) in written {
      #expect(text(fixture, .text100, escaping) == "# TYPE f gauge\n" + line)
    }
  }

  @Test func `a name with a 0 stays plain, so that the page stays readable`() throws {
    let fixture = try Fixture()
    fixture.registry.spellings.isOn = true
    fixture.apply("a\0b", "g", 1, tags: "k\0l:v")
    #expect(
      text(fixture, .text100, .allowUTF8) == """
        # TYPE a_b gauge
        a_b{k_l="v"} 1.0
        """)
  }

  @Test func `without the setting names are plain, whatever is asked for`() throws {
    let fixture = try filled(isOn: false)
    for format in ExpositionFormat.allCases {
      #expect(page(fixture, format, .allowUTF8) == page(fixture, format, nil))
      #expect(page(fixture, format, .values) == page(fixture, format, nil))
    }
    #expect(text(fixture, .text004, .allowUTF8).contains("http_requests_total{b="))
  }

  @Test(arguments: ExpositionFormat.allCases)
  func `who does not ask gets plain names, and slices make no difference`(
    _ format: ExpositionFormat
  ) throws {
    let (on, off) = (try filled(), try filled(isOn: false))
    func without(_ page: [UInt8]) -> [String] {
      String(decoding: page, as: UTF8.self).split(separator: "\n").map(String.init)
        .filter { !$0.contains("_created") }
    }
    if format != .protobuf {
      #expect(without(page(on, format, nil)) == without(page(off, format, .underscores)))
    }
    for escaping in Escaping.allCases {
      #expect(page(on, format, escaping, slice: 1) == page(on, format, escaping))
    }
  }

  @Test(arguments: ExpositionFormat.allCases, [Escaping.dots, .values, .allowUTF8])
  func `a family of many slices is the family written at once, in gzip too`(
    _ format: ExpositionFormat, _ escaping: Escaping
  ) throws {
    let fixture = try filled()
    for n in 0..<5000 { fixture.apply("http.requests", "c", 1, tags: "http.path:/\(n),b:\(n % 3)") }
    let whole = page(fixture, format, escaping)
    for isGzip in [false, true] {
      let shape = ExpositionShape(format: format, escaping: escaping)
      let page = try fixture.scraped(shape, isGzip: isGzip)
      #expect(page.slices > 3)
      #expect(page.bytes.elementsEqual(whole), "\(page.bytes.count) of \(whole.count)")
    }
  }

  @Test func `protobuf has a unit where the name as it is written ends with it`() throws {
    let fixture = try filled()
    let text = { (escaping: Escaping?) in
      String(decoding: self.page(fixture, .protobuf, escaping), as: UTF8.self)
    }
    #expect(text(.allowUTF8).contains("wait.seconds"))
    #expect(text(.values).contains("U__wait_2e_seconds"))
    #expect(text(.dots).contains("wait_dot_seconds"))
    let unit = "*\u{7}seconds"
    #expect(text(nil).contains(unit))
    #expect(text(.dots).contains(unit) && !text(.allowUTF8).contains(unit))
  }

  @Test func `protobuf has the names in their fields`() throws {
    let fixture = try Fixture()
    fixture.registry.spellings.isOn = true
    fixture.apply("g.x", "g", 2, tags: "k.l:v")
    #expect(
      page(fixture, .protobuf, .allowUTF8)
        == [0x9e, 0x80, 0x80, 0x80, 0x00]  // 30 bytes follow
        + [0x0a, 3, 0x67, 0x2e, 0x78]  // name "g.x"
        + [0x18, 1]  // GAUGE
        + [0x22, 21]  // metric
        + [0x0a, 8, 0x0a, 3, 0x6b, 0x2e, 0x6c, 0x12, 1, 0x76]  // label "k.l": "v"
        + [0x12, 9, 0x09, 0, 0, 0, 0, 0, 0, 0, 0x40])
  }

  @Test func `the first spelling stays, and a restart keeps it`() throws {
    let fixture = try filled()
    fixture.apply("http-requests", "c", 1, tags: "http-path:/a,b:\"x")
    let before = text(fixture, .text100, .allowUTF8)
    #expect(before.contains(#"{"http.requests_total",b="\"x","http.path"="/a"} 5.0"#))
    fixture.registry.commit()
    try fixture.reopen()
    fixture.registry.spellings.isOn = true
    #expect(text(fixture, .text100, .allowUTF8) == before)
    fixture.registry.spellings.isOn = false
    #expect(!text(fixture, .text100, .allowUTF8).contains("http.requests"))
  }

  @Test func `what is no UTF-8 has no spelling`() throws {
    let fixture = try Fixture()
    fixture.registry.spellings.isOn = true
    let processor = LineProcessor(registry: fixture.registry, limits: Limits())
    let line: [UInt8] = [0x61, 0xff, 0x62] + Array(":1|c".utf8)
    processor.lines(line.span.bytes, from: 0, .statsd)
    #expect(text(fixture, .text100, .allowUTF8).contains("\na_b_total 1.0"))
  }

  @Test func `a family is found by either name`() {
    let query = Array("name[]=http.requests_total".utf8)
    #expect(NameFilter(query: query.span.bytes).includes(Array("http_requests_total".utf8)))
  }
}
