import SidecarEvents
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// What is kept of lines that were refused, and which lines count as likely mistakes.
struct RefusalsTests {
  private func note(_ refusals: Refusals, _ line: String) {
    let bytes = Array(line.utf8)
    refusals.note("unknown_type", "statsd", bytes.span.bytes)
  }

  private func lines(_ refusals: Refusals) -> [String] {
    var lines: [String] = []
    refusals.forEach { _, line in
      lines.append(String(decoding: SeriesKey.array(line), as: UTF8.self))
    }
    return lines
  }

  @Test func `the last hundred lines are kept, the newest first`() {
    let refusals = Refusals()
    for number in 0..<250 { note(refusals, "bad\(number):1|x") }
    #expect(lines(refusals) == (150..<250).reversed().map { "bad\($0):1|x" })
    #expect(refusals.count == 250)
  }

  @Test func `a line that comes in a row is one, and another reason is another`() {
    let refusals = Refusals()
    for _ in 0..<5 { note(refusals, "bad:1|x") }
    let bytes = Array("bad:1|x".utf8)
    refusals.note("no_type", "statsd", bytes.span.bytes)
    #expect(lines(refusals) == ["bad:1|x", "bad:1|x"])
    var repeats: [UInt64] = []
    refusals.forEach { entry, _ in repeats.append(entry.repeats) }
    #expect(repeats == [1, 5])
  }

  @Test func `256 bytes of a line are kept, and two that differ later are two`() {
    let refusals = Refusals()
    note(refusals, String(repeating: "a", count: 256))
    note(refusals, String(repeating: "a", count: 257))
    #expect(lines(refusals).map(\.utf8.count) == [256, 256])
  }

  @Test func `each reason of a line has words that say what to do`() throws {
    let processor = LineProcessor(registry: try Fixture().registry, limits: Limits())
    processor.eachRefusal { reason, _ in
      #expect(RefusalWords.words(reason).utf8CodeUnitCount > 20, "\(reason)")
    }
    processor.eachSuspicion { reason, _ in
      #expect(RefusalWords.words(reason).utf8CodeUnitCount > 20, "\(reason)")
    }
  }

  /// Reasons and lines that are kept after these lines, the oldest first.
  private func kept(
    _ lines: [String], rules: String = "{}", _ limits: Limits = Limits()
  ) throws -> [String] {
    let processor = LineProcessor(
      registry: try Fixture(rules: rules, limits: limits).registry, limits: limits)
    for line in lines {
      let bytes = Array(line.utf8)
      processor.lines(bytes.span.bytes, from: 0, .udp)
    }
    var found: [String] = []
    processor.refusals.forEach { entry, line in
      let text = String(decoding: SeriesKey.array(line), as: UTF8.self)
      found.insert("\(entry.reason) \(entry.socket) \(text) \(entry.repeats)", at: 0)
    }
    return found
  }

  @Test func `a line whose value, client or exemplar is lost is kept, new or known`() throws {
    let rules = #"""
      {"families": [
        {"name": "a_total", "type": "counter", "exemplar": "trace", "events": [{"event": "a"}]},
        {"name": "b_total", "type": "counter", "events": [{"event": "b", "scale": -1}]},
        {"name": "c", "type": "gauge", "merge": "sum", "client": "pid", "events": [{"event": "c"}]}
      ]}
      """#
    var limits = Limits()
    limits.gaugeClients = 1
    limits.exemplars = 0
    #expect(
      try kept(
        ["b:1|c", "b:1|c\nb:2|c", "a:1|c|#trace:1", "a:1|c", "c:1|g|#pid:1", "c:1|g|#pid:2"],
        rules: rules, limits) == [
          "value_out_of_range udp b:1|c 2", "value_out_of_range udp b:2|c 1",
          "exemplar_limit udp a:1|c|#trace:1 1", "client_limit udp c:1|g|#pid:2 1",
        ])
  }

  @Test func `a line that adds to the overflow is kept, and counts`() throws {
    var limits = Limits()
    limits.series = 1
    #expect(
      try kept(["a:1|c", "b:1|c", "b:1|c", "d:1:2|d", "a:1|c", "g:1|g"], limits) == [
        "overflow udp b:1|c 2", "overflow udp d:1:2|d 1", "series_limit udp g:1|g 1",
      ])
  }

  @Test(arguments: [
    ("a:1|c|kind:web", "tag_like_field"), ("a:1|c|kind=web", "tag_like_field"),
    ("a:1|c|country:de", "tag_like_field"), ("a:1|c|Team:x", "tag_like_field"),
    ("a:1|c|#kind=web", "equals_in_tag"), ("a:1|c|#x:y,kind=web:z", "equals_in_tag"),
    ("a;kind=web:1|c", "tags_in_name"), ("a{kind=\"web\"}:1|c", "tags_in_name"),
    ("a:1|c|#kind:a=b", ""), ("a:1|c|@0.5|c:ci-1|T1656581400", ""), ("a:1|c|e:x|card:low", ""),
    ("a,kind=web:1|c", ""), ("a#kind=web:1|c", ""), ("a[kind=web]:1|c", ""), ("a:1|c|z", ""),
    ("a:1|d|x:trace_id:1", ""), ("a:1|c|#", ""),
  ])
  func `a line that looks like a mistake counts, and is told`(_ line: String, _ reason: String)
    throws
  {
    let processor = LineProcessor(registry: try Fixture().registry, limits: Limits())
    let bytes = Array(line.utf8)
    processor.lines(bytes.span.bytes, from: 0, .statsd)
    var found: [String] = []
    processor.refusals.forEach { entry, _ in found.append(entry.reason.description) }
    #expect(found == (reason.isEmpty ? [] : [reason]))
    #expect(processor.counts.rejectedCount == 0)
    #expect(processor.counts.events(.statsd, line.contains("|d") ? 0x64 : 0x63) == 1)
  }

  @Test func `a known line is not looked at again`() throws {
    let processor = LineProcessor(registry: try Fixture().registry, limits: Limits())
    let bytes = Array("a;kind=web:1|c\na;kind=web:1|c\na;kind=web:2|c\n".utf8)
    processor.lines(bytes.span.bytes, from: 0, .statsd)
    #expect(processor.refusals.count == 1)
    #expect(processor.counts.events(.statsd, 0x63) == 3)
  }

  @Test func `a log takes twenty lines a second, and says how many it has left out`() {
    var rate = LogRate()
    var shown = 0
    for _ in 0..<50 where rate.takes(now: 5_000_000_000) == 0 { shown += 1 }
    #expect(shown == 20)
    #expect(rate.takes(now: 6_000_000_000) == 30)
    #expect(rate.takes(now: 6_000_000_001) == 0)
  }
}
