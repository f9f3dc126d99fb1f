import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// A protocol that no file of Intake/ knows: its tags are pairs with `=`, and it names families
/// itself.
@Suite struct EventTests {
  private static let origin = EventOrigin(rawValue: 0x80)

  /// How often the registry has asked what an event means.
  private final class Reader {
    var askedCount = 0

    func describe(_ event: Event) -> EventDescription {
      askedCount += 1
      let tags = SeriesKey.array(event.tags).split(separator: UInt8(ascii: ";")).map {
        pair -> EventDescription.Tag in
        let equals = pair.firstIndex(of: UInt8(ascii: "="))!
        return (pair[..<equals], pair[(equals + 1)...])
      }
      return EventDescription(
        name: SeriesKey.array(event.name), type: event.type, tags: tags,
        family: Array("named_".utf8) + SeriesKey.array(event.name))
    }

    func apply(
      _ registry: Registry, _ name: String, _ type: EventType, _ tags: String, _ value: EventValue
    ) -> Registry.Rejection? {
      let name = Array(name.utf8)
      let tags = Array(tags.utf8)
      let event = Event(
        name: name.span.bytes, type, tags: tags.span.bytes, EventTests.origin, value)
      return registry.apply(event, describe)
    }
  }

  @Test func `another protocol's events need a description once, and feed families it names`()
    throws
  {
    let fixture = try Fixture()
    let reader = Reader()
    for value in [1.0, 2, 4] {
      let rejection = reader.apply(
        fixture.registry, "jobs", .counter, "queue=mail;eu=1", EventValue(number: value))
      #expect(rejection == nil)
    }
    #expect(reader.askedCount == 1)
    #expect(fixture.value(#"named_jobs{eu="1",queue="mail"}"#) == 7, "\(fixture.page)")
  }

  @Test func `the same bytes of two protocols are two events`() throws {
    let fixture = try Fixture()
    let reader = Reader()
    fixture.apply("a", "g", 1, tags: "b=c")
    _ = reader.apply(fixture.registry, "a", .gauge, "b=c", EventValue(number: 2))
    _ = reader.apply(
      fixture.registry, "a", .gauge, "b=c", EventValue(number: 3, move: .step))
    #expect(fixture.value("a") == 1)
    #expect(fixture.value(#"named_a{b="c"}"#) == 5, "\(fixture.page)")
  }

  @Test func `several values of one event look its series up once, in one transaction`() throws {
    let fixture = try Fixture(
      rules: """
        {"families": [
          {"name": "c", "type": "counter", "events": [{"event": "wait"}]},
          {"name": "s", "type": "summary", "events": [{"event": "wait"}]},
          {"name": "n", "type": "histogram", "native": true, "events": [{"event": "wait"}]},
          {"name": "h", "type": "histogram", "events": [{"event": "wait"}]}]}
        """)
    let registry = fixture.registry!
    let reader = Reader()
    let name = Array("wait".utf8)
    let none: [UInt8] = []
    let committed = registry.state.committed
    func event(_ number: Double) -> EventValue { EventValue(number: number) }
    let feed = registry.feed(
      of: Event(name: name.span.bytes, .distribution, tags: none.span.bytes, Self.origin, event(0)),
      reader.describe)
    for value in [0.25, 0.5] {
      let one = Event(
        name: name.span.bytes, .distribution, tags: none.span.bytes, Self.origin, event(value),
        weight: 2)
      #expect(registry.add(one, to: feed) == nil)
    }
    #expect(registry.state.committed == committed)
    registry.commit()
    #expect(reader.askedCount == 1)
    for series in ["c", "s_sum", "n_sum", "h_sum"] { #expect(fixture.value(series) == 1.5) }
    for series in ["s_count", "n_count", "h_count"] { #expect(fixture.value(series) == 4) }
  }
}
