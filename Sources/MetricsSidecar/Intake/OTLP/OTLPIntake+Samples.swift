import SidecarPlatform

/// Points of histograms, and exemplars.
extension OTLPIntake {
  /// Applies a histogram's point, whose numbers are in `buckets` or `exponential`.
  func applySamples(
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
      registry.removals &+= 1
      registry.forgetLines()
      return grown
    } catch { throw .stateFull }
  }

  // MARK: Exemplars

  func keepExemplars(
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
          for byte in exemplar.array(exemplar.content) { labels.appendHex(byte) }
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
