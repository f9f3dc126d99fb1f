import SidecarPlatform

/// Points: read, looked up as lines of events are, and applied.
extension OTLPIntake {
  /// Of points in the table of known events; no event's type.
  private static let lineType = EventOrigin.otlp.rawValue | 1

  // MARK: Reading

  func readPoint(_ message: WireCursor, _ metric: OTLPMetric) throws(ReadFailure) {
    guard points.count < applier.limits.otlpPoints else { throw .tooMany }
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
      point.targets = withKey(message, metric, point) { key in registry.lines.find(key) }
    }
    // What is known was sound; of histograms the numbers may not be.
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

  // MARK: Applying

  /// What a point feeds: the stream first, if it has one, then series.
  struct Feed {
    var known: LineTable.Targets?
    var fresh: [LineTable.Target] = []

    @inline(__always)
    var count: Int { known?.count ?? fresh.count }
    @inline(__always)
    subscript(index: Int) -> LineTable.Target { known?[index] ?? fresh[index] }

    /// The stream's first cell; 0 without one.
    @inline(__always)
    var stream: Int { count > 0 && self[0].isStream ? Int(self[0].cell) : 0 }
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
        applier.counts.accept(.otlp, metric.kind.letter)
        if resource != metric.resource.lowerBound {
          resource = metric.resource.lowerBound
          showResource(metric, request)
        }
      } catch { refuse(error, metric, request) }
    }
  }

  /// Applies one point; whether it counts, and no rule drops it.
  @inline(__always)
  private func apply(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor
  ) throws(Registry.Rejection) -> Bool {
    if metric.kind.isUnknown { throw .noTemporality }
    if point.time == 0 { throw .badPoint }
    let feed: Feed
    switch metric.kind.point {
    case .numberPoint:
      if !point.hasNumber, !point.hasNoValue { throw .badPoint }
      if metric.kind == .sum || metric.kind == .deltaSum, !point.hasNoValue,
        !(point.value >= 0 && point.value <= Registry.greatestTerm)
      {
        throw .badPoint
      }
      feed = try self.feed(point, metric, request, shape: 0, first: point.value)
      if feed.count == 0 { return false }
      try applyNumber(point, metric, feed, request)
    case .histogramPoint:
      if point.hasNoValue { return true }
      guard buckets.read(request.over(point.message)) else { throw .badPoint }
      feed = try self.feed(
        point, metric, request, shape: buckets.shape, first: Double(buckets.count))
      if feed.count == 0 { return false }
      try applyHistogram(point, metric, feed, request)
    case .exponentialPoint:
      if point.hasNoValue { return true }
      guard let numbers = OTLPExponential(request.over(point.message)) else { throw .badPoint }
      feed = try self.feed(point, metric, request, shape: 0, first: Double(numbers.count), numbers)
      if feed.count == 0 { return false }
      try applyExponential(numbers, point, metric, feed, request)
    default: return try applySummary(point, metric, request)
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
      switch streams.step(
        stream, amount, isAbove: amount >= last, time: point.time, now: nowSeconds)
      {
      case .above: amount -= last
      case .reset:
        let lower = state.number(stream + Streams.lower)
        if amount < lower { amount += lower }
      case .nothing: return
      case .shared:
        tellShared(metric, request)
        amount -= last
      case .refused: throw .sharedStream
      }
      if point.value != last { state.store(stream + Streams.value, point.value) }
    }
    let isSet = metric.kind == .gauge || metric.kind == .level
    for index in feed.first..<feed.count {
      let target = feed[index]
      if target.kind == .clientGauge, metric.kind == .sum {
        registry.addPoint(target, point.value, isSet: true)
      } else {
        registry.addPoint(target, amount, isSet: isSet)
      }
    }
    seen(feed)
  }

  private func applyHistogram(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ feed: Feed, _ request: WireCursor
  ) throws(Registry.Rejection) {
    try check(feed)
    let stream = feed.stream
    var counts = buckets.counts
    var sum = buckets.sum
    let bounds = buckets.bounds
    if stream != 0 {
      let state = registry.state
      var isAbove = true
      for index in counts.indices {
        let last = state.value(stream + Streams.firstBucket + index)
        if counts[index] < last { isAbove = false }
        counts[index] &-= last
      }
      let step = streams.step(
        stream, Double(buckets.count), isAbove: isAbove, time: point.time, now: nowSeconds)
      switch step {
      case .above, .shared: sum -= state.number(stream + Streams.sum)
      case .reset: counts = buckets.counts
      case .nothing: return
      case .refused: throw .sharedStream
      }
      if step == .shared { tellShared(metric, request) }
      storeHistogram(stream, changed: counts, isWhole: step == .reset)
    }
    for index in feed.first..<feed.count {
      let samples = Distribution(
        sum: sum.isFinite ? sum : 0, bounds: bounds.span, counts: counts.span)
      if let refusal = registry.add(samples, to: feed[index]) { throw refusal }
    }
    seen(feed)
  }

  /// That each family can take the histogram in hand: before anything is stored.
  private func check(_ feed: Feed) throws(Registry.Rejection) {
    let bounds = buckets.bounds
    let counts = buckets.counts
    let samples = Distribution(sum: 0, bounds: bounds.span, counts: counts.span)
    for index in feed.first..<feed.count {
      let target = feed[index]
      switch target.kind {
      case .histogram:
        let factor = target.scale == 0 ? 1 : registry.scales[target.scale]
        if !samples.fits(registry.families[Int(target.family)].bounds, factor: factor) {
          throw .declarationConflict
        }
      case .nativeHistogram, .summary, .counter: break
      default: throw .typeConflict
      }
    }
  }

  /// `changed` has what was added to each bucket.
  private func storeHistogram(_ stream: Int, changed: [UInt64], isWhole: Bool) {
    let state = registry.state
    state.store(stream + Streams.value, Double(buckets.count))
    if buckets.sum.isFinite { state.store(stream + Streams.sum, buckets.sum) }
    for index in changed.indices where isWhole || changed[index] != 0 {
      state.store(stream + Streams.firstBucket + index, buckets.counts[index])
    }
  }

  private func applyExponential(
    _ numbers: OTLPExponential, _ point: OTLPPoint, _ metric: OTLPMetric, _ feed: Feed,
    _ request: WireCursor
  ) throws(Registry.Rejection) {
    for index in feed.first..<feed.count
    where feed[index].kind == .histogram || feed[index].kind == .gauge { throw .typeConflict }
    var stream = feed.stream
    var numbers = numbers
    var added = numbers
    if stream != 0 {
      let isAbove = added.subtract(OTLPExponential(stream, in: registry.state))
      let step = streams.step(
        stream, Double(numbers.count), isAbove: isAbove, time: point.time, now: nowSeconds)
      switch step {
      case .above: break
      case .shared: tellShared(metric, request)
      case .reset: added = numbers
      case .nothing: return
      case .refused: throw .sharedStream
      }
      while numbers.scale > added.scale { numbers.halve() }
      if registry.state.cellCount(Record(unit: UInt32(stream))) < numbers.cellCount {
        stream = try grow(Record(unit: UInt32(stream)), to: numbers.roomyCellCount).firstCell
      }
      numbers.store(stream, in: registry.state)
    }
    for index in feed.first..<feed.count {
      let refusal = added.withDistribution { samples in registry.add(samples, to: feed[index]) }
      if let refusal { throw refusal }
    }
    seen(feed)
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

  /// 0 where it has none.
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
