import SidecarPlatform

/// Samples that come already added up.
extension Registry {
  /// Adds them to all that a `feed` has, as part of the current transaction. A counter adds the sum, a
  /// histogram and a native one their buckets, a summary what stands for each bucket.
  /// - Returns: why no family took them; `declarationConflict` where one has other buckets.
  @inline(never)
  func add(_ samples: Distribution, to feed: Feed) -> Rejection? {
    if let refusal = feed.refusal { return refusal }
    var refusal: Rejection?
    var isTaken = false
    for index in 0..<feed.count {
      if let reason = add(samples, to: feed[index]) {
        refusal = reason
      } else {
        isTaken = true
      }
    }
    return isTaken ? nil : refusal
  }

  private func add(_ samples: Distribution, to target: LineTable.Target) -> Rejection? {
    let family = families[Int(target.family)]
    let factor = target.scale == 0 ? 1 : scales[target.scale]
    let sum = samples.sum * factor
    let record = Int(target.cell)
    guard sum.magnitude <= Self.greatestTerm, factor > 0, sum >= 0 || target.kind != .counter else {
      refusedValues += 1
      return nil
    }
    let options = family.options
    switch target.kind {
    case .counter: state.add(record + 1, sum)
    case .histogram:
      guard samples.fits(family.bounds, factor: factor) else { return .declarationConflict }
      state.add(record + HistogramCells.sum, sum)
      samples.forEachBucket { bucket in
        let place = Self.bucket(of: bucket.upper * factor, family.bounds)
        state.add(record + HistogramCells.firstBucket + place, Double(bucket.count))
      }
    case .summary:
      state.add(record + SummaryCells.sum, sum)
      samples.forEachBucket { bucket in
        SummaryCells.observe(
          bucket.middle * factor, Double(bucket.count), in: state, record, now: now, options)
      }
    case .nativeHistogram:
      state.add(record + NativeHistogramCells.sum, sum)
      samples.forEachBucket { bucket in
        if factor == 1, let exponential = samples.exponential {
          NativeHistogramCells.add(bucket, exponential.schema, in: state, record, family)
        } else {
          NativeHistogramCells.observe(
            bucket.middle * factor, Double(bucket.count), in: state, record, family)
        }
      }
    default: return .typeConflict
    }
    return nil
  }

  /// The first bucket that holds all values up to `upper`; bounds that differ by rounding are one.
  private static func bucket(of upper: Double, _ bounds: [Double]) -> Int {
    var place = 0
    while place < bounds.count, upper > bounds[place] + bounds[place].magnitude * 1e-12 {
      place += 1
    }
    return place
  }
}
