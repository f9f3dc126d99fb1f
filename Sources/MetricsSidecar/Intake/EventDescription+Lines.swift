import SidecarEvents
import SidecarPlatform

extension EventOrigin {
  /// Lines of StatsD and DogStatsD. `PlainLine` uses their letters unchanged.
  static let lines = EventOrigin(rawValue: 0x60)
  /// Lines of spectator, whose tags are in the name.
  static let spectator = EventOrigin(rawValue: 0xe0)
}

extension EventLine.Kind {
  var type: EventType {
    switch self {
    case .counter: .counter
    case .gauge: .gauge
    case .milliseconds: .milliseconds
    case .histogram: .histogram
    case .distribution: .distribution
    case .set: .set
    }
  }
}

extension EventLine {
  /// The event of one of the line's values.
  @inline(__always)
  @_lifetime(copy bytes)
  func event(_ bytes: RawSpan, _ value: EventValue) -> Event {
    Event(
      name: bytes.extracting(name), kind.type, tags: bytes.extracting(tags), .lines, value,
      weight: weight, exemplar: bytes.extracting(exemplar))
  }
}

extension EventDescription {
  /// The description of a line. Tags follow `#`, or are in the name in one of the `dialects`.
  init(line event: Event, _ dialects: TagDialects) {
    self.init(nameWithTags: event, dialects)
    let countInName = tags.count
    for tag in SeriesKey.array(event.tags).split(separator: UInt8(ascii: ",")) {
      // A tag's value may contain colons; a tag without one has the empty value, a tag without a
      // name is dropped. Some clients write `#` before each tag.
      let tag = tag.drop { $0 == UInt8(ascii: "#") }
      let colon = tag.firstIndex(of: UInt8(ascii: ":")) ?? tag.endIndex
      if colon > tag.startIndex { tags.append((tag[..<colon], tag[colon...].dropFirst())) }
    }
    mixesTags = countInName > 0 && tags.count > countInName
  }

  /// The description of a line of spectator.
  init(spectator event: Event) { self.init(nameWithTags: event, .influxDB) }

  private init(nameWithTags event: Event, _ dialects: TagDialects) {
    let written = SeriesKey.array(event.name)
    let split = dialects.split(written[...])
    name = split?.name ?? written
    type = event.type
    tags = split?.tags ?? []
    isEscaped = true
  }
}
