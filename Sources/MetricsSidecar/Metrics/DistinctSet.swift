import SidecarPlatform
import SidecarRules

/// A set: see `DistinctCells`.
final class DistinctSet: Metric {
  static let members = [
    MetricMember("exact", of: [.set], "sets") { json, options throws(JSON.Mistake) in
      options.exact = Int(
        try MetricMembers.number(json, 16, 40_000, "from 16 to 40000 values"))
    }
  ]

  override func cellCount(_ options: KindOptions, bounds: Int) -> Int {
    DistinctCells.count(options)
  }

  override func shape(_ options: KindOptions) -> [Double] {
    [Double(options.windowMilliseconds), Double(options.exact)]
  }

  override func observe(
    _ value: Double, weight: Double, _ move: GaugeMove, _ target: LineTable.Target,
    _ family: Family, in registry: Registry
  ) {
    DistinctCells.insert(
      value, in: registry.state, Int(target.cell), now: registry.now, family.options)
  }

  override func expose(
    _ values: Span<Double>, _ record: Int, _ family: Family, _ request: ExposedRequest,
    to points: PointSeries
  ) -> Exposed {
    .number(DistinctCells.estimate(values, now: request.now, family.options))
  }
}

/// How many distinct values a set has seen in a sliding window. Exact while they fit in the table;
/// beyond, only values whose digest ends in `level` zero bits are kept, and each stands for
/// 2^level of them (Wegman's adaptive sampling): the standard error is about 1.2 / √exact.
///
///     1 bits 0..<16 entries, 16..<24 level of kept ones, 24..<32 level of counted ones, 32 set
///     2 when the levels were looked at last, in ticks
///     3 the table: cells of bits 0..<28 last tick, 28..<64 digest; 0 is free. An entry
///       is at the first free cell from its hash on, or from 0 on in a table of earlier versions,
///       whose bit 32 is not set
///
/// A tick is a 64th of the window. When values grow fewer, the level falls again: first values of
/// the lower level are kept, and a window later, when all that count have been seen since, counted.
enum DistinctCells {
  private static let levels = 1
  private static let settledAt = 2
  private static let table = 3
  private static let tickBits: UInt64 = 28
  private static let tickMask: UInt64 = 1 << 28 - 1
  private static let ticksPerWindow: UInt64 = 64
  static let defaultWindowMilliseconds: UInt64 = 600_000

  static func count(_ options: KindOptions) -> Int { table + capacity(options) }
  private static func capacity(_ options: KindOptions) -> Int { options.exact * 4 / 3 + 1 }

  /// Adds a value by the 53 bits of its digest.
  @_optimize(speed)
  static func insert(
    _ member: Double, in state: StateFile, _ record: Int, now: UInt64, _ options: KindOptions
  ) {
    // 36 bits, never all 0. Any other value is hashed first.
    let bits =
      member >= 0 && member < 0x1p53
      ? UInt64(member) : member.bitPattern &* (0x9e37_79b9_7f4a_7c15 >> 11)
    let digest = max(1, bits >> 17)
    let now = tick(now, options)
    var control = Control(state.value(record + levels))
    if !control.isHashed { placeAnew(&control, in: state, record, now, options) }
    if control.counted > 0 { settle(&control, in: state, record, now, options) }
    // Stored at each event: the first cell says when the series had its last one.
    state.store(record + levels, control.word)
    while digest.isOf(level: control.kept),
      !place(digest, now, &control, in: state, record, options)
    {
      makeRoom(&control, in: state, record, now, options)
    }
  }

  /// The number of distinct values, from a record's cells without the first.
  static func estimate(_ values: Span<Double>, now: UInt64, _ options: KindOptions) -> Double {
    let now = tick(now, options)
    let control = Control(values[levels - 1].bitPattern)
    var count = 0
    for at in table - 1..<table - 1 + capacity(options) {
      let word = values[at].bitPattern
      if word != 0, isLive(word & tickMask, now),
        (word >> tickBits).isOf(level: control.counted)
      {
        count += 1
      }
    }
    return Double(count) * Double(UInt64(1) << control.counted)
  }

  /// `false` if there is no room.
  @_optimize(speed)
  private static func place(
    _ digest: UInt64, _ now: UInt64, _ control: inout Control, in state: StateFile, _ record: Int,
    _ options: KindOptions
  ) -> Bool {
    let capacity = capacity(options)
    let entry = digest << tickBits | now
    // The level's bits are 0 in all kept entries; the others choose the place.
    let hash = UInt64(UInt32(truncatingIfNeeded: (digest >> 4) &* 0x9e37_79b1))
    var at = Int(truncatingIfNeeded: (hash &* UInt64(capacity)) >> 32)
    var expired = -1
    while true {
      let cell = record + table + at
      let word = state.value(cell)
      if word == 0 { break }
      if word >> tickBits == digest {
        if word != entry { state.store(cell, entry) }
        return true
      }
      if expired < 0, !isLive(word & tickMask, now) { expired = cell }
      at = at + 1 == capacity ? 0 : at + 1
    }
    if expired >= 0 {
      state.store(expired, entry)
      return true
    }
    guard control.entries < options.exact else { return false }
    state.store(record + table + at, entry)
    control.entries += 1
    state.store(record + levels, control.word)
    return true
  }

  /// Removes expired entries; if that is not enough, every other one.
  private static func makeRoom(
    _ control: inout Control, in state: StateFile, _ record: Int, _ now: UInt64,
    _ options: KindOptions
  ) {
    let live = taken(from: state, record, now, options)
    if live.count > options.exact * 3 / 4 {
      if control.counted == 0 { state.store(record + settledAt, now) }
      control.kept += 1
      control.counted = max(control.counted, control.kept)
    }
    put(live, &control, in: state, record, options)
  }

  /// Moves each entry of an earlier version's table to its place.
  private static func placeAnew(
    _ control: inout Control, in state: StateFile, _ record: Int, _ now: UInt64,
    _ options: KindOptions
  ) {
    control.isHashed = true
    if control.entries == 0 { return }
    put(taken(from: state, record, now, options), &control, in: state, record, options)
  }

  /// Takes the entries that have not expired out of the table, which is then empty.
  private static func taken(
    from state: StateFile, _ record: Int, _ now: UInt64, _ options: KindOptions
  ) -> [UInt64] {
    var live: [UInt64] = []
    for cell in record + table..<record + table + capacity(options) {
      let word = state.value(cell)
      if word == 0 { continue }
      state.store(cell, UInt64(0))
      if isLive(word & tickMask, now) { live.append(word) }
    }
    return live
  }

  private static func put(
    _ live: [UInt64], _ control: inout Control, in state: StateFile, _ record: Int,
    _ options: KindOptions
  ) {
    control.entries = 0
    state.store(record + levels, control.word)
    for word in live where (word >> tickBits).isOf(level: control.kept) {
      _ = place(word >> tickBits, word & tickMask, &control, in: state, record, options)
    }
  }

  /// While the set estimates: eight times a window, keeps more where there is room for it, and
  /// counts that once it has been kept for a whole window.
  private static func settle(
    _ control: inout Control, in state: StateFile, _ record: Int, _ now: UInt64,
    _ options: KindOptions
  ) {
    let isLowered = control.kept < control.counted
    let age = now &- state.value(record + settledAt) & tickMask
    guard age > (isLowered ? ticksPerWindow : ticksPerWindow / 8) else { return }
    state.store(record + settledAt, now)
    control.counted = control.kept
    if isLowered { return }
    var live = 0
    for cell in record + table..<record + table + capacity(options) {
      let word = state.value(cell)
      if word != 0, isLive(word & tickMask, now) { live += 1 }
    }
    // A few entries are a weak estimate. Too low a level costs only a scan of the table.
    while control.kept > 0, live < options.exact / 4 {
      control.kept -= 1
      if live > 3 { live *= 2 }
    }
  }

  private struct Control {
    var entries: Int
    var kept: UInt64
    var counted: UInt64
    var isHashed: Bool

    init(_ word: UInt64) {
      entries = Int(word & 0xffff)
      kept = word >> 16 & 0xff
      counted = word >> 24 & 0xff
      isHashed = word >> 32 & 1 == 1
    }

    var word: UInt64 { UInt64(entries) | kept << 16 | counted << 24 | (isHashed ? 1 << 32 : 0) }
  }

  private static func tick(_ now: UInt64, _ options: KindOptions) -> UInt64 {
    let window =
      options.windowMilliseconds == 0 ? defaultWindowMilliseconds : options.windowMilliseconds
    return now / max(1, window / ticksPerWindow) & tickMask
  }

  /// Whether a tick is up to a window old. After the clock was set back, ticks in the future count
  /// too.
  private static func isLive(_ tick: UInt64, _ now: UInt64) -> Bool {
    (now &- tick &+ ticksPerWindow) & tickMask <= 2 * ticksPerWindow
  }
}

extension UInt64 {
  fileprivate func isOf(level: UInt64) -> Bool { trailingZeroBitCount >= Int(level) }
}
