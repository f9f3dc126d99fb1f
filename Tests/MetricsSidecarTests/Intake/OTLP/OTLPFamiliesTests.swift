import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct OTLPFamiliesTests {
  private let series = #"jobs_total{queue="mail"}"#

  // MARK: Gauges and levels

  @Test func `a level is the sum over its live workers`() throws {
    let otlp = try OTLPFixture()
    otlp.fixture.registry.testTime = 1_000_000
    func level(_ value: Double, _ worker: String) -> Export {
      var export = Export.sum(value, worker: worker)
      export.isMonotonic = false
      export.name = "active"
      return export
    }
    otlp.take(level(3, "a"))
    otlp.take(level(4, "b"))
    #expect(otlp.value(#"active{queue="mail"}"#) == 7)
    otlp.take(level(0, "a"))
    #expect(otlp.value(#"active{queue="mail"}"#) == 4)
    otlp.fixture.registry.testTime = 1_000_000 + 290_000
    otlp.take(level(1, "a"))
    otlp.fixture.registry.testTime = 1_000_000 + 310_000
    #expect(otlp.value(#"active{queue="mail"}"#) == 1)
  }

  @Test func `what all workers see is shown once`() throws {
    let otlp = try OTLPFixture()
    for (worker, value) in [("a", 10.0), ("b", 12), ("a", 11)] {
      var export = Export.sum(value, worker: worker)
      export.name = "system.cpu.time"
      export.unit = "s"
      otlp.take(export)
    }
    #expect(otlp.value(#"system_cpu_time_seconds_total{queue="mail"}"#) == 12)
  }

  @Test func `a gauge is what came last, a delta of a level moves it`() throws {
    let otlp = try OTLPFixture()
    var export = Export()
    export.name = "temperature"
    export.type = 5
    export.unit = "Cel"
    for value in [20.5, 21] {
      export.points = [Export.number(value)]
      otlp.take(export)
    }
    #expect(otlp.value("temperature_celsius") == 21)
    export = Export()
    export.name = "depth"
    export.isMonotonic = false
    export.temporality = 1
    for (index, value) in [3.0, -1].enumerated() {
      export.points = [Export.number(value, time: UInt64(index + 1))]
      otlp.take(export)
    }
    #expect(otlp.value("depth") == 2)
  }

  // MARK: Histograms

  private func histogram(
    _ counts: [UInt64], sum: Double? = nil, time: UInt64 = 10, worker: String = "a",
    bounds: [Double] = [0.1, 1], delta: Bool = false
  ) -> Export {
    var export = Export()
    export.resource[1].1 = worker
    export.name = "wait"
    export.unit = "s"
    export.type = 9
    export.temporality = delta ? 1 : 2
    export.points = [
      Export.histogram(
        counts, bounds, sum: sum, start: worker == "a" ? 1 : 2, time: time, [("r", "x")])
    ]
    return export
  }

  @Test func `histograms of workers add up, bucket by bucket`() throws {
    let otlp = try OTLPFixture()
    otlp.take(histogram([1, 2, 0], sum: 1.5))
    otlp.take(histogram([1, 2, 0], sum: 1.5))
    otlp.take(histogram([1, 3, 1], sum: 5, time: 11))
    otlp.take(histogram([1, 0, 0], sum: 0.0625, worker: "b"))
    try otlp.reopen()
    otlp.take(histogram([2, 0, 0], sum: 0.125, worker: "b", delta: true))
    #expect(otlp.value(#"wait_seconds_bucket{r="x",le="0.1"}"#) == 4)
    #expect(otlp.value(#"wait_seconds_bucket{r="x",le="1.0"}"#) == 7)
    #expect(otlp.value(#"wait_seconds_count{r="x"}"#) == 8)
    #expect(otlp.value(#"wait_seconds_sum{r="x"}"#) == 5.1875)
  }

  @Test func `a histogram starts again after a reset, and a late point adds nothing`() throws {
    let otlp = try OTLPFixture()
    otlp.take(histogram([5, 5, 5], sum: 50))
    otlp.take(histogram([4, 5, 5], sum: 49, time: 9))
    otlp.take(histogram([1, 0, 0], sum: 0.5, time: 11))
    otlp.take(histogram([1, 1, 0], sum: 1, time: 12))
    #expect(otlp.value(#"wait_seconds_count{r="x"}"#) == 17)
    #expect(otlp.value(#"wait_seconds_sum{r="x"}"#) == 51)
    otlp.take(histogram([1, 1, 1], sum: 3, time: 13))
    #expect(otlp.value(#"wait_seconds_count{r="x"}"#) == 18)
  }

  @Test func `other bounds are refused while the family has points`() throws {
    let otlp = try OTLPFixture()
    otlp.fixture.registry.testTime = 9_000_000_000_000
    otlp.take(histogram([1, 2, 0]))
    #expect(otlp.take(histogram([1, 2], worker: "b", bounds: [1])).contains("type or buckets"))
    #expect(otlp.value(#"wait_seconds_count{r="x"}"#) == 3)
    otlp.fixture.registry.testTime = 9_000_000_400_000
    #expect(otlp.take(histogram([1, 2], worker: "b", bounds: [1])) == "")
    #expect(otlp.value(#"wait_seconds_count{r="x"}"#) == 3)
    #expect(otlp.value(#"wait_seconds_bucket{r="x",le="1.0"}"#) == 1)
  }

  @Test func `numbers that do not belong together are refused`() throws {
    let otlp = try OTLPFixture()
    for (counts, bounds) in [
      ([UInt64(1), 2], [1.0, 2]), ([1, 2, 3], [2, 1]), ([1, 2, 3], [1, 1]), ([1, 2], [.infinity]),
      ([1, 2], [.nan]), ([], [1]),
      ([UInt64](repeating: 1, count: 302), (0..<301).map { Double($0) }),
    ] {
      #expect(otlp.take(histogram(counts, bounds: bounds)).contains("do not belong"))
    }
    #expect(otlp.take(histogram([3], bounds: [])) == "")
    #expect(otlp.value(#"wait_seconds_bucket{r="x",le="+Inf"}"#) == 3)
  }

  @Test func `an attribute le refuses a histogram's point`() throws {
    let otlp = try OTLPFixture()
    var export = histogram([1, 2, 0])
    export.points = [Export.histogram([1], [], [("le", "1")])]
    #expect(otlp.take(export).contains("le"))
    var counter = Export()
    counter.points = [Export.number(1, [("le", "1")])]
    #expect(otlp.take(counter) == "")
  }

  @Test func `exponential histograms become native ones`() throws {
    let otlp = try OTLPFixture()
    func export(
      _ scale: Int64, _ offset: Int64, _ counts: [UInt64], time: UInt64 = 10, zeros: UInt64 = 0
    ) -> Export {
      var export = Export()
      export.name = "size"
      export.type = 10
      export.points = [
        Export.exponential(scale: scale, offset: offset, counts, zeros: zeros, time: time)
      ]
      return export
    }
    #expect(otlp.take(export(3, 0, [1, 2, 3], zeros: 1)) == "")
    #expect(otlp.take(export(3, -1, [1, 1, 2, 3, 1], time: 11, zeros: 1)) == "")
    #expect(otlp.value("size_count") == 9)
    // The scale falls: the last point is merged first.
    #expect(otlp.take(export(2, -1, [2, 3, 5], time: 12, zeros: 1)) == "")
    #expect(otlp.value("size_count") == 11)
    try otlp.reopen()
    #expect(otlp.take(export(2, -1, [2, 3, 6], time: 13, zeros: 2)) == "")
    #expect(otlp.value("size_count") == 13)
    // Far more buckets than a record had room for.
    let many = [UInt64](repeating: 1, count: 200)
    #expect(
      otlp.take(export(2, -1, [2, 3, 6] + many, time: 14, zeros: 2)) == "")
    #expect(otlp.value("size_count") == 213)
    #expect(otlp.take(export(20, 5_000_000, [4], time: 15)) == "")
  }

  @Test(arguments: [
    (Int64(-5), Int64(0), 1), (2, 2_000_000_000, 1), (2, -2_000_000_000, 1), (65, 0, 1),
    (0, 0, 70_000),
  ])
  func `an exponential histogram beyond all numbers is refused`(
    _ scale: Int64, _ offset: Int64, _ count: Int
  ) throws {
    let otlp = try OTLPFixture()
    var export = Export()
    export.type = 10
    export.points = [
      Export.exponential(
        scale: scale, offset: offset, [UInt64](repeating: 1, count: count))
    ]
    #expect(otlp.take(export).contains("do not belong"))
  }

  @Test func `a summary is its quantiles, sum and count as seen last`() throws {
    let otlp = try OTLPFixture()
    var quantile = Message()
    quantile.double(1, 0.5)
    quantile.double(2, 3)
    var point = Message()
    point.fixed(3, 5)
    point.fixed(4, 7)
    point.double(5, 21)
    point.part(6, quantile.bytes)
    var export = Export()
    export.name = "wait"
    export.unit = "s"
    export.type = 11
    export.points = [point.bytes]
    #expect(otlp.take(export) == "")
    #expect(otlp.value(#"wait_seconds{quantile="0.5"}"#) == 3)
    #expect(otlp.value("wait_seconds_sum") == 21)
    #expect(otlp.value("wait_seconds_count") == 7)
    point.attributes(7, [("quantile", "1")])
    export.points = [point.bytes]
    #expect(otlp.take(export).contains("le or quantile"))
  }

  // MARK: Families and resources

  @Test func `a family of another type is refused by its name`() throws {
    let otlp = try OTLPFixture()
    otlp.fixture.apply("jobs_total", "g", 3)
    #expect(otlp.take(Export.sum(5)).contains("Its family has another type"))
    #expect(otlp.value("jobs_total") == 3)
    var export = Export()
    export.name = "a"
    export.points = [Export.number(1)]
    otlp.take(export)
    export.name = "a.total"
    export.isMonotonic = false
    #expect(otlp.take(export).contains("Its family has another type"))
  }

  @Test func `the last description is the help text`() throws {
    let otlp = try OTLPFixture()
    var export = Export.sum(1)
    for help in ["One | two\nthree\\", String(repeating: "é", count: 3000), "Jobs done"] {
      export.help = help
      #expect(otlp.take(export) == "")
    }
    #expect(otlp.page.contains("# HELP jobs_total Jobs done\n"))
  }

  @Test func `target_info is one for each service, the last seen`() throws {
    let otlp = try OTLPFixture()
    for (worker, version) in [("a", "1"), ("b", "1"), ("c", "2")] {
      var export = Export.sum(1, worker: worker)
      export.resource += [
        ("service.version", version), ("process.pid", worker), ("telemetry.sdk.name", "x"),
      ]
      otlp.take(export)
    }
    let lines = otlp.page.split(separator: "\n").filter { $0.hasPrefix("target_info{") }
    #expect(lines == [#"target_info{service_name="shop",service_version="2"} 1.0"#])
  }

  @Test func `resources that differ in each request make no known point a new one`() throws {
    let otlp = try OTLPFixture()
    let registry = otlp.fixture.registry!
    registry.testMonotonicTime = 1_000_000_000_000
    func send(_ number: Int) {
      otlp.take(Export.sum(Double(number), time: UInt64(number + 1)))
      var other = Export.sum(1, worker: "b", start: 5)
      other.resource.append(("random", "\(number)"))
      otlp.take(other)
    }
    send(1)
    let resolved = registry.resolvedLines
    for number in 2..<500 { send(number) }
    // The other one is new each time; the first one only as often as lines may be forgotten.
    #expect(registry.resolvedLines - resolved <= 498 + 101)
    #expect(otlp.page.split(separator: "\n").count { $0.hasPrefix("target_info{") } == 1)
    registry.testMonotonicTime! += 2_000_000_000
    send(500)
    #expect(otlp.page.contains(#"target_info{random="500",service_name="shop"} 1.0"#))
  }

  @Test func `target_info outlives --series-ttl`() throws {
    var limits = Limits()
    limits.seriesTimeToLive = 60_000_000_000
    let otlp = try OTLPFixture(limits: limits)
    let registry = otlp.fixture.registry!
    let start = Clock.monotonicNanoseconds
    for turn: UInt64 in 1..<100 {
      let now = start + turn * 10_000_000_000
      registry.testMonotonicTime = now
      otlp.take(Export.sum(Double(turn), time: turn + 1))
      if now >= registry.expiry.due { registry.expire(now: now) }
      registry.commit()
      registry.turnEnded(now: now, isRead: false)
    }
    #expect(otlp.page.contains(#"target_info{service_name="shop"} 1.0"#))
    #expect(otlp.value(series) == 99)
  }

  @Test func `chosen attributes of the resource and the scope are labels`() throws {
    var settings = OTLPSettings()
    settings.resourceLabels = [Array("service.name".utf8)]
    settings.hasScopeLabels = true
    let otlp = try OTLPFixture(settings: settings)
    otlp.take(Export.sum(1))
    #expect(
      otlp.value(#"jobs_total{otel_scope_name="m",queue="mail",service_name="shop"}"#) == 1)
  }

  @Test func `keys that meet are one label`() throws {
    let otlp = try OTLPFixture()
    var export = Export()
    export.points = [
      Export.number(1, [("a_b", "3"), ("a.b", "1"), ("a/b", "2"), ("a.b", "0"), ("empty", "")])
    ]
    otlp.take(export)
    #expect(otlp.value(#"jobs_total{a_b="1;2;3"}"#) == 1)
  }

  @Test func `rules see a metric as an event`() throws {
    let rules = """
      {"families": [
        {"name": "mail_total", "type": "counter", "labels": ["queue"],
         "events": [{"event": "jobs", "when": {"queue": "mail"}}]},
        {"name": "waiting", "type": "histogram", "buckets": [1], "labels": [],
         "events": [{"event": "wait"}]}]}
      """
    let otlp = try OTLPFixture(rules: rules)
    otlp.take(Export.sum(5))
    #expect(otlp.value(#"mail_total{queue="mail"}"#) == 5)
    #expect(otlp.value(series) == nil)
    otlp.take(histogram([1, 2, 3], sum: 9))
    #expect(otlp.value(#"waiting_bucket{le="1.0"}"#) == 3)
    #expect(otlp.value("waiting_count") == 6)
    #expect(otlp.take(histogram([1, 2], worker: "b", bounds: [2])).contains("type or buckets"))
  }

  @Test func `a rule turns a histogram native`() throws {
    let otlp = try OTLPFixture(
      rules: """
        {"families": [{"name": "waiting", "type": "histogram", "native": true, "labels": [],
         "events": [{"event": "wait"}]}]}
        """)
    otlp.take(histogram([1, 2, 3], sum: 9))
    otlp.take(histogram([1, 2, 4], sum: 12, time: 11))
    #expect(otlp.value("waiting_count") == 7)
    #expect(otlp.value("waiting_sum") == 12)
  }
}
