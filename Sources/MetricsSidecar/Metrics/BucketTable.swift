/// Counts by exponential bucket, in a record's cells. A bucket costs a cell once it has a sample,
/// so outliers cost one each. When there are too many, resolution is halved until there are not:
/// bounds grow coarser, and no count is lost.
///
///     control  bits 0..<16 buckets in use, 16..<24 schema + 16, 24 set; 0 before the first sample
///     table    cells of: bits 0..<43 count, 43..<63 index + 2^19, 63 set for values below 0;
///              0 is free; a bucket lies at the first free cell from its hash on, or from 0 on in
///              a table of earlier versions, whose bit 24 is not set
struct BucketTable {
  /// The cell of `control`; the table's follow.
  let control: Int
  /// Cells of the table, more than `limit`.
  let capacity: Int
  /// Buckets in use at most.
  let limit: Int
  /// The schema of an empty table.
  let firstSchema: Int

  private static let isHashed: UInt64 = 1 << 24

  static let countBits = 43
  static let countLimit: UInt64 = 1 << 43 - 1
  private static let indexOffset = 1 << 19

  /// The most samples that a bucket holds: 8.8 million million.
  static func count(_ whole: Double) -> UInt64 { UInt64(min(whole, 0x1p43 - 1)) }

  /// Adds samples of a value that is neither 0 nor NaN. `false` where even the coarsest schema has
  /// no bucket left for it.
  @_optimize(speed)
  func add(_ value: Double, _ count: UInt64, in state: StateFile) -> Bool {
    var schema = readySchema(in: state)
    while true {
      let index = ExponentialScale.index(of: value.magnitude, schema: schema)
      if place(Self.key(index, isNegative: value < 0), count, schema, in: state) { return true }
      if schema == ExponentialScale.schemas.lowerBound { return false }
      schema -= 1
      placeAnew(schema, reducedBy: 1, in: state)
    }
  }

  /// Adds samples of the bucket `index` with another `bucketSchema`, exactly: a finer table is
  /// first made equally coarse.
  func add(
    _ index: Int, isNegative: Bool, _ count: UInt64, _ bucketSchema: Int, in state: StateFile
  ) -> Bool {
    var schema = readySchema(in: state)
    if schema > bucketSchema {
      placeAnew(bucketSchema, reducedBy: schema - bucketSchema, in: state)
      schema = bucketSchema
    }
    while true {
      let index = ExponentialScale.index(index, reducedBy: bucketSchema - schema)
      if place(Self.key(index, isNegative: isNegative), count, schema, in: state) { return true }
      if schema == ExponentialScale.schemas.lowerBound { return false }
      schema -= 1
      placeAnew(schema, reducedBy: 1, in: state)
    }
  }

  /// The table's schema, after converting a table of an earlier version.
  @_optimize(speed)
  private func readySchema(in state: StateFile) -> Int {
    let word = state.value(control)
    if word == 0 { return firstSchema }
    let schema = Self.schema(word)
    if word & Self.isHashed == 0 { placeAnew(schema, reducedBy: 0, in: state) }
    return schema
  }

  /// Adds another table. Returns how many samples had no bucket.
  func add(_ other: BucketTable, in state: StateFile) -> UInt64 {
    let schema = Self.schema(state.value(other.control))
    var rest: UInt64 = 0
    for cell in other.control + 1...other.control + other.capacity {
      let word = state.value(cell)
      if word == 0 { continue }
      let middle = ExponentialScale.middle(of: Self.index(word), schema: schema)
      let count = word & Self.countLimit
      if !add(Self.isNegative(word) ? -middle : middle, count, in: state) { rest += count }
    }
    return rest
  }

  /// Empties the table.
  func clear(in state: StateFile) {
    for cell in control...control + capacity where state.value(cell) != 0 {
      state.store(cell, UInt64(0))
    }
  }

  @_optimize(speed)
  private func place(_ key: UInt64, _ count: UInt64, _ schema: Int, in state: StateFile) -> Bool {
    let hash = UInt64(truncatingIfNeeded: UInt32(truncatingIfNeeded: key &* 0x9e37_79b1))
    var at = Int(truncatingIfNeeded: (hash &* UInt64(capacity)) >> 32)
    while true {
      let cell = control + 1 + at
      let word = state.value(cell)
      if word == 0 {
        let used = state.value(control) & 0xffff
        if used >= limit { return false }
        state.store(cell, key << UInt64(Self.countBits) | count)
        state.store(control, (used + 1) | UInt64(schema + 16) << 16 | Self.isHashed)
        return true
      }
      if word >> UInt64(Self.countBits) == key {
        let sum = min((word & Self.countLimit) + count, Self.countLimit)
        state.store(cell, key << UInt64(Self.countBits) | sum)
        return true
      }
      at = at + 1 == capacity ? 0 : at + 1
    }
  }

  /// Moves each bucket to its place at `schema`, which is `steps` below the current one.
  private func placeAnew(_ schema: Int, reducedBy steps: Int, in state: StateFile) {
    var words: [UInt64] = []
    for cell in control + 1...control + capacity where state.value(cell) != 0 {
      words.append(state.value(cell))
    }
    clear(in: state)
    for word in words {
      let index = ExponentialScale.index(Self.index(word), reducedBy: steps)
      _ = place(
        Self.key(index, isNegative: Self.isNegative(word)), word & Self.countLimit, schema,
        in: state)
    }
  }

  // MARK: Words

  static func schema(_ control: UInt64) -> Int { Int(control >> 16 & 0xff) - 16 }
  static func index(_ word: UInt64) -> Int { Int(word >> 43 & 0xf_ffff) - indexOffset }
  static func isNegative(_ word: UInt64) -> Bool { word >> 63 == 1 }

  @_optimize(speed)
  private static func key(_ index: Int, isNegative: Bool) -> UInt64 {
    UInt64(index + indexOffset) | (isNegative ? 1 << 20 : 0)
  }
}
