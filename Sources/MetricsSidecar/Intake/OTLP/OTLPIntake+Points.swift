import SidecarPlatform

/// Points: parsed, looked up like lines of events, and applied.
extension OTLPIntake {
  /// The type of points in the table of known events; different from any event's.
  private static let lineType = EventOrigin.otlp.rawValue | 1

  // MARK: Reading

  func readPoint(_ message: WireCursor, _ metric: OTLPMetric) throws(ReadFailure) {
    guard points.count < processor.limits.otlpPoints else { throw .tooMany }
    var point = OTLPPoint()
    point.metric = metrics.count - 1
    point.message = message.at..<message.end
    let kind = metric.kind
    let isNumber = kind.point == .numberPoint
    var cursor = message
    var attributeEnd = -1
    while cursor.advance() {
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
    // A known point was valid; a histogram's numbers may not be.
    if point.targets == nil || !isNumber || point.hasExemplars {
      if !OTLPSchema.isSound(message, kind.point, depth: 5) { throw .malformed }
    }
    if point.targets == nil { hasUnknown = true }
    points.append(point)
  }

  @inline(__always)
  @_optimize(speed)
  func withKey<Result>(
    _ message: WireCursor, _ metric: OTLPMetric, _ point: OTLPPoint,
    _ body: (LineKey) -> Result
  ) -> Result {
    var name = (metric.context, metric.kind.hasStreams ? point.start : 0)
    return unsafe withUnsafeBytes(of: &name) { name in
      unsafe LineKey.withKey(
        registry.lines.key, name: RawSpan(_unsafeBytes: name), type: Self.lineType,
        tags: message.span(point.attributes), body)
    }
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

  func applyPoints(_ request: WireCursor) {
    let generation = registry.lineGeneration
    names = OTLPIdentity()
    var resource = -1
    for index in points.indices {
      var point = points[index]
      let metric = metrics[point.metric]
      if registry.lineGeneration != generation { point.targets = nil }
      do throws(Registry.Rejection) {
        guard try apply(point, metric, request) else { continue }
        processor.counts.accept(.otlp, metric.kind.letter)
        if processor.tap != nil { show(metric, request) }
        if resource != metric.resource.lowerBound {
          resource = metric.resource.lowerBound
          showResource(metric, request)
        }
      } catch { refuse(error, metric, request) }
    }
  }

  /// Applies one point; returns whether it counts, and no rule drops it.
  @inline(__always)
  private func apply(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor
  ) throws(Registry.Rejection) -> Bool {
    if metric.kind.isUnknown { throw .noTemporality }
    if point.time == 0 { throw .badPoint }
    var feed: Feed
    switch metric.kind.point {
    case .numberPoint:
      if !point.hasNumber, !point.hasNoValue { throw .badPoint }
      if metric.kind == .sum || metric.kind == .deltaSum, !point.hasNoValue,
        !(point.value >= 0 && point.value <= Registry.greatestTerm)
      {
        throw .badPoint
      }
      feed = try self.feed(point, metric, request, shape: 0)
      if feed.count == 0 { return false }
      try applyNumber(point, metric, feed, request)
    case .summaryPoint: return try applySummary(point, metric, request)
    default:
      if point.hasNoValue { return true }
      let message = request.over(point.message)
      var shape: UInt32 = 0
      if metric.kind.point == .exponentialPoint {
        exponential = OTLPExponential()
        guard exponential.read(message) else { throw .badPoint }
      } else {
        guard buckets.read(message) else { throw .badPoint }
        shape = buckets.shape
      }
      feed = try self.feed(point, metric, request, shape: shape)
      if feed.count == 0 { return false }
      try applySamples(point, metric, &feed, request)
    }
    if point.hasExemplars { keepExemplars(point, metric, feed, request) }
    return true
  }

  @inline(__always)
  @_optimize(speed)
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
  @_optimize(speed)
  private func step(
    _ stream: Int, _ value: Double, isAbove: Bool, _ point: OTLPPoint, _ metric: OTLPMetric,
    _ request: WireCursor
  ) throws(Registry.Rejection) -> Streams.Step {
    let step = streams.step(stream, value, isAbove: isAbove, time: point.time, now: nowSeconds)
    if step == .refused { throw .sharedStream }
    guard step == .shared else { return step }
    tellShared(metric, request)
    return .above
  }

  /// Applies a histogram's point, whose numbers are in `buckets` or `exponential`.
  private func applySamples(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ feed: inout Feed, _ request: WireCursor
  ) throws(Registry.Rejection) {
    let isExponential = metric.kind.point == .exponentialPoint
    // Before anything is stored.
    for index in feed.first..<feed.count { try check(feed[index], isExponential) }
    var added = exponential
    var counts = buckets.counts
    var sum = buckets.sum
    var stream = feed.stream
    if stream != 0 {
      let state = registry.state
      var isAbove = true
      if isExponential {
        isAbove = added.subtract(OTLPExponential(stream, in: state))
      } else {
        sum -= state.number(stream + Streams.sum)
        for index in counts.indices {
          let last = state.value(stream + Streams.firstBucket + index)
          if counts[index] < last { isAbove = false }
          counts[index] &-= last
        }
      }
      let count = isExponential ? exponential.count : buckets.count
      let step = try step(stream, Double(count), isAbove: isAbove, point, metric, request)
      if step == .nothing { return }
      if step == .reset {
        while exponential.scale > added.scale { exponential.halve() }
        added = exponential
        counts = buckets.counts
        sum = buckets.sum
      }
      if isExponential {
        while exponential.scale > added.scale { exponential.halve() }
        if state.cellCount(Record(unit: UInt32(stream))) < exponential.cellCount {
          // Another record is another line: forget this one.
          feed = feed.copied
          stream = try grow(Record(unit: UInt32(stream)), to: exponential.roomyCellCount).headCell
        }
        exponential.keep(stream, in: state)
      } else {
        state.put(stream + Streams.value, Double(count).bitPattern)
        if buckets.sum.isFinite { state.put(stream + Streams.sum, buckets.sum.bitPattern) }
        for index in counts.indices where step == .reset || counts[index] != 0 {
          state.put(stream + Streams.firstBucket + index, buckets.counts[index])
        }
      }
    }
    let bounds = buckets.bounds
    for index in feed.first..<feed.count {
      let refusal =
        isExponential
        ? added.add(to: feed[index], in: registry)
        : registry.add(
          Distribution(sum: sum.isFinite ? sum : 0, bounds: bounds.span, counts: counts.span),
          to: feed[index])
      if let refusal { throw refusal }
    }
    seen(feed)
  }

  /// Checks that a family can add the current histogram.
  private func check(
    _ target: LineTable.Target, _ isExponential: Bool
  ) throws(Registry.Rejection) {
    switch target.kind {
    case .histogram where !isExponential:
      let bounds = buckets.bounds
      let counts = buckets.counts
      let factor = target.scale == 0 ? 1 : registry.scales[target.scale]
      if !Distribution(sum: 0, bounds: bounds.span, counts: counts.span)
        .fits(registry.families[Int(target.family)].bounds, factor: factor)
      {
        throw .declarationConflict
      }
    case .nativeHistogram, .summary, .counter: break
    default: throw .typeConflict
    }
  }

  private func grow(_ record: Record, to cellCount: Int) throws(Registry.Rejection) -> Record {
    do throws(Errno) {
      let grown = try streams.grow(record, cellCount: cellCount)
      registry.retire(record)
      registry.forgetLines()
      return grown
    } catch { throw .stateFull }
  }

  /// The families have had a point.
  @inline(__always)
  private func seen(_ feed: Feed) {
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

  // MARK: Exemplars

  private func keepExemplars(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ feed: Feed, _ request: WireCursor
  ) {
    var cursor = request.over(point.message)
    var labels = ByteBuffer(capacity: 96)
    while cursor.next() {
      guard cursor.number == metric.kind.exemplarField, cursor.type == WireCursor.bytes else {
        continue
      }
      var exemplar = cursor.inside
      var value = Double.nan
      labels.removeAll()
      while exemplar.next() {
        switch exemplar.number {
        case 3: value = Double(bitPattern: exemplar.bits)
        case 6: value = Double(Int64(bitPattern: exemplar.bits))
        case 4, 5:
          if exemplar.content.isEmpty || exemplar.content.count > 16 { continue }
          if !labels.isEmpty { labels.append(UInt8(ascii: ",")) }
          labels.append(exemplar.number == 4 ? "span_id:" : "trace_id:")
          for byte in exemplar.array(exemplar.content) {
            for digit in [byte >> 4, byte & 15] {
              labels.append(digit < 10 ? 48 + digit : 87 + digit)
            }
          }
        default: break
        }
      }
      guard value.isFinite, !labels.isEmpty else { continue }
      for index in feed.first..<feed.count {
        registry.keepExemplar(labels.bytes, feed[index], value: value)
      }
    }
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
