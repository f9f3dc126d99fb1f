import SidecarPlatform
import SidecarRules

/// The current resource and scope, parsed once for all their points.
struct OTLPIdentity {
  var resource = -1
  var resourceDigest: (UInt64, UInt64) = (0, 0)
  /// The resource's attributes that become labels of each series.
  var resourceLabels: [(key: [UInt8], value: [UInt8])] = []
  var service: [UInt8] = []
  var scope = -1
  var scopeLabels: [(key: [UInt8], value: [UInt8])] = []
}

/// A new point: rules or names say which series it feeds, its identity says which stream it
/// continues.
extension OTLPIntake {
  typealias Target = LineTable.Target

  @inline(never)
  func feed(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor, shape: UInt32
  ) throws(Registry.Rejection) -> Feed {
    if let known = point.targets {
      let feed = Feed(known: known)
      if shape == 0 || fits(feed, shape) { return feed }
    }
    return try newFeed(point, metric, request, shape)
  }

  private func fits(_ feed: Feed, _ shape: UInt32) -> Bool {
    feed.stream == 0 || registry.state.shape(Record(unit: UInt32(feed.stream))) == shape
  }

  @inline(never)
  private func newFeed(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor, _ shape: UInt32
  ) throws(Registry.Rejection) -> Feed {
    if point.targets == nil, point.isPlain, let known = find(request, metric, point) {
      let feed = Feed(known: known)
      if fits(feed, shape) { return feed }
    }
    // If the known line has other bounds, it stays; the point is resolved each time.
    let isNew = point.targets == nil && point.isPlain
    #if DEBUG
      registry.resolvedLines += 1
    #endif
    var outcome = Registry.Resolution()
    var identity = Streams.Identity()
    do throws(Registry.Rejection) {
      identity = try resolve(point, metric, request, shape, into: &outcome)
    } catch {
      guard error == .dropped else { throw error }
      if isNew, !registry.lines.isHalfFull { remember([], point, metric, request) }
      processor.counts.reject(error)
      return Feed()
    }
    var targets = outcome.targets
    if targets.isEmpty { throw outcome.refusal ?? .dropped }
    if let suspicion = outcome.suspicion {
      let name = request.array(metric.name)
      unsafe processor.suspect(suspicion, name.span.bytes, .otlp)
    }
    for index in targets.indices where targets[index].kind == .clientGauge {
      targets[index].client = UInt32(truncatingIfNeeded: identity.low)
    }
    if metric.kind.isCumulative, targets.contains(where: { $0.kind != .clientGauge }) {
      let record = try stream(identity, point, metric, request, shape)
      targets.insert(
        Target(
          cell: UInt32(record.headCell), family: targets[0].family, isMilliseconds: true,
          kind: .gauge), at: 0)
    }
    if isNew, outcome.refusal == nil { remember(targets, point, metric, request) }
    return Feed(fresh: targets)
  }

  @inline(never)
  private func remember(
    _ targets: [Target], _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor
  ) {
    if find(request, metric, point) != nil { return }
    withKey(request, metric, point) { key in registry.lines.insert(key, targets: targets) }
  }

  // MARK: Series

  private func resolve(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor, _ shape: UInt32,
    into outcome: inout Registry.Resolution
  ) throws(Registry.Rejection) -> Streams.Identity {
    let (event, attributes) = try description(point, metric, request)
    let kind = metric.kind.kind
    let ruleKind = kind == .nativeHistogram ? MetricType.histogram : kind
    if try !registry.feedRuled(event, ruleKind, isTotal: metric.kind == .sum, into: &outcome) {
      guard registry.rules.exposesUnmatched else { throw .dropped }
      try feedNamed(event, metric, request, into: &outcome)
    }
    if let target = outcome.targets.first { noteService(target, metric, request) }
    return identity(attributes, point, metric, request, shape)
  }

  /// The metric and the point's attributes, for rules.
  func description(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor
  ) throws(Registry.Rejection) -> (EventDescription, OTLPAttributes) {
    let name = request.array(metric.name)
    if name.isEmpty { throw .badName }
    look(metric, request)
    let kind = metric.kind
    guard
      let attributes = OTLPAttributes(
        request.over(point.message), field: kind.attributeField, limit: 2 * registry.limits.labels)
    else { throw .tooManyLabels }
    var tags: [(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>)] = []
    for attribute in attributes.list { tags.append((attribute.key[...], attribute.value[...])) }
    for label in names.resourceLabels + names.scopeLabels
    where !tags.contains(where: { $0.name == label.key[...] }) {
      tags.append((label.key[...], label.value[...]))
    }
    let type: EventType =
      kind.kind == .counter ? .counter : kind.kind == .gauge ? .gauge : .distribution
    let event = EventDescription(name: name, type: type, tags: tags)
    try registry.check(event)
    return (event, attributes)
  }

  /// Feeds the family named after the metric's name, unit and type.
  private func feedNamed(
    _ event: EventDescription, _ metric: OTLPMetric, _ request: WireCursor,
    into outcome: inout Registry.Resolution
  ) throws(Registry.Rejection) {
    let kind = metric.kind
    let name = try family(event, metric, request)
    let isHistogram = kind.kind == .histogram || kind.kind == .nativeHistogram
    let labels = try labels(event, reserved: isHistogram ? "le" : "")
    let isShared = kind == .sum || kind == .level
    let isMax =
      isShared
      && (event.name.starts(with: "system.".utf8) || event.name.starts(with: "container.".utf8)
        || event.name.starts(with: "k8s.".utf8))
    let index = try registry.pointFamily(
      name, isMax ? .gauge : kind.kind, help: request.array(metric.description),
      bounds: kind.kind == .histogram ? buckets.bounds : nil,
      merge: isMax ? "|m:livemax" : kind == .level ? "|m:livesum" : ""
    ) { index in isSilent(index) }
    if registry.spellings.isOn { spell(event, family: name) }
    registry.feed(index, labels, event, into: &outcome, scale: 0)
  }

  func family(
    _ event: EventDescription, _ metric: OTLPMetric, _ request: WireCursor
  ) throws(Registry.Rejection) -> [UInt8] {
    var name = OTLPNames.family(
      event.name, unit: request.array(metric.unit), isCounter: metric.kind.kind == .counter,
      isGauge: metric.kind == .gauge)
    if name.allSatisfy({ $0 == UInt8(ascii: "_") }) { throw .badName }
    if Names.isReserved(name) { name = Array("exported_".utf8) + name }
    if name.count > registry.limits.nameByteCount { throw .nameTooLong }
    return name
  }

  /// Whether a family has had no point for five minutes: then its type may change.
  func isSilent(_ family: Int) -> Bool {
    family >= seenFamilies.count || seenFamilies[family] + 300 < nowSeconds
  }

  /// Keeps the names as the client wrote them, for scrapers that ask for those: unit and type
  /// follow the metric's own name.
  private func spell(_ event: EventDescription, family: [UInt8]) {
    let plain = OTLPNames.family(event.name, unit: [], isCounter: false, isGauge: false)
    if family.starts(with: plain) {
      registry.spell(OriginalNames.family, family, as: event.name + family.dropFirst(plain.count))
    }
    for tag in event.tags {
      let label = OTLPNames.label(Array(tag.name))
      if !label.isEmpty { registry.spell(OriginalNames.label, label, as: Array(tag.name)) }
    }
  }

  /// Labels in the order of the attributes' keys; values of colliding keys are joined.
  func labels(
    _ event: EventDescription, reserved: StaticString
  ) throws(Registry.Rejection) -> [Registry.Label] {
    var labels: [Registry.Label] = []
    for tag in event.tags {
      var name = OTLPNames.label(Array(tag.name))
      if name.isEmpty || tag.value.isEmpty { continue }
      if unsafe name.span.bytes.isEqual(to: reserved) { throw .reservedLabel }
      if name.elementsEqual("overflow".utf8) { name = Array("exported_".utf8) + name }
      if let index = labels.firstIndex(where: { $0.name == name }) {
        labels[index].value = (Array(labels[index].value) + [UInt8(ascii: ";")] + tag.value)[...]
      } else {
        labels.append((name, tag.value))
      }
    }
    return labels
  }

  // MARK: Identity

  /// Parses the resource and scope of a metric, if they differ from the previous ones.
  func look(_ metric: OTLPMetric, _ request: WireCursor) {
    if names.resource != metric.resource.lowerBound || metric.resource.isEmpty {
      names.resource = metric.resource.lowerBound
      names.resourceLabels = []
      names.service = []
      var text = ByteBuffer(capacity: 512)
      if let attributes = OTLPAttributes(request.over(metric.resource), field: 1) {
        Self.append(attributes, request, to: &text)
        names.service = attributes.value(of: "service.name") ?? []
        for key in settings.resourceLabels {
          for attribute in attributes.list where attribute.key == key {
            names.resourceLabels.append((key, attribute.value))
          }
        }
      }
      names.resourceDigest = streams.digest(text.bytes)
    }
    guard settings.hasScopeLabels, names.scope != metric.scope.lowerBound || metric.scope.isEmpty
    else { return }
    names.scope = metric.scope.lowerBound
    names.scopeLabels = []
    var cursor = request.over(metric.scope)
    while cursor.next() {
      guard cursor.number == 1 || cursor.number == 2, !cursor.content.isEmpty else { continue }
      names.scopeLabels.append(
        (
          Array((cursor.number == 1 ? "otel_scope_name" : "otel_scope_version").utf8),
          cursor.array(cursor.content)
        ))
    }
    for attribute in OTLPAttributes(request.over(metric.scope), field: 3)?.list ?? [] {
      names.scopeLabels.append((Array("otel_scope_".utf8) + attribute.key, attribute.value))
    }
  }

  private func identity(
    _ attributes: OTLPAttributes, _ point: OTLPPoint, _ metric: OTLPMetric,
    _ request: WireCursor, _ shape: UInt32
  ) -> Streams.Identity {
    var text = ByteBuffer(capacity: 512)
    for word in [
      names.resourceDigest.0, names.resourceDigest.1, point.start,
      UInt64(shape) << 8 | UInt64(metric.kind.rawValue),
    ] { text.append64(word) }
    for range in [metric.scope, metric.name, metric.unit] {
      Self.append(request.span(range), to: &text)
    }
    Self.append(attributes, request, to: &text)
    let digest = streams.digest(text.bytes)
    let group = streams.digest(text.bytes.extracting(16..<text.count)).0
    return Streams.Identity(high: digest.0, low: digest.1, group: group)
  }

  private static func append(
    _ attributes: OTLPAttributes, _ request: WireCursor, to text: inout ByteBuffer
  ) {
    for attribute in attributes.list {
      append(unsafe attribute.key.span.bytes, to: &text)
      append(request.span(attribute.raw), to: &text)
    }
  }

  /// With its length, so that different lists of parts never give the same text.
  private static func append(_ part: RawSpan, to text: inout ByteBuffer) {
    text.append64(UInt64(part.byteCount))
    text.append(part)
  }

  // MARK: Streams

  private func stream(
    _ identity: Streams.Identity, _ point: OTLPPoint, _ metric: OTLPMetric,
    _ request: WireCursor, _ shape: UInt32
  ) throws(Registry.Rejection) -> Record {
    if let known = streams.find(identity) {
      streams.heard(known, nowSeconds)
      return known
    }
    var hasForgotten = false
    let hasRoom = streams.hasRoom(now: nowSeconds) { record in
      registry.retire(record)
      hasForgotten = true
    }
    if hasForgotten { registry.forgetLines() }
    if !hasRoom { throw .streamLimit }
    let isExponential = metric.kind == .exponential
    var numbers = [isExponential ? Double(exponential.count) : point.value]
    if metric.kind == .histogram {
      numbers = [Double(buckets.count), buckets.sum]
      for count in buckets.counts { numbers.append(Double(count)) }
    }
    var base: [Double] = []
    if point.start == 0 || point.start == point.time {
      base = numbers
    } else if streams.isForgotten(identity) {
      base = numbers
      tell(
        2,
        joined(
          "OTLP: ", text(metric.name, request),
          " goes on after its stream had made room, and is "
            + "counted from now on: raise --max-otlp-streams"))
    } else if let relative = streams.relative(of: identity) {
      base = numbers
      if !isExponential {
        for index in numbers.indices {
          let other = streams.first(relative, index)
          base[index] = index == 1 && !other.isFinite ? numbers[1] : min(numbers[index], other)
        }
      }
      tell(
        3,
        joined(
          "OTLP: ", text(metric.name, request),
          " comes from processes that were forked after their "
            + "MeterProvider was made, so what they counted before is known by half: ",
          "make the provider in each worker, after the fork"))
    }
    do throws(Errno) {
      let cells =
        isExponential
        ? exponential.roomyCellCount
        : metric.kind == .histogram
          ? Streams.firstBucket + buckets.counts.count : Streams.cellCount
      let record = try streams.make(identity, shape: shape, cellCount: cells, first: numbers)
      streams.heard(record, nowSeconds)
      begin(record.headCell, base, isExponential)
      return record
    } catch { throw .stateFull }
  }

  /// Starts a stream at a point of which nothing counts.
  private func begin(_ stream: Int, _ base: [Double], _ isExponential: Bool) {
    if base.isEmpty { return }
    if isExponential { return exponential.keep(stream, in: registry.state) }
    let state = registry.state
    state.put(stream + Streams.value, base[0].bitPattern)
    if base.count > 1, base[1].isFinite { state.put(stream + Streams.sum, base[1].bitPattern) }
    for index in 2..<max(2, base.count) {
      state.put(stream + Streams.firstBucket + index - 2, UInt64(base[index]))
    }
  }
}
