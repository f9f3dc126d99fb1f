import SidecarRules

/// One measurement, with no protocol in it. Readers of StatsD's lines and of spectator's make it of
/// the bytes that came, and `Registry` takes it.
///
/// What must stay true: an event borrows its bytes, so making and applying a known one allocates
/// nothing. Events with equal `name`, `type`, `origin` and `tags` feed the same series. The registry
/// knows them by these bytes, and asks what they mean (`EventDescription`) only once.
struct Event: ~Escapable {
  /// As the protocol has it.
  let name: RawSpan
  let type: EventType
  /// The rest of what tells its series from others, as the protocol has it.
  let tags: RawSpan
  let origin: EventOrigin
  let value: EventValue
  /// How many samples the value stands for.
  let weight: Double
  /// Labels of an exemplar, `trace_id:4bf92f35,span_id:00f0`; empty without one.
  let exemplar: RawSpan

  @inline(__always)
  @_lifetime(copy name, copy tags)
  init(
    name: RawSpan, _ type: EventType, tags: RawSpan, _ origin: EventOrigin,
    _ value: EventValue, weight: Double = 1
  ) {
    self.init(
      name: name, type, tags: tags, origin, value, weight: weight, exemplar: tags.extracting(0..<0))
  }

  @inline(__always)
  @_lifetime(copy name, copy tags, copy exemplar)
  init(
    name: RawSpan, _ type: EventType, tags: RawSpan, _ origin: EventOrigin, _ value: EventValue,
    weight: Double, exemplar: RawSpan
  ) {
    self.name = name
    self.type = type
    self.tags = tags
    self.origin = origin
    self.value = value
    self.weight = weight
    self.exemplar = exemplar
  }

  /// The same event with other tags.
  @_lifetime(copy self, copy tags)
  func with(tags: RawSpan) -> Event {
    Event(
      name: name, type, tags: tags, origin, value, weight: weight, exemplar: exemplar)
  }

  /// Type and origin, as the table of known events tells them apart.
  @inline(__always)
  var typeByte: UInt8 { type.rawValue | origin.rawValue }
}

/// What an event measures. The numbers are the lower five bits of StatsD's letters; the upper three are
/// the origin's.
enum EventType: UInt8 {
  case counter = 3  // c
  case distribution = 4  // d
  case gauge = 7  // g
  case histogram = 8  // h
  case milliseconds = 13  // ms
  case set = 19  // s
  case seconds = 20  // t of spectator

  /// What it is kept as where no rule says otherwise.
  var kind: MetricType {
    switch self {
    case .counter: .counter
    case .gauge: .gauge
    case .milliseconds, .seconds, .histogram, .distribution: .histogram
    case .set: .set
    }
  }

  /// What the name of its family ends in where no rule gives a name.
  var suffix: StaticString {
    switch self {
    case .counter: "_total"
    case .milliseconds, .seconds: "_seconds"
    case .gauge, .histogram, .distribution, .set: ""
    }
  }
}

/// Who reads the bytes of an event's name and tags: the same bytes may mean another series to another
/// protocol. Each reader has one of its own, a multiple of 32.
struct EventOrigin: Equatable {
  let rawValue: UInt8
}

/// A number, and how a gauge takes it.
struct EventValue {
  var number: Double
  var move = GaugeMove.set
}

/// What the words of an event mean. Made of an event that is seen for the first time, to be held against
/// the rules.
struct EventDescription {
  typealias Tag = (name: ArraySlice<UInt8>, value: ArraySlice<UInt8>)

  let name: [UInt8]
  let type: EventType
  var tags: [Tag]
  /// The family that it feeds where no rule takes it, if the protocol names one; see `defaultFamily`.
  var family: [UInt8]?
  /// Whether tags stand in the name and beside it: an event has them in one place.
  var mixesTags = false
  /// Whether a declared family finds `\p` for a bar in the values of its tags, and so on: see
  /// `Declaration.unescaped`.
  var isEscaped = false

  func value(of tag: [UInt8]) -> ArraySlice<UInt8> {
    tags.first { $0.name.elementsEqual(tag) }?.value ?? []
  }

  /// The family of an event that no rule names.
  var defaultFamily: [UInt8] { family ?? Names.family(of: name[...], suffix: type.suffix) }

  /// That family as the client wrote its name. OpenMetrics knows a counter by its `_total`, so
  /// `jobs.total` is `jobs_total` there, too.
  var spelledFamily: [UInt8] {
    let ending = Array(defaultFamily.dropFirst(Names.sanitised(name[...]).count))
    let total = Array("_total".utf8)
    guard ending.isEmpty, type == .counter, name.suffix(6) != total[...] else {
      return name + ending
    }
    var spelled = name.dropLast(5)
    // One character of however many bytes, or several dashes, is the `_`.
    while let byte = spelled.popLast() {
      let isPart = byte & 0xc0 == 0x80 || byte == UInt8(ascii: "-") && spelled.last == byte
      if !isPart { break }
    }
    return spelled + total
  }
}
