import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct DistributionTests {
  private static let rules = """
    {"families": [
      {"name": "h", "type": "histogram", "buckets": [0.5, 1, 4], "events": [{"event": "x"}]},
      {"name": "n", "type": "histogram", "native": true, "bucket_factor": 1.1,
       "zero_threshold": 0.001, "buckets": [1], "events": [{"event": "x"}]},
      {"name": "s", "type": "summary", "events": [{"event": "x"}]},
      {"name": "c", "type": "counter", "events": [{"event": "x"}]}]}
    """

  /// Adds `samples` to what the event `x` feeds.
  private func add(_ samples: Distribution, to fixture: Fixture) -> Registry.Rejection? {
    let name = Array("x".utf8)
    let none: [UInt8] = []
    let event = Event(
      name: name.span.bytes, .histogram, tags: none.span.bytes, .lines, EventValue(number: 0))
    let feed = fixture.registry.feed(of: event) { EventDescription(line: $0, .all) }
    return fixture.registry.add(samples, to: feed)
  }

  private func fixture(_ rules: String = rules) throws -> Fixture {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    return fixture
  }

  /// The cells of a family's only series, in an order that does not depend on how they were filled.
  private func cells(_ fixture: Fixture, _ name: String) throws -> [UInt64] {
    let family = try #require(
      fixture.registry.families.first { $0.name == Array(name.utf8) })
    let record = try #require(family.series.first)
    return (1..<family.cellCount).map { fixture.registry.state.value(record.headCell + $0) }
      .sorted()
  }

  @Test func `fixed buckets count as their samples would`() throws {
    let (one, other) = (try fixture(), try fixture())
    for value in [0.25, 0.5, 0.75, 3, 3, 100] { one.apply("x", "h", value) }
    let (bounds, counts): ([Double], [UInt64]) = ([0.25, 0.5, 1, 2, 4], [1, 1, 1, 0, 2, 1])
    #expect(
      add(Distribution(sum: 107.5, bounds: bounds.span, counts: counts.span), to: other) == nil)
    #expect(try cells(one, "h") == cells(other, "h"))
    for series in ["c", "s_sum", "s_count", "n_sum", "n_count", #"n_bucket{le="1.0"}"#] {
      #expect(one.value(series) == other.value(series), "\(series) \(other.page)")
    }
  }

  @Test func `other fixed buckets than a family has are refused, the other families count`() throws
  {
    let fixture = try fixture()
    let (bounds, counts): ([Double], [UInt64]) = ([0.5, 2, 4], [1, 1, 1, 1])
    let samples = Distribution(sum: 9, bounds: bounds.span, counts: counts.span)
    #expect(add(samples, to: fixture) == nil)
    #expect(fixture.value("h_count") == 0 && fixture.value("s_count") == 4)
    let alone = try self.fixture(
      #"{"families": [{"name": "h", "type": "histogram", "events": [{"event": "x"}]}]}"#)
    #expect(add(samples, to: alone) == .declarationConflict)
  }

  @Test func `a sum below 0 takes no counter down`() throws {
    let fixture = try fixture()
    let (bounds, counts): ([Double], [UInt64]) = ([0.5, 1, 4], [1, 0, 0, 0])
    #expect(
      add(Distribution(sum: -3, bounds: bounds.span, counts: counts.span), to: fixture) == nil)
    #expect(fixture.value("c") == 0 && fixture.value("h_sum") == -3)
    #expect(fixture.registry.refusedValues == 1)
  }

  @Test(arguments: [-2, 0, 2, 3, 5, 8])
  func `exponential buckets count as their samples would, whatever their schema`(
    _ schema: Int
  ) throws {
    var dice = Dice(UInt64(schema + 9))
    let (one, other) = (try fixture(), try fixture())
    var (above, below) = ([UInt64](repeating: 0, count: 6000), [UInt64](repeating: 0, count: 6000))
    let first = -3000
    var form = Distribution.Exponential(schema: schema)
    form.firstIndex = first
    form.firstNegativeIndex = first
    var sum = 0.0
    for _ in 0..<400 {
      // Powers of two and their like lie on bounds of every schema that is as fine.
      let magnitude = dice.below(9) == 0 ? 1.0 : 0.25 + Double(dice.below(4000)) / 500
      let isNegative = dice.below(5) == 0
      let value = dice.below(20) == 0 ? 0 : isNegative ? -magnitude : magnitude
      sum += value
      one.apply("x", "h", value)
      if value == 0 {
        form.zeros += 1
      } else {
        let index = ExponentialScale.index(of: magnitude, schema: schema) - first
        if isNegative { below[index] += 1 } else { above[index] += 1 }
      }
    }
    let samples = Distribution(
      sum: sum, form, counts: above.span, negativeCounts: below.span)
    #expect(add(samples, to: other) == nil)
    for series in ["n_count", "s_count", "h_count"] {
      #expect(one.value(series) == 400 && other.value(series) == 400, "\(series)")
    }
    guard schema >= 3 else { return }
    // The family's own schema is 3, which holds them all.
    #expect(try cells(one, "n").dropFirst() == cells(other, "n").dropFirst())
  }

  @Test func `a finer table becomes as coarse as the buckets that come`() throws {
    let fixture = try fixture()
    for value in 1...50 { fixture.apply("x", "h", Double(value)) }
    let counts: [UInt64] = [7, 0, 1]
    let none: [UInt64] = []
    var form = Distribution.Exponential(schema: -1)
    form.firstIndex = 1
    let samples = Distribution(
      sum: 40, form, counts: counts.span, negativeCounts: none.span)
    #expect(add(samples, to: fixture) == nil)
    let registry = fixture.registry!
    let family = try #require(registry.families.first { $0.name == Array("n".utf8) })
    let control = family.series[0].headCell + NativeHistogramCells.control
    #expect(BucketTable.schema(registry.state.value(control)) == -1)
    let words = (1...NativeHistogramCells.capacity(family.options)).map {
      registry.state.value(control + $0)
    }.filter { $0 != 0 }
    #expect(words.reduce(0) { $0 + ($1 & BucketTable.countLimit) } == 58)
    #expect(fixture.value("n_count") == 58)
  }
}
