import SidecarPlatform

/// The native part of a pushed histogram: exponential buckets, besides the classic ones.
/// https://prometheus.io/docs/specs/native_histograms/
///
/// In a group's bytes it follows the metric's classic buckets; a metric has one if its bytes
/// continue there:
///
///       0   4  schema, signed              4   4  spans below 0     8   4  spans above 0
///      12   4  buckets below 0            16   4  buckets above 0  20   4  zero
///      24   8  width of the zero bucket   32   8  samples in it
///      40   8  each span: offset, signed, and length; those below 0 first
///       …   8  each bucket: its samples, from the smallest magnitude on; those below 0 first
///
/// What must stay true: each side has as many buckets as its spans are long.
struct NativeHistogram {
  /// A run of neighbours: empty buckets before it, and how many it has.
  struct Span: Equatable {
    var offset: Int
    var length: Int
  }

  /// The buckets below or above 0.
  struct Side: Equatable {
    var spans: [Span] = []
    var counts: [Double] = []
  }

  var schema = 0
  var zeroThreshold = 0.0
  var zeroCount = 0.0
  var below = Side()
  var above = Side()

  /// The most buckets that adding up may create; beyond, the resolution falls.
  static let bucketLimit = 2048
  private static let headByteCount = 40

  init() {}

  /// Whether Prometheus treats a histogram with this as a native one.
  var isNative: Bool {
    hasSpans || zeroThreshold > 0 || zeroCount > 0 || bucketCount > 0
  }

  var hasSpans: Bool { !below.spans.isEmpty || !above.spans.isEmpty }

  var bucketCount: Int { below.counts.count + above.counts.count }

  // MARK: Bytes

  /// Reads what `append` has written; `nil` if there is nothing.
  init?(_ group: RawSpan, _ range: Range<Int>) {
    guard range.count >= Self.headByteCount, range.upperBound <= group.byteCount else { return nil }
    let start = range.lowerBound
    func number(_ at: Int) -> Int { group.count32(at: start + at) }
    let places = [number(4), number(8), number(12), number(16)]
    // The file's checksum ensures that these bytes are as written; nothing is read beyond them.
    var size = (range.count - Self.headByteCount) / 8
    for count in places {
      guard count <= size else { return nil }
      size -= count
    }
    schema = group.signed32(at: start)
    zeroThreshold = group.double(at: start + 24)
    zeroCount = group.double(at: start + 32)
    var at = start + Self.headByteCount
    func spans(_ count: Int) -> [Span] {
      var list: [Span] = []
      for _ in 0..<count {
        list.append(
          Span(offset: group.signed32(at: at), length: group.count32(at: at + 4)))
        at += 8
      }
      return list
    }
    below.spans = spans(places[0])
    above.spans = spans(places[1])
    func counts(_ count: Int) -> [Double] {
      var list: [Double] = []
      for _ in 0..<count {
        list.append(group.double(at: at))
        at += 8
      }
      return list
    }
    below.counts = counts(places[2])
    above.counts = counts(places[3])
  }

  func append(to buffer: inout ByteBuffer) {
    buffer.append32(schema)
    buffer.append32(below.spans.count)
    buffer.append32(above.spans.count)
    buffer.append32(below.counts.count)
    buffer.append32(above.counts.count)
    buffer.append32(0)
    buffer.append(zeroThreshold)
    buffer.append(zeroCount)
    for span in below.spans + above.spans {
      buffer.append32(span.offset)
      buffer.append32(span.length)
    }
    for count in below.counts + above.counts { buffer.append(count) }
  }

  // MARK: Checks

  /// Why Prometheus would refuse it; `nil` if it would not.
  func mistake(count: Double, sum: Double, isFloat: Bool) -> StaticString? {
    guard ExponentialScale.schemas.contains(schema) else { return "a schema that is not -4 to 8" }
    guard zeroThreshold >= 0, zeroThreshold.isFinite else {
      return "a zero bucket of a width that cannot be"
    }
    guard zeroCount >= 0, count >= 0 else { return "a count below 0" }
    guard zeroCount <= GaugeRule.greatest, count.isFinite else { return "a count without end" }
    var total = zeroCount
    for side in [below, above] {
      if let mistake = side.mistake { return mistake }
      for count in side.counts { total += count }
    }
    // NaN observations are in no bucket. Sums of floats are not exact.
    if !isFloat, sum.isNaN ? total > count : total != count {
      return "buckets that do not add up to its count"
    }
    return nil
  }

  // MARK: Adding up

  /// Adds another one, at the lower of both resolutions; false if their zero buckets differ.
  mutating func add(_ other: NativeHistogram) -> Bool {
    guard zeroThreshold == other.zeroThreshold else { return false }
    var other = other
    let common = min(schema, other.schema)
    reduce(to: common)
    other.reduce(to: common)
    zeroCount += other.zeroCount
    below.add(other.below)
    above.add(other.above)
    while bucketCount > Self.bucketLimit, schema > ExponentialScale.schemas.lowerBound {
      reduce(to: schema - 1)
    }
    return true
  }

  private mutating func reduce(to lower: Int) {
    guard lower < schema else { return }
    below.reduce(by: schema - lower)
    above.reduce(by: schema - lower)
    schema = lower
  }
}

extension NativeHistogram.Side {
  private typealias Bucket = (index: Int, count: Double)

  /// Every computation here is exact for indexes within this, on 32-bit machines too.
  private static let indexLimit = 1 << 26

  var mistake: StaticString? {
    var left = counts.count
    var index = 0
    for (place, span) in spans.enumerated() {
      if place > 0, span.offset < 0 { return "spans that overlap" }
      guard span.length <= left, span.offset.magnitude < Self.indexLimit else {
        return "spans and buckets that do not go together"
      }
      left -= span.length
      index += span.offset + span.length
      guard abs(index) < Self.indexLimit else { return "a bucket that is too far out" }
    }
    if left > 0 { return "spans and buckets that do not go together" }
    for count in counts where !(count >= 0 && count <= GaugeRule.greatest) {
      return "a count below 0"
    }
    return nil
  }

  /// Calls `body` with each bucket's index and count, in order.
  func forEach(_ body: (Int, Double) -> Void) {
    var index = 0
    var at = 0
    for span in spans {
      index += span.offset
      for _ in 0..<span.length where at < counts.count {
        body(index, counts[at])
        index += 1
        at += 1
      }
    }
  }

  /// The buckets with samples, adjacent ones merged into spans.
  private func buckets(reducedBy steps: Int) -> [Bucket] {
    var list: [Bucket] = []
    forEach { index, count in
      let reduced = ExponentialScale.index(index, reducedBy: steps)
      if count == 0 { return }
      if let last = list.last, last.index == reduced {
        list[list.count - 1].count += count
      } else {
        list.append((reduced, count))
      }
    }
    return list
  }

  private mutating func take(_ buckets: [Bucket]) {
    spans = []
    counts = []
    var next = 0
    for bucket in buckets { append(bucket.index, bucket.count, &next) }
  }

  /// Adds a bucket after the others, the last of which is before `next`.
  mutating func append(_ index: Int, _ count: Double, _ next: inout Int) {
    if spans.isEmpty || index != next {
      spans.append(.init(offset: index - next, length: 0))
    }
    spans[spans.count - 1].length += 1
    counts.append(count)
    next = index + 1
  }

  /// The samples in all buckets.
  var total: Double { counts.reduce(0, +) }

  fileprivate mutating func reduce(by steps: Int) { take(buckets(reducedBy: steps)) }

  fileprivate mutating func add(_ other: Self) {
    let (left, right) = (buckets(reducedBy: 0), other.buckets(reducedBy: 0))
    var sum: [Bucket] = []
    var at = 0
    for bucket in left {
      while at < right.count, right[at].index < bucket.index {
        sum.append(right[at])
        at += 1
      }
      sum.append(bucket)
      if at < right.count, right[at].index == bucket.index {
        sum[sum.count - 1].count += right[at].count
        at += 1
      }
    }
    sum += right[at...]
    // An empty span may be all that marks a native histogram without samples.
    if sum.isEmpty, spans.isEmpty { spans = other.spans }
    if !sum.isEmpty { take(sum) }
  }
}
