import SidecarPlatform

/// Writes a snapshot as an exposition, some bytes per call, so that a large one is written between
/// the turns of the loop: the families of events, the sidecar's own, pushed ones, the groups'
/// times.
final class ExpositionWriter {
  private let snapshot: Snapshot
  private let shape: ExpositionShape
  private let filter: NameFilter
  private let writer: any FamilyWriter

  private enum Stage { case events, own, pushed, times, done }
  private var stage = Stage.events
  /// The current family of the stage, and whether it has been begun.
  private var place = 0
  private var isOpen = false
  private var hasHead = false
  /// The next of the family's own series, which come before pushed ones, and its part behind
  /// `place`.
  private var series = 0
  private var further = 0
  /// The size of a family in protobuf, as far as it is measured, and a buffer for measuring its
  /// series.
  private var seriesByteCount = 0
  private var scratch = ByteBuffer(capacity: 16)
  private let points = PointSeries()

  /// Names checked per call: hidden ones cost time, too.
  private static let namesPerCall = 4096

  init(_ snapshot: Snapshot, shape: ExpositionShape, filter: NameFilter) {
    self.snapshot = snapshot
    self.shape = shape
    self.filter = filter
    let names = WrittenNames(snapshot.spellings, shape)
    switch shape.format {
    case .text004, .text100: writer = TextWriter(names)
    case .openMetrics001, .openMetrics100:
      writer = OpenMetricsWriter(names, hasCreatedLines: snapshot.hasCreatedLines)
    case .protobuf: writer = ProtobufWriter(names)
    }
  }

  /// All of a registry's families at once, as text 0.0.4.
  static func append(_ registry: Registry, to page: inout ByteBuffer) {
    let writer = ExpositionWriter(
      Snapshot(registry, filter: NameFilter()), shape: ExpositionShape(), filter: NameFilter())
    while !writer.write(into: &page, byteCount: 1 << 20) {}
  }

  /// Appends about `byteCount` bytes, or the rest. Returns whether the exposition is complete.
  func write(into page: inout ByteBuffer, byteCount: Int) -> Bool {
    if let pushed = snapshot.pushed,
      !pushed.prepare(snapshot, isOpenMetrics: shape.format.isOpenMetrics)
    {
      return false
    }
    let end = page.count + byteCount
    var left = Self.namesPerCall
    while open(&left, to: &page) {
      guard hasHead || measure(byteCount, to: &page), series(to: &page, end: end) else {
        return false
      }
      writer.end(to: &page)
      close()
      if page.count >= end { return false }
    }
    guard stage == .done else { return false }
    if shape.format.isOpenMetrics { page.append(OpenMetricsWriter.lastLine) }
    return true
  }

  // MARK: Families

  /// Begins the next family, if none is open; returns whether there is one. Checks `left` names.
  private func open(_ left: inout Int, to page: inout ByteBuffer) -> Bool {
    if isOpen { return true }
    while stage != .done {
      if place == familyCount {
        next()
        continue
      }
      if left == 0 { return false }
      left -= 1
      if let head = head() {
        isOpen = true
        hasHead = shape.format != .protobuf
        seriesByteCount = 0
        rewind()
        writer.take(head)
        if hasHead { writer.begin(seriesByteCount: 0, to: &page) }
        return true
      }
      place += 1
    }
    return false
  }

  private func close() {
    if stage == .events { snapshot.pushed?.noteHidden(part: place) }
    isOpen = false
    place += 1 + further
    further = 0
  }

  private func rewind() {
    series = 0
    further = 0
    snapshot.pushed?.families.rewind()
  }

  private func next() {
    place = 0
    switch stage {
    case .events: stage = .own
    case .own: stage = .pushed
    case .pushed: stage = .times
    case .times, .done: stage = .done
    }
  }

  private var familyCount: Int {
    switch stage {
    case .events: snapshot.parts.count
    case .own: snapshot.own.count
    case .pushed: snapshot.pushed?.families.nameCount ?? 0
    case .times: snapshot.pushed?.families.hasTimes == true ? 2 : 0
    case .done: 0
    }
  }

  /// The family at `place`; `nil` if it is not shown.
  private func head() -> FamilyHead? {
    switch stage {
    case .events:
      let family = snapshot.parts[place].family
      return FamilyHead(
        family.name, FamilyType(family.kind), help: family.help,
        hasShortName: !snapshot.unknownCounters.contains(place))
    case .own:
      let own = snapshot.own[place]
      return shown(own.name, own.type, help: own.help)
    case .pushed:
      guard let pushed = snapshot.pushed, pushed.isShown(place) else { return nil }
      let (name, type, help) = pushed.families.head(of: place)
      return shown(name, type, help: help, isOdd: pushed.families.oddCounters.contains(place))
    case .times:
      let (name, help) = PushedFamilies.times[place]
      return shown(name.bytes, .gauge, help: help.bytes)
    case .done: return nil
    }
  }

  private func shown(
    _ name: [UInt8], _ type: FamilyType, help: [UInt8], isOdd: Bool = false
  ) -> FamilyHead? {
    guard filter.includes(name) else { return nil }
    let isShort = type == .counter && !isOdd && snapshot.hasShortName(name)
    return FamilyHead(name, type, help: help, hasShortName: isShort)
  }

  // MARK: Series

  /// Measures the family's series, some per call, and writes its head; returns whether that is
  /// done.
  private func measure(_ byteCount: Int, to page: inout ByteBuffer) -> Bool {
    var isComplete = true
    if stage == .events, snapshot.parts[place + further].hasNumbers,
      series < snapshot.parts[place + further].series.count
    {
      let part = snapshot.parts[place + further]
      seriesByteCount += writer.byteCount(ofNumbers: part, of: snapshot, from: &series)
      isComplete = series == part.series.count
    }
    isComplete = isComplete && series(to: &scratch, end: byteCount)
    seriesByteCount += scratch.count
    scratch.removeAll()
    guard isComplete else { return false }
    rewind()
    writer.begin(seriesByteCount: seriesByteCount, to: &page)
    hasHead = true
    return true
  }

  /// Appends series of the family until the page has `end` bytes; returns whether it has all of
  /// them.
  private func series(to page: inout ByteBuffer, end: Int) -> Bool {
    let pushed = snapshot.pushed
    var name = -1
    var family: Family?
    switch stage {
    case .events:
      while true {
        let part = snapshot.parts[place + further]
        events(part, to: &page, end: end)
        if series < part.series.count { return false }
        guard part.isContinued else { break }
        further += 1
        series = 0
      }
      name = pushed?.name(part: place) ?? -1
      family = snapshot.parts[place].family
    case .own:
      let samples = snapshot.ownSamples(place)
      while series < samples.count, page.count < end {
        let (labels, value) = samples[series]
        unsafe writer.number(labels.span.bytes, value, to: &page)
        series += 1
      }
      if series < samples.count { return false }
      name = pushed?.name(own: place) ?? -1
    case .pushed: name = place
    case .times:
      return pushed?.families.writeTimes(place, from: &series, writer, to: &page, end: end) ?? true
    case .done: return true
    }
    guard name >= 0, let pushed else { return true }
    return pushed.families.write(
      name, beside: family, in: pushed.registry, points, writer, to: &page, end: end)
  }

  /// Appends series of events from `series` on.
  @_optimize(speed)
  private func events(_ part: Snapshot.Part, to page: inout ByteBuffer, end: Int) {
    let family = part.family
    let snapshot = snapshot
    if part.hasNumbers {
      return writer.numbers(part, of: snapshot, from: &series, to: &page, end: end)
    }
    let request = ExposedRequest(now: snapshot.now, hasNative: shape.format == .protobuf)
    let hasPoints = family.kind.hasSuffixes
    let exemplars = snapshot.exemplars(family)
    let state = snapshot.state
    while series < part.series.count, page.count < end {
      let record = part.series[series]
      let labels = Labels.inside(state.key(record), family.name.count)
      let values = snapshot.values(part, series)
      series += 1
      if hasPoints {
        points.begin(
          family, createdMilliseconds: snapshot.createdMilliseconds(record), exemplars)
      }
      switch family.metric.expose(values, record.headCell, family, request, to: points) {
      case .nothing: break
      case .number(let value): writer.number(labels, value, to: &page)
      case .histogram: writer.histogram(labels, points, to: &page)
      case .summary: writer.summary(labels, points, to: &page)
      }
    }
  }
}
