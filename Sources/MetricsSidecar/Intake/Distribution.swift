import SidecarPlatform

/// Many samples at once, from clients that aggregate: counts of fixed or exponential buckets, and
/// the sum of the values.
///
/// What must stay true: the counts are the increments since the last time, and the spans belong to
/// the caller and are valid during the call. With fixed buckets `counts` has one more element than
/// `bounds`, which are ascending.
struct Distribution: ~Escapable {
  /// 0 if the client does not send it.
  let sum: Double
  /// Upper bounds without +Inf.
  let bounds: Span<Double>
  /// Samples of each bucket, not cumulative, +Inf last; with exponential buckets those above 0.
  let counts: Span<UInt64>
  /// The schema of exponential buckets, as in `ExponentialScale`.
  let exponential: Exponential?
  let negativeCounts: Span<UInt64>

  struct Exponential {
    let schema: Int
    /// Samples near 0.
    var zeros: UInt64 = 0
    /// The buckets that `counts` and `negativeCounts` begin with: the first one holds the
    /// magnitudes up to 2^(index / 2^schema). OpenTelemetry's numbers are one less.
    var firstIndex = 0
    var firstNegativeIndex = 0
  }

  @_lifetime(copy bounds, copy counts)
  init(sum: Double, bounds: Span<Double>, counts: Span<UInt64>) {
    precondition(counts.count == bounds.count + 1)
    self.sum = sum
    self.bounds = bounds
    self.counts = counts
    exponential = nil
    negativeCounts = counts.extracting(0..<0)
  }

  @_lifetime(copy counts, copy negativeCounts)
  init(
    sum: Double, _ exponential: Exponential, counts: Span<UInt64>, negativeCounts: Span<UInt64>
  ) {
    self.sum = sum
    bounds = Span()
    self.counts = counts
    self.exponential = exponential
    self.negativeCounts = negativeCounts
  }

  /// Some samples of one bucket.
  struct Bucket {
    /// The bucket's upper bound, and a representative value.
    let upper: Double
    let middle: Double
    /// The sign of an exponential bucket; 0 for the one near 0.
    var index = 0
    let count: UInt64
  }

  /// Calls `body` with each bucket that has samples.
  func forEachBucket(_ body: (Bucket) -> Void) {
    guard let exponential else {
      for place in 0..<counts.count where counts[place] > 0 {
        let upper = place < bounds.count ? bounds[place] : .infinity
        let lower = place > 0 ? bounds[place - 1] : min(0, upper)
        let middle = upper.isFinite ? lower / 2 + upper / 2 : lower.isFinite ? lower : 0
        body(Bucket(upper: upper, middle: middle, count: counts[place]))
      }
      return
    }
    let schema = exponential.schema
    for place in 0..<negativeCounts.count where negativeCounts[place] > 0 {
      let index = exponential.firstNegativeIndex + place
      body(
        Bucket(
          upper: -ExponentialScale.upperBound(of: index - 1, schema: schema),
          middle: -ExponentialScale.middle(of: index, schema: schema), index: index,
          count: negativeCounts[place]))
    }
    if exponential.zeros > 0 { body(Bucket(upper: 0, middle: 0, count: exponential.zeros)) }
    for place in 0..<counts.count where counts[place] > 0 {
      let index = exponential.firstIndex + place
      body(
        Bucket(
          upper: ExponentialScale.upperBound(of: index, schema: schema),
          middle: ExponentialScale.middle(of: index, schema: schema), index: index,
          count: counts[place]))
    }
  }

  /// Whether fixed buckets, times `factor`, can be added to those of a family: each of its
  /// bounds is one of theirs.
  func fits(_ family: [Double], factor: Double) -> Bool {
    if exponential != nil { return true }
    var place = 0
    for bound in family {
      while place < bounds.count, bounds[place] * factor < bound * (1 - 1e-12) { place += 1 }
      guard place < bounds.count, bounds[place] * factor <= bound * (1 + 1e-12) else {
        return false
      }
    }
    return true
  }
}
