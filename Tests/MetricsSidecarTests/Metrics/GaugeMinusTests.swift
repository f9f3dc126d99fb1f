import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct GaugeMinusTests {
  /// The gauge after it was 10 and `lines` have come.
  private func level(
    _ lines: String, isStatsD: Bool, minus: GaugeMinus = .auto, rule: String = "",
    merge: String = ""
  ) throws -> Double? {
    let fixture = try Fixture(
      rules: """
        {"families": [
          {"name": "level", "type": "gauge"\(rule)\(merge), "events": [{"event": "level"}]}]}
        """)
    let processor = LineProcessor(registry: fixture.registry, limits: Limits())
    processor.gaugeMinus = minus
    processor.begin(isStatsD: isStatsD)
    let bytes = Array(("level:10|g\n" + lines).utf8)
    processor.lines(bytes.span.bytes, from: 0, .events)
    return fixture.value("level")
  }

  @Test(arguments: ["", #", "merge": "sum""#])
  func `a minus is a step to StatsD's clients and a value to DogStatsD's`(_ merge: String) throws {
    let lines = "level:-5|g\nlevel:-5|g\nlevel:-5|g"
    #expect(try level(lines, isStatsD: true, merge: merge) == -5)
    #expect(try level(lines + "\nlevel:-6|g", isStatsD: false, merge: merge) == -6)
    // Several values in one line, and the smallest of minuses.
    #expect(try level("level:-1:-2|g", isStatsD: true, merge: merge) == 7)
    #expect(try level("level:-1:-2|g", isStatsD: false, merge: merge) == -2)
    #expect(try level("level:-0|g", isStatsD: true, merge: merge) == 10)
    #expect(try level("level:-0|g", isStatsD: false, merge: merge) == 0)
  }

  @Test func `a plus is always a step`() throws {
    for isStatsD in [false, true] {
      for minus in [GaugeMinus.auto, .step, .value] {
        #expect(try level("level:+5|g", isStatsD: isStatsD, minus: minus) == 15)
      }
    }
    #expect(try level("level:+5|g", isStatsD: false, rule: #", "minus": "value""#) == 15)
  }

  @Test(arguments: [
    (GaugeMinus.step, "", 7.0), (.value, "", -3), (.step, #", "minus": "value""#, -3),
    (.value, #", "minus": "step""#, 7), (.auto, #", "minus": "step""#, 7),
    (.auto, #", "minus": "value""#, -3),
  ])
  func `the flag decides for every way in, and a rule against the flag`(
    _ flag: GaugeMinus, _ rule: String, _ value: Double
  ) throws {
    for isStatsD in [false, true] {
      #expect(try level("level:-3|g", isStatsD: isStatsD, minus: flag, rule: rule) == value)
    }
  }

  @Test func `a value below 0 may be any number, a step has to leave a sum finite`() throws {
    #expect(try level("level:-1e150|g", isStatsD: false) == -1e150)
    #expect(try level("level:-inf|g", isStatsD: false) == -.infinity)
    #expect(try level("level:-inf|g", isStatsD: true) == 10)
    #expect(try level("level:-1e250|g", isStatsD: true) == 10)
  }

  @Test func `the member is for gauges`() {
    for (type, minus) in [("counter", "step"), ("gauge", "auto"), ("gauge", "down")] {
      let rules = #"{"families": [{"name": "a", "type": "\#(type)", "minus": "\#(minus)"}]}"#
      #expect(throws: (any Error).self) { try RuleFile.parse(Array(rules.utf8)) }
    }
  }
}
