import SidecarRules

/// One measurement, independent of the protocol. Readers of StatsD's and spectator's lines create
/// it from the received bytes, and `Registry` applies it.
///
/// What must stay true: an event borrows its bytes, so making and applying a known one allocates
/// nothing. Events with equal `name`, `type`, `origin` and `tags` feed the same series. The
/// registry identifies them by these bytes, and asks what they mean (`EventDescription`) only once.
struct Event: ~Escapable {
  /// The name in the protocol's form.
  let name: RawSpan
  let type: EventType
  /// The other bytes that identify its series, in the protocol's form.
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

  /// Type and origin, as in the table of known events.
  @inline(__always)
  var typeByte: UInt8 { type.rawValue | origin.rawValue }
}

/// What an event measures. The numbers are the lower five bits of StatsD's letters; the upper three
/// are the origin's.
enum EventType: UInt8 {
  case counter = 3  // c
  case distribution = 4  // d
  case gauge = 7  // g
  case histogram = 8  // h
  case milliseconds = 13  // ms
  case set = 19  // s
  case seconds = 20  // t of spectator

  /// The metric type unless a rule says otherwise.
  var kind: MetricType {
    switch self {
    case .counter: .counter
    case .gauge: .gauge
    case .milliseconds, .seconds, .histogram, .distribution: .histogram
    case .set: .set
    }
  }

  /// The suffix of its family's name unless a rule gives a name.
  var suffix: StaticString {
    switch self {
    case .counter: "_total"
    case .milliseconds, .seconds: "_seconds"
    case .gauge, .histogram, .distribution, .set: ""
    }
  }
}

/// The reader of an event's name and tags: the same bytes may mean different series in different
/// protocols. Each reader has a value of its own, a multiple of 32.
struct EventOrigin: Equatable {
  let rawValue: UInt8
}

/// A number, and how a gauge interprets it.
struct EventValue {
  var number: Double
  var move = GaugeMove.set
}

/// The meaning of an event's bytes. Created from a new event, to match it with the rules.
struct EventDescription {
  typealias Tag = (name: ArraySlice<UInt8>, value: ArraySlice<UInt8>)

  let name: [UInt8]
  let type: EventType
  var tags: [Tag]
  /// The family that it feeds if no rule matches, if the protocol names one; see `defaultFamily`.
  var family: [UInt8]?
  /// Whether there are tags both in the name and outside: an event must have them in one place.
  var mixesTags = false
  /// Whether `\p` stands for a bar in the tag values of a declared family, and so on: see
  /// `Declaration.unescaped`.
  var isEscaped = false

  func value(of tag: [UInt8]) -> ArraySlice<UInt8> {
    tags.first { $0.name.elementsEqual(tag) }?.value ?? []
  }

  /// The family of an event that no rule names.
  var defaultFamily: [UInt8] { family ?? Names.family(of: name[...], suffix: type.suffix) }

  /// That family's name as the client wrote it. OpenMetrics recognises a counter by its `_total`,
  /// so `jobs.total` is `jobs_total` there, too.
  var spelledFamily: [UInt8] {
    let ending = Array(defaultFamily.dropFirst(Names.sanitised(name[...]).count))
    let total = Array("_total".utf8)
    guard ending.isEmpty, type == .counter, name.suffix(6) != total[...] else {
      return name + ending
    }
    var spelled = name.dropLast(5)
    // The `_` stands for one character of any number of bytes, or for several dashes.
    while let byte = spelled.popLast() {
      let isPart = byte & 0xc0 == 0x80 || byte == UInt8(ascii: "-") && spelled.last == byte
      if !isPart { break }
    }
    return spelled + total
  }
}
