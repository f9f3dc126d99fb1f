import SidecarPlatform

/// Points: parsed, looked up like lines of events, and applied.
extension OTLPIntake {
  /// The type of points in the table of known events; different from any event's.
  private static let lineType = EventOrigin.otlp.rawValue | 1

  // MARK: Reading

  @inline(never)
  @_optimize(speed)
  func readPoints(_ data: WireCursor, _ metric: OTLPMetric) throws(ReadFailure) {
    let isNumber = metric.kind.point == .numberPoint
    var cursor = data
    while cursor.advance() {
      guard cursor.number == 1 else { continue }
      guard cursor.type == WireCursor.bytes else { throw .malformed }
      guard points.count < processor.limits.otlpPoints else { throw .tooMany }
      let message = cursor.contentCursor
      if !isNumber || !readUsual(message, metric) { try readAny(message, metric) }
    }
    if cursor.isMalformed { throw .malformed }
  }

  /// Reads a known point whose fields are in the usual order: what follows its numbers is as it was
  /// when it was checked, so nothing of it is looked at but whether it is the same.
  @inline(__always)
  @_optimize(speed)
  private func readUsual(_ message: WireCursor, _ metric: OTLPMetric) -> Bool {
    guard let head = message.pointHead else { return false }
    var point = OTLPPoint()
    point.start = head.start
    point.time = head.time
    point.attributes = message.at &+ WireCursor.pointHeadByteCount..<message.end
    point.targets = find(message, metric, point)
    if point.targets == nil { return false }
    point.metric = metrics.count &- 1
    point.message = message.at..<message.end
    point.hasNumber = true
    point.value = head.value
    if metric.kind.isDelta { hasDelta = true }
    points.append(point)
    return true
  }

  @inline(never)
  private func readAny(_ message: WireCursor, _ metric: OTLPMetric) throws(ReadFailure) {
    var point = OTLPPoint()
    point.metric = metrics.count - 1
    point.message = message.at..<message.end
    let kind = metric.kind
    let isNumber = kind.point == .numberPoint
    var cursor = message
    var attributeEnd = -1
    while cursor.next() {
      switch cursor.number {
      case 2:
        if cursor.type != WireCursor.fixed { throw .malformed }
        point.start = cursor.bits
      case 3:
        if cursor.type != WireCursor.fixed { throw .malformed }
        point.time = cursor.bits
      case 4 where isNumber, 6 where isNumber:
        if cursor.type != WireCursor.fixed { throw .malformed }
        point.hasNumber = true
        point.value =
          cursor.number == 4
          ? Double(bitPattern: cursor.bits) : Double(Int64(bitPattern: cursor.bits))
      case kind.attributeField:
        if cursor.type != WireCursor.bytes { throw .malformed }
        if attributeEnd < 0 {
          point.attributes = cursor.fieldStart..<cursor.at
        } else if attributeEnd == cursor.fieldStart {
          point.attributes = point.attributes.lowerBound..<cursor.at
        } else {
          point.isPlain = false
        }
        attributeEnd = cursor.at
      case kind.flagField:
        if cursor.type != WireCursor.varint { throw .malformed }
        point.hasNoValue = cursor.bits & 1 != 0
      case kind.exemplarField: point.hasExemplars = true
      default: break
      }
    }
    if cursor.isMalformed { throw .malformed }
    if kind.isDelta { hasDelta = true }
    if point.isPlain {
      point.targets = find(message, metric, point)
    }
    if !isValid(point, metric) {
      if isLong {
        needsTurns = true
      } else if !OTLPSchema.isSound(message, kind.point, depth: 5) {
        throw .malformed
      }
    }
    if point.targets == nil { hasUnknown = true }
    points.append(point)
  }

  /// Whether it needs no check: a known point was valid; a histogram's numbers may not be.
  @inline(__always)
  func isValid(_ point: OTLPPoint, _ metric: OTLPMetric) -> Bool {
    point.targets != nil && metric.kind.point == .numberPoint && !point.hasExemplars
  }

  @inline(__always)
  @_optimize(speed)
  func withKey<Result>(
    _ message: WireCursor, _ metric: OTLPMetric, _ point: OTLPPoint,
    _ body: (LineKey) -> Result
  ) -> Result {
    LineKey.withKey(
      registry.lines.key, name: (metric.context, metric.kind.hasStreams ? point.start : 0),
      type: Self.lineType, longTags: message.span(point.attributes), body)
  }

  /// The targets of a known point.
  @inline(never)
  @_optimize(speed)
  func find(_ message: WireCursor, _ metric: OTLPMetric, _ point: OTLPPoint) -> LineTable.Targets? {
    withKey(message, metric, point) { key in registry.lines.find(key) }
  }

  // MARK: Applying

  /// The targets of a point: the stream first, if it has one, then series.
  struct Feed {
    var known: LineTable.Targets?
    var fresh: [LineTable.Target] = []

    @inline(__always)
    var count: Int { known?.count ?? fresh.count }
    @inline(never)
    subscript(index: Int) -> LineTable.Target { target(index) }

    @inline(__always)
    func target(_ index: Int) -> LineTable.Target { known?[index] ?? fresh[index] }

    /// The stream's first cell; 0 without one.
    @inline(never)
    var stream: Int { count > 0 && target(0).isStream ? Int(target(0).cell) : 0 }
    /// The same, even if the known line is forgotten.
    var copied: Feed { Feed(fresh: (0..<count).map { self[$0] }) }

    /// Where series begin.
    @inline(__always)
    var first: Int { stream == 0 ? 0 : 1 }
  }

  @_optimize(speed)
  func applyPoints(_ request: WireCursor) {
    let generation = registry.lineGeneration
    let isQuiet = processor.tap == nil
    names = OTLPIdentity()
    var resource = -1
    var known: UInt64 = 0
    var metric = OTLPMetric()
    var place = -1
    for index in points.indices {
      if registry.lineGeneration != generation { points[index].targets = nil }
      let point = points[index]
      if point.metric != place {
        counted(known, metric.kind)
        known = 0
        place = point.metric
        metric = metrics[place]
      }
      if isQuiet, metric.resource.lowerBound == resource, addKnown(point, metric.kind) {
        known &+= 1
      } else {
        applyOther(point, metric, request, &resource)
      }
    }
    counted(known, metric.kind)
  }

  @inline(never)
  private func counted(_ count: UInt64, _ kind: OTLPKind) {
    processor.counts.accept(.otlp, kind.letter, count)
  }

  @inline(never)
  private func applyOther(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor, _ resource: inout Int
  ) {
    do throws(Registry.Rejection) {
      guard try apply(point, metric, request) else { return }
      applied(metric, request)
      if resource != metric.resource.lowerBound {
        resource = metric.resource.lowerBound
        showResource(metric, request)
      }
    } catch { refuse(error, metric, request) }
  }

  /// Applies a known point of one counter, where nothing about it is special: what most points are.
  /// Otherwise changes nothing and returns `false`.
  @inline(__always)
  @_optimize(speed)
  private func addKnown(_ point: OTLPPoint, _ kind: OTLPKind) -> Bool {
    guard let targets = point.targets, kind == .sum || kind == .deltaSum, !point.hasExemplars,
      point.hasNumber, !point.hasNoValue, point.time != 0,
      point.value >= 0, point.value <= Registry.greatestTerm,
      targets.count == (kind == .sum ? 2 : 1)
    else { return false }
    let target = targets[targets.count &- 1]
    guard target.kind == .counter, target.scale == 0, Int(target.family) < seenFamilies.count else {
      return false
    }
    let state = registry.state
    var amount = point.value
    if kind == .sum {
      guard targets[0].isStream else { return false }
      let stream = Int(targets[0].cell)
      let last = state.number(stream + Streams.value)
      guard amount >= last, streams.isRegular(stream, now: nowSeconds) else { return false }
      amount -= last
      if point.time > state.value(stream + Streams.time) {
        state.put(stream + Streams.time, point.time)
      }
      if amount != 0 { state.put(stream + Streams.value, point.value.bitPattern) }
    }
    state.add(Int(target.cell) + 1, amount)
    if seenFamilies[Int(target.family)] != nowSeconds {
      seenFamilies[Int(target.family)] = nowSeconds
    }
    return true
  }

  func applied(_ metric: OTLPMetric, _ request: WireCursor) {
    counted(1, metric.kind)
    if processor.tap != nil { show(metric, request) }
    if registry.loss != nil { noteLoss(metric, request) }
  }

  /// Applies one point; returns whether it counts, and no rule drops it.
  private func apply(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor
  ) throws(Registry.Rejection) -> Bool {
    if metric.kind == .summary { return try applySummary(point, metric, request) }
    var feed = try self.feed(point, metric, request)
    if feed.count == 0 { return isEmpty(point, metric) }
    try add(point, metric, &feed, request)
    return true
  }

  /// A histogram's point without numbers: it counts, and changes nothing.
  func isEmpty(_ point: OTLPPoint, _ metric: OTLPMetric) -> Bool {
    point.hasNoValue && metric.kind.point != .numberPoint
  }

  /// Reads a point's numbers, and finds what it feeds.
  @inline(never)
  func feed(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor
  ) throws(Registry.Rejection) -> Feed {
    if metric.kind.isUnknown { throw .noTemporality }
    if point.time == 0 { throw .badPoint }
    var shape: UInt32 = 0
    if metric.kind.point == .numberPoint {
      if !point.hasNumber, !point.hasNoValue { throw .badPoint }
      if metric.kind == .sum || metric.kind == .deltaSum, !point.hasNoValue,
        !(point.value >= 0 && point.value <= Registry.greatestTerm)
      {
        throw .badPoint
      }
    } else {
      if point.hasNoValue { return Feed() }
      guard readNumbers(point, metric, request, &shape) else { throw .badPoint }
    }
    return try feed(point, metric, request, shape: shape)
  }

  /// Reads a histogram's numbers; returns whether they are consistent.
  @inline(never)
  func readNumbers(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor, _ shape: inout UInt32
  ) -> Bool {
    let message = request.over(point.message)
    if metric.kind.point == .exponentialPoint {
      exponential = OTLPExponential()
      return exponential.read(message)
    }
    guard buckets.read(message) else { return false }
    shape = buckets.shape
    return true
  }

  /// Applies a point whose numbers have been read.
  @inline(never)
  func add(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ feed: inout Feed, _ request: WireCursor
  ) throws(Registry.Rejection) {
    if metric.kind.point == .numberPoint {
      try applyNumber(point, metric, feed, request)
    } else {
      try applySamples(point, metric, &feed, request)
    }
    if point.hasExemplars { keepExemplars(point, metric, feed, request) }
  }

  @inline(never)
  private func applyNumber(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ feed: Feed, _ request: WireCursor
  ) throws(Registry.Rejection) {
    if point.hasNoValue {
      for index in feed.first..<feed.count { registry.endPoint(feed[index]) }
      return
    }
    var amount = point.value
    let stream = feed.stream
    if stream != 0 {
      let state = registry.state
      let last = state.number(stream + Streams.value)
      switch try step(stream, amount, isAbove: amount >= last, point, metric, request) {
      case .nothing: return
      case .reset:
        let lower = state.number(stream + Streams.lower)
        if amount < lower { amount += lower }
      default: amount -= last
      }
      if point.value != last { state.put(stream + Streams.value, point.value.bitPattern) }
    }
    let isSet = metric.kind == .gauge || metric.kind == .level
    for index in feed.first..<feed.count {
      let target = feed.target(index)
      if target.kind == .clientGauge, metric.kind == .sum {
        registry.addPoint(target, point.value, isSet: true)
      } else {
        registry.addPoint(target, amount, isSet: isSet)
      }
    }
    seen(feed)
  }

  /// What a point means to its stream: `.above`, `.reset` or `.nothing`.
  @inline(never)
  func step(
    _ stream: Int, _ value: Double, isAbove: Bool, _ point: OTLPPoint, _ metric: OTLPMetric,
    _ request: WireCursor
  ) throws(Registry.Rejection) -> Streams.Step {
    let step = streams.step(stream, value, isAbove: isAbove, time: point.time, now: nowSeconds)
    if step == .refused { throw .sharedStream }
    guard step == .shared else { return step }
    tellShared(metric, request)
    return .above
  }

  /// The families have had a point.
  @inline(never)
  func seen(_ feed: Feed) {
    for index in feed.first..<feed.count {
      let family = Int(feed[index].family)
      if family < seenFamilies.count {
        if seenFamilies[family] != nowSeconds { seenFamilies[family] = nowSeconds }
      } else {
        growSeen(family)
      }
    }
  }

  @inline(never)
  private func growSeen(_ family: Int) {
    seenFamilies += [UInt64](repeating: nowSeconds, count: family + 1 - seenFamilies.count)
  }
}

extension OTLPKind {
  /// The number of a point's field.
  @inline(__always)
  var attributeField: Int {
    switch point {
    case .histogramPoint: 9
    case .exponentialPoint: 1
    default: 7
    }
  }

  @inline(__always)
  var flagField: Int { point == .histogramPoint || point == .exponentialPoint ? 10 : 8 }

  /// 0 if it has none.
  @inline(__always)
  var exemplarField: Int {
    switch point {
    case .numberPoint: 5
    case .histogramPoint: 8
    case .exponentialPoint: 11
    default: 0
    }
  }
}
