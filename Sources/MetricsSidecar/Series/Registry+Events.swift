import SidecarEvents
import SidecarPlatform

/// What an event does: a known line adds to its cells, one that is new is resolved first.
extension Registry {
  /// Why an event was not counted.
  enum Rejection: Error, CaseIterable {
    case typeConflict, unsupportedType, seriesLimit, expositionLimit, familyLimit, tooManyLabels,
      nameTooLong
    case valueTooLong, stateFull, dropped, mixedTags, declarationConflict, badEscape

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
      }
    }
  }

  /// Adds `value`, which stands for `weight` samples, to everything that the event feeds.
  /// `type` is the first letter of the event's type.
  @inline(__always)
  @_optimize(speed)
  func apply(
    name: RawSpan, type: UInt8, tags: RawSpan, value: Double, weight: Double, isDelta: Bool
  ) -> Rejection? {
    if let exemplars {
      return applyTraced(exemplars, name, type, tags, value, weight, isDelta)
    }
    return applyPlain(
      name: name, type: type, tags: tags, value: value, weight: weight, isDelta: isDelta)
  }

  /// The targets of a line that is known.
  func targets(_ name: RawSpan, _ type: UInt8, _ tags: RawSpan) -> LineTable.Targets? {
    LineKey.withKey(name: name, type: type, tags: tags) { key in lines.find(key) }
  }

  @inline(__always)
  @_optimize(speed)
  func applyPlain(
    name: RawSpan, type: UInt8, tags: RawSpan, value: Double, weight: Double, isDelta: Bool
  ) -> Rejection? {
    LineKey.withKey(name: name, type: type, tags: tags) { key in
      if let targets = lines.find(key) {
        if targets.count == 0 { return .dropped }
        for index in 0..<targets.count { add(targets[index], value, weight, isDelta) }
        return nil
      }
      return applyNew(key, name, type, tags, value, weight, isDelta)
    }
  }

  /// Adds what a line says, if it is known; `false` leaves it to be taken apart the long way.
  @inline(never)
  @_optimize(speed)
  func apply(_ line: inout PlainLine) -> Bool {
    guard let targets = lines.find(line.key), targets.count > 0 else { return false }
    for index in 0..<targets.count {
      let target = targets[index]
      if target.kind == .counter, target.scale == 0 {
        state.add(Int(target.cell) + 1, line.value)
      } else {
        addPlain(target, line.value)
      }
    }
    return true
  }

  @inline(never)
  @_optimize(speed)
  private func addPlain(_ target: LineTable.Target, _ value: Double) {
    add(target, value, 1, false)
  }

  @inline(never)
  private func applyNew(
    _ key: LineKey, _ name: RawSpan, _ type: UInt8, _ tags: RawSpan, _ value: Double,
    _ weight: Double, _ isDelta: Bool
  ) -> Rejection? {
    let resolver = Resolver(name: name, type: type, tags: tags, dialects: dialects)
    var outcome = Resolution()
    do throws(Rejection) {
      try resolve(resolver, into: &outcome)
    } catch {
      // Remembered as a line that feeds nothing; half of the room is for those that feed something.
      if error == .dropped, lines.count < lines.limit / 2 { lines.insert(key, targets: []) }
      return error
    }
    for target in outcome.targets { add(target, value, weight, isDelta) }
    guard let refusal = outcome.refusal else {
      lines.insert(key, targets: outcome.targets)
      return nil
    }
    return outcome.targets.isEmpty ? refusal : nil
  }

  @inline(__always)
  @_optimize(speed)
  private func add(
    _ target: LineTable.Target, _ value: Double, _ weight: Double, _ isDelta: Bool
  ) {
    let cell = Int(target.cell)
    let value = target.scale == 0 ? value : value * scales[target.scale]
    switch target.kind {
    case .counter: state.add(cell + 1, value * weight)
    case .gauge: if isDelta { state.add(cell + 1, value) } else { state.store(cell + 1, value) }
    case .histogram:
      let family = families[Int(target.family)]
      observe(cell, family, target.isMilliseconds ? value / 1000 : value, weight)
    default: addSketched(target, families[Int(target.family)], value, weight, isDelta)
    }
  }

  @inline(__always)
  @_optimize(speed)
  private func observe(_ cell: Int, _ family: Family, _ value: Double, _ weight: Double) {
    let whole =
      weight == 1
      ? 1 : SampleWeight.whole(weight, carry: cell + HistogramCells.carry, in: state)
    state.add(cell + HistogramCells.sum, value * weight)
    if whole == 0 { return }
    var bucket = 0
    while bucket < family.bounds.count, value > family.bounds[bucket] { bucket += 1 }
    state.add(cell + HistogramCells.firstBucket + bucket, whole)
  }

  // MARK: Resolving a new event

  struct Resolution {
    var targets: [LineTable.Target] = []
    /// Why a series was refused. Only without one may the line be remembered.
    var refusal: Rejection?
  }

  func feed(
    _ index: Int, _ labels: [Label], _ event: Resolver, into outcome: inout Resolution,
    scale: Double
  ) {
    let family = families[index]
    guard let place = UInt16(exactly: index) else {
      outcome.refusal = .familyLimit
      return
    }
    var key = ByteBuffer(capacity: 128)
    SeriesKey.append(family.name, labels, to: &key)
    guard let record = table.find(key.bytes, in: state) ?? fresh(key.bytes, family, &outcome)
    else {
      if family.series.isEmpty, !family.isDeclared { forgetFamily(index) }
      return
    }
    outcome.targets.append(
      LineTable.Target(
        cell: UInt32(record.firstCell), family: place,
        isMilliseconds: event.isMilliseconds, kind: family.kind,
        client: family.options.client(event), scale: scales.number(of: scale)))
  }

  /// A new series, or the one that takes what refused ones would have added. One family's refusal
  /// does not keep the event from the others that it feeds.
  private func fresh(
    _ key: RawSpan, _ family: Family, _ outcome: inout Resolution
  ) -> Record? {
    do throws(Rejection) {
      let kept = family.series.count - (family.overflow == nil ? 0 : 1)
      if seriesCount >= limits.series || kept >= limits.familySeries { throw .seriesLimit }
      guard hasRoom(for: family.textByteCount(key: key.byteCount)) else { throw .expositionLimit }
      let record = try make(key, family)
      seriesCount += 1
      family.series.append(record)
      expiry.arm(timeToLive(family), now: monotonicNow)
      return record
    } catch {
      refusedSeries += 1
      outcome.refusal = error
      // The last value of many gauges would mean nothing.
      return family.kind == .gauge || family.kind == .clientGauge ? nil : overflow(of: family)
    }
  }

  /// Whether so many bytes more of text are below the limit and `further`.
  func hasRoom(for byteCount: Int, further: Int = 0) -> Bool {
    textByteCount + byteCount <= limits.expositionByteCount + further
  }

  /// `name{overflow="true"}`: where series beyond the limit add up, so that totals stay right.
  private func overflow(of family: Family) -> Record? {
    if let record = family.overflow { return record }
    var key = ByteBuffer(capacity: 64)
    SeriesKey.append(
      family.name, [(Array("overflow".utf8), Array("true".utf8)[...])], to: &key)
    // They are as many as families, and totals stay right by them.
    guard
      hasRoom(for: family.textByteCount(key: key.count), further: limits.expositionByteCount / 8)
    else { return nil }
    do throws(Rejection) {
      let record = try make(key.bytes, family)
      family.overflow = record
      family.series.append(record)
      expiry.arm(timeToLive(family), now: monotonicNow)
      return record
    } catch { return nil }
  }
}
