import SidecarPlatform

/// From an event's name, type and tags, as bytes, to the cells it feeds. A known event costs one
/// hash, one comparison and its additions; rules are consulted once for each new one.
///
/// What must stay true: at most `limit` lines are known, in at most `byteLimit` bytes. A line
/// beyond that is resolved each time; a full table forgets all lines now and then, so that it has
/// room for current ones.
///
/// A slot is a hash and the position of an entry, in words of 8 bytes; the entries are one after
/// the other in chunks that never move:
///
///     word 0       bytes of the name (16 bits), bytes of the tags (16), type (8), targets (8)
///     …            two words for each target
///     …            the name and one byte or more of zeros, up to a whole word
///     …            the tags, likewise
///
/// So keys are compared by whole words, the last of which is never full.
@safe
struct LineTable: ~Copyable {
  /// One series that an event feeds; `targetByteCount` bytes at most.
  struct Target {
    /// The first of the record's cells.
    var cell: UInt32
    var family: UInt16
    /// Milliseconds become seconds.
    var isMilliseconds: Bool
    var kind: MetricType
    /// For a gauge of several clients: the digest of the tag that identifies them; 0 without one.
    var client: UInt32 = 0
    /// An index into `Registry.scales`; 0 if values are not scaled.
    var scale: UInt8 = 0
    /// What a gauge's minus means if its family says so.
    var minus = GaugeMinus.auto
  }

  /// The targets of a known line.
  @safe
  struct Targets {
    // Sound: an entry is never written again, and its chunk lives until the table forgets all
    // lines, which no reader of targets does meanwhile.
    fileprivate let base: UnsafeRawPointer
    let count: Int

    @inline(__always)
    @_optimize(speed)
    subscript(index: Int) -> Target {
      assert(index >= 0 && index < count)
      return unsafe base.load(
        fromByteOffset: index &* LineTable.targetByteCount, as: Target.self)
    }
  }

  private struct Slot {
    var hash: UInt32 = 0
    /// The start of the entry, plus 1; 0 is an empty slot.
    var entry: UInt32 = 0
  }

  // Sound: `mask + 1` slots, all initialised, made with the table or by `grow`, freed once.
  private var slots: UnsafeMutablePointer<Slot>
  private var mask: Int
  // Sound: each has `chunkWordCount` words, of which those below `used` are initialised.
  private var chunks: UnsafeMutablePointer<UnsafeMutableRawPointer>
  private var chunkCount = 0
  private var chunkCapacity = 0
  /// Words in use, including unused ones at the ends of chunks.
  private var used = 0
  private(set) var count = 0
  let limit: Int
  /// The memory of slots and chunks together, in bytes.
  let byteLimit: Int
  /// Whether more would use the half reserved for lines that feed something.
  var isHalfFull: Bool { count >= limit / 2 || byteCount >= byteLimit / 2 }

  /// Whether a line did not fit.
  private(set) var isFull = false
  /// The secret for hashing lines.
  let key: HashKey

  fileprivate static var targetByteCount: Int { 16 }
  private static var chunkShift: Int { 15 }
  private static var chunkWordCount: Int { 1 << chunkShift }
  private static var firstSlotCount: Int { 256 }

  init(limit: Int, byteLimit: Int, key: HashKey = .process) {
    precondition(MemoryLayout<Target>.stride <= Self.targetByteCount)
    self.limit = limit
    self.byteLimit = byteLimit
    self.key = key
    unsafe slots = Self.emptySlots(Self.firstSlotCount)
    mask = Self.firstSlotCount - 1
    unsafe chunks = .allocate(capacity: 1)
    chunkCapacity = 1
  }

  deinit {
    for index in 0..<chunkCount { unsafe chunks[index].deallocate() }
    unsafe chunks.deallocate()
    unsafe slots.deallocate()
  }

  private static func emptySlots(_ count: Int) -> UnsafeMutablePointer<Slot> {
    let slots = UnsafeMutablePointer<Slot>.allocate(capacity: count)
    unsafe slots.initialize(repeating: Slot(), count: count)
    return unsafe slots
  }

  /// The targets of a known line.
  @inline(__always)
  @_optimize(speed)
  func find(_ key: LineKey) -> Targets? {
    var index = Int(truncatingIfNeeded: key.hash) & mask
    while true {
      let slot = unsafe slots[index]
      if slot.entry == 0 { return nil }
      if slot.hash == key.hash {
        let entry = unsafe entry(slot)
        let head = unsafe entry.load(as: UInt64.self)
        if head & Self.keyMask == key.head {
          let targetCount = Int(head >> 40)
          let targets = unsafe entry + 8
          if unsafe key.isWritten(at: targets + targetCount &* Self.targetByteCount) {
            return unsafe Targets(base: targets, count: targetCount)
          }
        }
      }
      index = (index &+ 1) & mask
    }
  }

  #if DEBUG
    /// The number of slots probed to find a line's hash.
    func steps(to key: LineKey) -> Int {
      var index = Int(truncatingIfNeeded: key.hash) & mask
      var steps = 1
      while unsafe slots[index].entry != 0, unsafe slots[index].hash != key.hash {
        index = (index &+ 1) & mask
        steps += 1
      }
      return steps
    }
  #endif

  /// An entry's first word without the number of its targets.
  private static var keyMask: UInt64 { 0xff_ffff_ffff }

  @inline(__always)
  @_optimize(speed)
  private func entry(_ slot: Slot) -> UnsafeMutableRawPointer {
    let place = Int(slot.entry &- 1)
    return unsafe chunks[place >> Self.chunkShift] + (place & (Self.chunkWordCount - 1)) &* 8
  }

  /// The memory of slots and chunks.
  var byteCount: Int {
    chunkCount * Self.chunkWordCount * 8 + (mask + 1) * MemoryLayout<Slot>.stride
  }

  /// Remembers a line, while there is room.
  mutating func insert(_ key: LineKey, targets: [Target]) {
    let wordCount = 1 + targets.count * Self.targetByteCount / 8 + key.wordCount
    guard key.isShort, targets.count < 256, wordCount <= Self.chunkWordCount else { return }
    let needsChunk = used + wordCount > chunkCount * Self.chunkWordCount
    let needsSlots = (count + 1) * 2 > mask + 1
    let grown =
      byteCount + (needsChunk ? Self.chunkWordCount * 8 : 0)
      + (needsSlots ? (mask + 1) * MemoryLayout<Slot>.stride : 0)
    guard count < limit, grown <= byteLimit else {
      isFull = true
      return
    }
    if needsChunk { addChunk() }
    if needsSlots { grow() }
    let slot = Slot(hash: key.hash, entry: UInt32(used + 1))
    let entry = unsafe entry(slot)
    unsafe entry.storeBytes(of: key.head | UInt64(targets.count) << 40, as: UInt64.self)
    for (index, target) in targets.enumerated() {
      unsafe entry.storeBytes(
        of: target, toByteOffset: 8 + index * Self.targetByteCount, as: Target.self)
    }
    unsafe key.write(to: entry + 8 + targets.count * Self.targetByteCount)
    used += wordCount
    place(slot)
    count += 1
  }

  private mutating func addChunk() {
    if chunkCount == chunkCapacity {
      let more = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: chunkCapacity * 2)
      unsafe more.moveInitialize(from: chunks, count: chunkCount)
      unsafe chunks.deallocate()
      unsafe chunks = more
      chunkCapacity *= 2
    }
    unsafe (chunks + chunkCount).initialize(
      to: .allocate(byteCount: Self.chunkWordCount * 8, alignment: 8))
    used = chunkCount * Self.chunkWordCount
    chunkCount += 1
  }

  /// Forgets all lines: their targets are resolved again.
  mutating func removeAll() { self = LineTable(limit: limit, byteLimit: byteLimit, key: key) }

  private mutating func place(_ slot: Slot) {
    var index = Int(truncatingIfNeeded: slot.hash) & mask
    while unsafe slots[index].entry != 0 { index = (index &+ 1) & mask }
    unsafe slots[index] = slot
  }

  private mutating func grow() {
    let old = unsafe slots
    let oldCount = mask + 1
    unsafe slots = Self.emptySlots(oldCount * 2)
    mask = oldCount * 2 - 1
    for index in 0..<oldCount where unsafe old[index].entry != 0 { unsafe place(old[index]) }
    unsafe old.deallocate()
  }
}
