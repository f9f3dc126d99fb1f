import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Requests that take several turns. Here a turn is 16 points.
@Suite struct OTLPTurnsTests {
  private static let count = 1000

  /// A long request: as many points of one metric, each of a series of its own.
  private func long(
    _ type: UInt64 = 7, name: String = "jobs", start: UInt64 = 1, time: UInt64 = 10,
    delta: Bool = false, isMonotonic: Bool = true, value: Double = 1
  ) -> [UInt8] {
    var export = Export()
    export.type = type
    export.name = name
    export.temporality = delta ? 1 : 2
    export.isMonotonic = isMonotonic
    for number in 0..<Self.count {
      let attributes = [("number", "\(number)"), ("filler", String(repeating: "x", count: 90))]
      export.points.append(
        type == 9
          ? Export.histogram([1, 2], [5], sum: 7, start: start, time: time, attributes)
          : Export.number(value, start: start, time: time, attributes))
    }
    return export.bytes
  }

  private func take(_ otlp: OTLPFixture, _ bytes: [UInt8]) -> OTLPAnswer {
    otlp.intake.take(bytes.span.bytes, isJSON: false, .plain)
  }

  /// The sum of a metric's lines.
  private func sum(_ otlp: OTLPFixture, _ name: String) -> Double {
    var sum = 0.0
    for line in otlp.page.split(separator: "\n") where line.hasPrefix(name + "{") {
      sum += Double(line.split(separator: " ").last ?? "") ?? .nan
    }
    return sum
  }

  @Test(arguments: [true, false])
  func `a long request counts at once, in its last turn`(_ isDelta: Bool) throws {
    let otlp = try OTLPFixture()
    guard case .later = take(otlp, long(delta: isDelta)) else {
      Issue.record("it was applied in one turn")
      return
    }
    var turns = 0
    var answer: OTLPAnswer?
    while answer == nil {
      answer = otlp.intake.goOn(until: 0, mayBegin: true)?.answer
      turns += 1
      if otlp.intake.isHalfApplied { continue }
      // Others count meanwhile.
      if answer == nil {
        #expect(otlp.take(Export.sum(1, time: UInt64(turns), delta: true)) == "")
        if turns == 120 { #expect(sum(otlp, "jobs_total") == Double(turns)) }
      }
      otlp.fixture.registry.commit()
    }
    #expect(turns > 180)
    #expect(otlp.words(answer!) == "")
    let filler = String(repeating: "x", count: 90)
    #expect(otlp.value(#"jobs_total{filler="\#(filler)",number="7"}"#) == 1)
    #expect(otlp.intake.isBusy == false)
    // All of it is known now: one turn.
    #expect(otlp.intake.counts.applied > 1)
  }

  /// A killed worker's client sends the same again. Each kind of point counts once.
  @Test(arguments: [0, 1, 62, 63, 64, 100, 125, 126, 150, 187, 188])
  func `a worker is killed after any turn, and the request comes again`(_ turns: Int) throws {
    let otlp = try OTLPFixture(rules: "{}")
    for (type, isDelta, isMonotonic) in [
      (UInt64(7), true, true), (7, false, true), (7, true, false), (9, true, true),
      (9, false, true),
    ] {
      let name = "m\(type)\(isDelta)\(isMonotonic)"
      let bytes = long(type, name: name, delta: isDelta, isMonotonic: isMonotonic)
      _ = take(otlp, bytes)
      for _ in 0..<turns {
        let done = otlp.intake.goOn(until: 0, mayBegin: true)
        if !otlp.intake.isHalfApplied { otlp.fixture.registry.commit() }
        if done != nil { break }
      }
      try otlp.reopen()
      let series = type == 9 ? name + "_count" : isMonotonic ? name + "_total" : name
      let whole = Double(type == 9 ? 3 * Self.count : Self.count)
      #expect([0, whole].contains(sum(otlp, series)))
      for _ in 0..<2 {
        #expect(otlp.take(bytes) == "")
        #expect(sum(otlp, series) == whole)
      }
    }
  }

  @Test func `bases and forked workers are counted the same over a kill`() throws {
    for isKilled in [false, true] {
      let otlp = try OTLPFixture()
      for (start, value) in [(UInt64(0), 100.0), (7, 20)] {
        let first = long(start: start, time: 8, value: value)
        _ = take(otlp, first)
        for _ in 0..<100 { _ = otlp.intake.goOn(until: 0, mayBegin: true) }
        otlp.fixture.registry.commit()
        if isKilled { try otlp.reopen() }
        if isKilled { otlp.take(first) } else { _ = otlp.turn() }
        otlp.take(long(start: start, time: 9, value: value + 1))
      }
      // The base of start time 0 counts 1; the other one all of its 21.
      #expect(sum(otlp, "jobs_total") == Double(22 * Self.count))
    }
  }

  @Test func `a long request with a bad point at its end leaves nothing`() throws {
    let otlp = try OTLPFixture()
    var export = Export()
    for number in 0..<Self.count {
      export.points.append(
        Export.number(1, [("k", "\(number)"), ("f", String(repeating: "x", count: 60))]))
    }
    // An attribute that is a number where a message is due.
    export.points[Self.count - 1] += [0x3a, 2, 0x10, 1]
    #expect(otlp.take(export.bytes).hasPrefix("400"))
    #expect(!otlp.page.contains("jobs"))
  }

  @Test func `long requests wait for each other, and one that comes twice counts once`() throws {
    let otlp = try OTLPFixture()
    let bytes = long(delta: true)
    for _ in 0..<2 { _ = take(otlp, bytes) }
    _ = take(otlp, long(name: "others"))
    #expect(otlp.take(Export.sum(1, delta: true)) == "")
    var answers: [String] = []
    while let answer = otlp.turn() { answers.append(otlp.words(answer)) }
    #expect(answers == ["", "", ""])
    #expect(sum(otlp, "jobs_total") == Double(Self.count + 1))
    #expect(sum(otlp, "others_total") == Double(Self.count))
    #expect(otlp.intake.counts.repeated == 1)
    // As many as one may bring wait; then there is no room.
    for _ in 0..<100 { _ = take(otlp, long(name: "more")) }
    #expect(otlp.words(take(otlp, long(name: "more"))).hasPrefix("503"))
    #expect(otlp.intake.waitingByteCount <= otlp.settings.byteCount)
  }

  @Test func `series that are removed meanwhile are made again`() throws {
    let otlp = try OTLPFixture()
    let registry = try #require(otlp.fixture.registry)
    _ = take(otlp, long())
    for _ in 0..<100 { _ = otlp.intake.goOn(until: 0, mayBegin: true) }
    registry.commit()
    let family = try #require(registry.familyIndex[Array("jobs_total".utf8)])
    #expect(registry.families[family].series.count > 100)
    registry.forgetSeries(registry.families[family])
    registry.forgetLines()
    registry.commit()
    registry.turnEnded(now: 1, isRead: false)
    #expect(otlp.turn().map { otlp.words($0) } == "")
    #expect(sum(otlp, "jobs_total") == Double(Self.count))
  }

  @Test func `while something is half applied a request waits`() throws {
    let otlp = try OTLPFixture()
    otlp.intake.mustWait = true
    guard case .later = take(otlp, Export.sum(5, delta: true).bytes) else {
      Issue.record("it was answered before its commit")
      return
    }
    #expect(otlp.value(#"jobs_total{queue="mail"}"#) == nil)
    otlp.intake.mustWait = false
    #expect(otlp.turn().map { otlp.words($0) } == "")
    #expect(otlp.value(#"jobs_total{queue="mail"}"#) == 5)
  }

  @Test func `many services have each a target_info, and a change replaces one`() throws {
    let otlp = try OTLPFixture()
    for round in 0..<2 {
      for number in 0..<50 {
        var export = Export.sum(1, worker: "\(number)", time: UInt64(20 + round), delta: true)
        export.resource[0].1 = "s\"\(number)"
        export.resource.append(("version", number == 7 ? "\(round)" : "1"))
        otlp.take(export)
      }
      try otlp.reopen()
    }
    #expect(otlp.page.split(separator: "\n").count { $0.hasPrefix("target_info{") } == 50)
    #expect(otlp.value(#"target_info{service_name="s\"7",version="1"}"#) == 1)
    #expect(otlp.value(#"target_info{service_name="s\"7",version="0"}"#) == nil)
  }
}
