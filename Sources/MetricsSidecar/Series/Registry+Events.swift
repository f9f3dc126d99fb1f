import SidecarEvents
import SidecarPlatform

/// Applies events: a known line adds to its cells, a new one is resolved first.
extension Registry {
  /// Why an event was not counted; or, if `isCounted`, why it looks like a mistake.
  enum Rejection: Int, Error, CaseIterable {
    case typeConflict, unsupportedType, seriesLimit, expositionLimit, familyLimit, tooManyLabels,
      nameTooLong
    case valueTooLong, stateFull, dropped, mixedTags, declarationConflict, badEscape
    case badPoint, badName, reservedLabel, noTemporality, streamLimit, sharedStream
    case tagLikeField, equalsInTag, tagsInName, overflow

    /// Whether the event counts all the same. Known events are not reported.
    var isCounted: Bool { rawValue >= Self.tagLikeField.rawValue }

    /// The label of `metrics_sidecar_events_rejected_total`.
    var reason: StaticString {
      switch self {
      case .typeConflict: "type_conflict"
      case .unsupportedType: "unsupported_type"
      case .seriesLimit: "series_limit"
      case .expositionLimit: "exposition_limit"
      case .familyLimit: "family_limit"
      case .tooManyLabels: "too_many_labels"
      case .nameTooLong: "name_too_long"
      case .valueTooLong: "label_value_too_long"
      case .stateFull: "state_full"
      case .dropped: "dropped_by_rules"
      case .mixedTags: "mixed_tags"
      case .declarationConflict: "declaration_conflict"
      case .badEscape: "bad_escape"
      case .badPoint: "bad_point"
      case .badName: "bad_name"
      case .reservedLabel: "reserved_label"
      case .noTemporality: "no_temporality"
      case .streamLimit: "stream_limit"
      case .sharedStream: "shared_stream"
      case .tagLikeField: "tag_like_field"
      case .equalsInTag: "equals_in_tag"
      case .tagsInName: "tags_in_name"
      case .overflow: "overflow"
      }
    }
  }

  /// Describes an unknown event.
  typealias Describe = (Event) -> EventDescription

  /// Adds an event's value to all its targets.
  @inline(__always)
  @_optimize(speed)
  func apply(_ event: Event, _ describe: Describe) -> Rejection? {
    if exemplars != nil || event.exemplar.byteCount > 0 { return applyTraced(event, describe) }
    return LineKey.withKey(lines.key, event) { key in
      if let targets = lines.find(key) {
        if targets.count == 0 { return .dropped }
        for index in 0..<targets.count { add(targets[index], event.value, event.weight) }
        return nil
      }
      return applyNew(key, event, describe)
    }
  }

  /// Applies a line, if it is known; `false` leaves it to the general parser.
  @inline(never)
  @_optimize(speed)
  func apply(_ line: inout PlainLine) -> Bool {
    guard let targets = lines.find(line.key), targets.count > 0 else { return false }
    for index in 0..<targets.count {
      let target = targets[index]
      if target.kind == .counter, target.scale == 0 {
        state.add(Int(target.cell) + 1, line.value)
      } else {
        addOther(target, EventValue(number: line.value), 1)
      }
    }
    return true
  }

  @inline(never)
  private func applyNew(
    _ key: LineKey, _ event: Event, _ describe: Describe
  ) -> Rejection? {
    let outcome = resolveNew(key, event, describe)
    for target in outcome.targets { add(target, event.value, event.weight) }
    return outcome.targets.isEmpty ? outcome.refusal : outcome.suspicion
  }

  /// Asks the rules which families a new event feeds, and remembers the answer.
  private func resolveNew(
    _ key: LineKey, _ event: Event, _ describe: Describe
  ) -> Resolution {
    #if DEBUG
      resolvedLines += 1
    #endif
    var outcome = Resolution()
    let description = describe(event)
    if event.origin == .lines { outcome.suspicion = description.suspicion }
    do throws(Rejection) {
      try resolve(description, into: &outcome)
    } catch {
      // Remember it as a line that feeds nothing; half of the room is reserved for lines that feed
      // something.
      if error == .dropped, !lines.isHalfFull { lines.insert(key, targets: []) }
      return Resolution(refusal: error)
    }
    if outcome.refusal == nil { lines.insert(key, targets: outcome.targets) }
    return outcome
  }

  @inline(__always)
  @_optimize(speed)
  private func add(_ target: LineTable.Target, _ value: EventValue, _ weight: Double) {
    if target.kind == .counter, target.scale == 0, value.number >= 0 {
      state.add(Int(target.cell) + 1, value.number * weight)
    } else {
      addOther(target, value, weight)
    }
  }

  @inline(never)
  @_optimize(speed)
  private func addOther(_ target: LineTable.Target, _ value: EventValue, _ weight: Double) {
    let move = value.move
    var value = value.number
    if target.scale != 0 {
      guard let scaled = scaled(target, value, weight, move) else { return }
      value = scaled
    }
    // The most common types are called without their object, which would cost a tenth of such an
    // event.
    if target.kind == .counter {
      return Counter.add(value * weight, Int(target.cell), in: self)
    } else if target.kind == .gauge {
      return Gauge.set(value, move, target, in: self)
    }
    let family = families[Int(target.family)]
    if target.isMilliseconds { value /= 1000 }
    if target.kind == .histogram {
      return Histogram.observe(value, weight, Int(target.cell), family, in: state)
    }
    family.metric.observe(value, weight: weight, move, target, family, in: self)
  }

  /// While each term is at most this, no sum becomes infinite, which would be permanent: an event
  /// has up to 1e100 and stands for up to 1e15 samples, but a rule's scale may be any number.
  static let greatestTerm = 1e200

  /// The value scaled by the rule; `nil`, and counted, if the result cannot be added.
  @inline(never)
  private func scaled(
    _ target: LineTable.Target, _ value: Double, _ weight: Double, _ move: GaugeMove
  ) -> Double? {
    let scaled = value * scales[target.scale]
    // A gauge may be set to infinity by its client.
    let isSound =
      target.kind == .gauge && !move.isStep(target.minus)
      ? scaled.isFinite || !value.isFinite
      : (scaled * weight).magnitude <= Self.greatestTerm
    if !isSound { refusedValues += 1 }
    return isSound ? scaled : nil
  }

  // MARK: Events of several values

  /// The targets of all values of one line or point: looked up once, however many values there are.
  struct Feed {
    /// The targets of a known line.
    private var known: LineTable.Targets?
    /// The targets of an unknown line.
    private var fresh: [LineTable.Target] = []
    /// Why no value counts, if so.
    private(set) var refusal: Rejection?
    /// What looks like a mistake in values that count.
    private(set) var suspicion: Rejection?
    /// For each target the position of its trace in the line's tags; empty without one.
    fileprivate var traces: [Range<Int>?] = []

    fileprivate init(_ known: LineTable.Targets) {
      self.known = known
      if known.count == 0 { refusal = .dropped }
    }

    fileprivate init(_ fresh: Resolution) {
      self.fresh = fresh.targets
      suspicion = fresh.suspicion
      if fresh.targets.isEmpty { refusal = fresh.refusal }
    }

    var count: Int { known?.count ?? fresh.count }
    subscript(index: Int) -> LineTable.Target { known?[index] ?? fresh[index] }
  }

  /// The targets of all events with the bytes of this one, looked up once: valid until the turn
  /// ends. A known one allocates nothing, unless a rule keeps exemplars from its tags.
  @inline(never)
  func feed(of event: Event, _ describe: Describe) -> Feed {
    guard let exemplars, var rest = exemplars.scratch.take() else {
      return plainFeed(of: event, describe)
    }
    var feed: Feed
    if exemplars.strip(event.tags, into: &rest) {
      feed = plainFeed(of: event.with(tags: rest.bytes), describe)
      for index in 0..<feed.count { feed.traces.append(trace(feed[index], in: event.tags)) }
    } else {
      feed = plainFeed(of: event, describe)
    }
    exemplars.scratch = consume rest
    return feed
  }

  func plainFeed(of event: Event, _ describe: Describe) -> Feed {
    LineKey.withKey(lines.key, event) { key in
      lines.find(key).map { Feed($0) } ?? Feed(resolveNew(key, event, describe))
    }
  }

  /// What one of many values costs a family, in steps of rules.
  private static let addWork = 8

  /// Adds the value of an event with a known `feed`, as part of the current transaction.
  @_optimize(speed)
  func add(_ event: Event, to feed: Feed) -> Rejection? {
    if let refusal = feed.refusal { return refusal }
    ruleWork &+= Self.addWork &* feed.count
    for index in 0..<feed.count {
      add(feed[index], event.value, event.weight)
      if let exemplars, index < feed.traces.count, let trace = feed.traces[index] {
        keep(exemplars, feed[index], event.tags.extracting(trace), event.value.number)
      }
    }
    if event.exemplar.byteCount > 0 { keepExemplar(of: event, feed) }
    return nil
  }
}
