import SidecarEvents
import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// A registry on a state file of its own, and what tests do to it.
final class Fixture {
  let path: String
  var registry: Registry!
  let rules: Rules
  var limits: Limits

  /// The most that the state file may have.
  private let stateByteCount: Int

  init(rules: String = "{}", limits: Limits = Limits(), stateByteCount: Int = 16 << 20) throws {
    self.stateByteCount = stateByteCount
    path = NSTemporaryDirectory() + "state-\(UUID().uuidString.prefix(8))"
    self.rules = try RuleFile.parse(Array(rules.utf8))
    self.limits = limits
    try reopen()
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func reopen() throws {
    registry = nil
    let file = try MappedFile(path: path, limit: stateByteCount)
    registry = Registry(state: try StateFile(file), rules: rules, limits: limits)
  }

  /// Why the event does not count; `nil` where it does.
  @discardableResult
  func apply(
    _ name: String, _ type: Character = "c", _ value: Double = 1, tags: String = "",
    weight: Double = 1, isDelta: Bool = false
  ) -> Registry.Rejection? {
    let name = Array(name.utf8)
    let tags = Array(tags.utf8)
    let event = Event(
      name: name.span.bytes, EventType(rawValue: type.asciiValue! & 31)!, tags: tags.span.bytes,
      .lines, EventValue(number: value, move: isDelta ? .step : .set), weight: weight)
    let rejection = registry.apply(event) { EventDescription(line: $0, .all) }
    return rejection?.isCounted == true ? nil : rejection
  }

  /// A page as a scrape gets it, unpacked, and how many slices it took.
  func scraped(_ shape: ExpositionShape, isGzip: Bool) throws -> (bytes: [UInt8], slices: Int) {
    let job = ScrapeJob(
      ScrapeKind(shape: shape, filter: NameFilter(), isGzip: isGzip),
      Snapshot(registry, filter: NameFilter(), isOpenMetrics: shape.format.isOpenMetrics),
      startedAt: 0)
    var slices = 1
    while !job.writeSlice() { slices += 1 }
    var body = ByteBuffer()
    job.body.copy(to: &body)
    guard isGzip else { return (body.array, slices) }
    var plain = ByteBuffer()
    try Inflate.gunzip(body.bytes, limit: 1 << 24, into: &plain)
    return (plain.array, slices)
  }

  func open(_ id: SessionID, now: UInt64) throws -> SessionTable.Entry {
    let slot = registry.sessions.open(id, now: now, in: registry.state)
    return try #require(slot)
  }

  var page: String {
    var buffer = ByteBuffer()
    ExpositionWriter.append(registry, to: &buffer)
    return String(decoding: buffer.array, as: UTF8.self)
  }

  func value(_ series: String) -> Double? {
    for line in page.split(separator: "\n") where line.hasPrefix(series + " ") {
      return Double(line.dropFirst(series.count + 1))
    }
    return nil
  }
}
