import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Points that are read in short, and the report of points that count in part.
@Suite struct OTLPPointsTests {
  private let series = #"jobs_total{queue="mail"}"#

  private func export(_ point: [UInt8], delta: Bool = false, name: String = "jobs") -> Export {
    var export = Export()
    export.name = name
    export.temporality = delta ? 1 : 2
    export.points = [point]
    return export
  }

  // MARK: Known points

  @Test(arguments: [false, true])
  func `a point is the same in whatever order its fields are`(_ isDelta: Bool) throws {
    let otlp = try OTLPFixture()
    for round in UInt64(1)...6 {
      let usual = Export.number(
        isDelta ? 1 : Double(round), start: 3, time: 10 + round, [("queue", "mail")])
      // The attributes first.
      let other = Array(usual[27...] + usual[..<27])
      #expect(otlp.take(export(round % 2 == 0 ? other : usual, delta: isDelta)) == "")
      #expect(otlp.value(series) == Double(round))
    }
    #expect(otlp.intake.streams.count == (isDelta ? 0 : 1))
  }

  @Test func `a known point with something more is read whole`() throws {
    let otlp = try OTLPFixture()
    let known = Export.number(5, time: 10, [("queue", "mail")])
    for _ in 0..<2 { #expect(otlp.take(export(known, delta: true)) == "") }
    let more = Export.number(7, time: 11, [("queue", "mail")])
    // Without a value; cut; with a field that has another type; with one more attribute.
    #expect(otlp.take(export(more + [0x40, 1], delta: true)) == "")
    #expect(otlp.value(series) == 5)
    #expect(otlp.take(export(more + [0x3a], delta: true)).hasPrefix("400"))
    #expect(otlp.take(export(more + [0x38, 1], delta: true)).hasPrefix("400"))
    #expect(otlp.take(export(more + [0x3a, 3, 0x0a, 1, 0x61], delta: true)) == "")
    #expect(otlp.value(series) == 12)
    #expect(otlp.take(export(Export.number(-1, time: 12, [("queue", "mail")]))).contains("1 "))
  }

  @Test func `what a resource shows comes with known points, too`() throws {
    let otlp = try OTLPFixture()
    otlp.take(Export.sum(1, delta: true))
    var export = Export.sum(1, time: 11, delta: true)
    export.resource.append(("version", "2"))
    otlp.take(export)
    #expect(otlp.value(#"target_info{service_name="shop",version="2"}"#) == 1)
    #expect(otlp.value(series) == 2)
  }

  @Test func `keys whose words repeat have hashes of their own`() {
    let key = HashKey(start: 0x0123_4567_89ab_cdef, factor: 0xfedc_ba98_7654_3211)
    var hashes: Set<UInt32> = []
    for number in UInt8(0)..<200 {
      for count in [8, 9, 15, 16, 17, 32, 33, 47, 48] {
        let tags = [UInt8](repeating: number, count: count)
        LineKey.withKey(key, name: (1, 2), type: 0x81, longTags: tags.span.bytes) {
          _ = hashes.insert($0.hash)
        }
      }
    }
    #expect(hashes.count > 1790)
  }

  // MARK: Points that count in part

  @Test func `a series beyond the limit is shown with the metric's name`() throws {
    var limits = Limits()
    limits.series = 1
    let otlp = try OTLPFixture(limits: limits)
    otlp.take(Export.sum(5, delta: true))
    var other = Export.sum(6, delta: true)
    other.name = "more"
    #expect(otlp.take(other) == "")
    #expect(otlp.value(#"more_total{overflow="true"}"#) == 6)
    #expect(otlp.rejected(.overflow) == 1)
    var told: [String] = []
    otlp.intake.processor.refusals.forEach { entry, line in
      told.append("\(entry.reason) \(String(decoding: SeriesKey.array(line), as: UTF8.self))")
    }
    #expect(told == ["overflow more"])
  }

  @Test func `a value that a rule's scale makes too large is shown`() throws {
    let otlp = try OTLPFixture(
      rules: """
        {"families": [{"name": "big_total", "type": "counter",
          "events": [{"event": "jobs", "scale": 1e300}]}]}
        """)
    #expect(otlp.take(Export.sum(1e10, delta: true)) == "")
    var told: [String] = []
    otlp.intake.processor.refusals.forEach { entry, line in
      told.append("\(entry.reason) \(String(decoding: SeriesKey.array(line), as: UTF8.self))")
    }
    #expect(told == ["value_out_of_range jobs"])
  }

  // MARK: Zero buckets

  private func exponential(_ counts: [UInt64], _ zeros: UInt64, threshold: Double) -> [UInt8] {
    var point = Message()
    point.double(14, threshold)
    return Export.exponential(scale: 0, offset: -3, counts, zeros: zeros) + point.bytes
  }

  private func read(_ bytes: [UInt8]) -> OTLPExponential? {
    var found = OTLPExponential()
    let isRead = bytes.withUnsafeBytes { found.read(WireCursor($0)) }
    return isRead ? found : nil
  }

  @Test func `buckets within a point's zero bucket are counted there`() throws {
    // The buckets end at 1/4, 1/2, 1 and 2.
    let narrow = try #require(read(exponential([1, 2, 3, 4], 5, threshold: 0.1)))
    #expect(narrow.zeros == 5)
    var wide = try #require(read(exponential([1, 3, 3, 5], 5, threshold: 0.5)))
    #expect(wide.zeros == 9)
    // It became wider between two points.
    let isAbove = wide.subtract(narrow)
    #expect(isAbove)
    #expect(wide.zeros == 1)
    #expect(wide.count == 2)
    #expect(read(exponential([1], 0, threshold: .infinity)) == nil)
    #expect(read(exponential([1], 0, threshold: -1)) == nil)
    #expect(read(exponential([1], 0, threshold: .nan)) == nil)
  }
}
