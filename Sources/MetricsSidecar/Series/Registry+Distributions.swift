import SidecarPlatform

/// Samples that arrive aggregated.
extension Registry {
  /// Adds them to all targets of a `feed`, as part of the current transaction. A counter adds the
  /// sum, a histogram and a native one their buckets, a summary a value for each bucket.
  /// - Returns: why no family accepted them; `declarationConflict` if one has other buckets.
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

  /// The same for one of the series that a feed has.
  func add(_ samples: Distribution, to target: LineTable.Target) -> Rejection? {
    let factor = target.scale == 0 ? 1 : scales[target.scale]
    let sum = samples.sum * factor
    guard sum.magnitude <= Self.greatestTerm, factor > 0 else {
      refusedValues += 1
      return nil
    }
    let family = families[Int(target.family)]
    return family.metric.add(
      samples, sum: sum, factor: factor, Int(target.cell), family, in: self)
  }
}
