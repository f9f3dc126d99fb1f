/// The buckets of one or more tables of a snapshot, in the order of their values.
struct SortedBuckets {
  struct Bucket {
    /// The index by the magnitude of its values.
    let index: Int
    /// -1, 0 or 1.
    let sign: Int
    let count: UInt64
  }

  /// The common schema: the coarsest of the added tables.
  private(set) var schema = ExponentialScale.schemas.upperBound
  /// Bits 0..<43 count, above them the position: `zero`, and further from it the further from 0.
  private var words: [UInt64] = []
  private static let zero = 1 << 20
  private static let indexOffset = 1 << 19 + 1

  var count: Int { words.count }
  /// Where the buckets below 0 end.
  var firstZero: Int { position(of: Self.zero) }
  /// Where those above 0 start.
  var firstAbove: Int { position(of: Self.zero + 1) }

  private func position(of place: Int) -> Int {
    let word = UInt64(place) << UInt64(BucketTable.countBits)
    var position = 0
    while position < words.count, words[position] < word { position += 1 }
    return position
  }

  subscript(position: Int) -> Bucket {
    let word = words[position]
    let place = Int(truncatingIfNeeded: word >> UInt64(BucketTable.countBits)) - Self.zero
    let index = place == 0 ? 0 : abs(place) - Self.indexOffset
    return Bucket(index: index, sign: place.signum(), count: word & BucketTable.countLimit)
  }

  /// Adds the table whose control word is `values[control]`; `sort` must follow.
  mutating func add(_ values: Span<Double>, control: Int, capacity: Int) {
    let head = values[control].bitPattern
    if head == 0 { return }
    let schema = BucketTable.schema(head)
    if schema < self.schema { reduce(to: schema) }
    for at in control + 1...control + capacity {
      let word = values[at].bitPattern
      if word == 0 { continue }
      append(
        ExponentialScale.index(BucketTable.index(word), reducedBy: schema - self.schema),
        BucketTable.isNegative(word) ? -1 : 1, word & BucketTable.countLimit)
    }
  }

  /// The samples in all of them.
  var total: UInt64 {
    var total: UInt64 = 0
    for word in words { total += word & BucketTable.countLimit }
    return total
  }

  mutating func addZeros(_ count: UInt64) {
    if count > 0 { append(0, 0, min(count, BucketTable.countLimit)) }
  }

  /// Shell sort: a few hundred words, and little code.
  mutating func sort() {
    var gap = words.count / 2
    while gap > 0 {
      for start in gap..<words.count {
        let word = words[start]
        var at = start
        while at >= gap, words[at - gap] > word {
          words[at] = words[at - gap]
          at -= gap
        }
        words[at] = word
      }
      gap = gap == 2 ? 1 : gap * 5 / 11
    }
  }

  /// The buckets below or above 0, from the smallest magnitude on.
  func side(_ sign: Int) -> NativeHistogram.Side {
    var side = NativeHistogram.Side()
    var at = sign > 0 ? firstAbove : firstZero - 1
    let end = sign > 0 ? count : -1
    var next = 0
    while at != end {
      side.append(self[at].index, Double(self[at].count), &next)
      at += sign
    }
    return side
  }

  private mutating func append(_ index: Int, _ sign: Int, _ count: UInt64) {
    let place = Self.zero + (sign == 0 ? 0 : sign * (index + Self.indexOffset))
    words.append(UInt64(place) << UInt64(BucketTable.countBits) | count)
  }

  private mutating func reduce(to schema: Int) {
    let old = self
    words.removeAll()
    for position in 0..<old.count {
      let bucket = old[position]
      append(
        ExponentialScale.index(bucket.index, reducedBy: old.schema - schema), bucket.sign,
        bucket.count)
    }
    self.schema = schema
  }
}
