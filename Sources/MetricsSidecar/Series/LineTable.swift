import Platform

/// From an event's name, type and tags, as bytes, to the cells it feeds. A known event costs one
/// hash, one comparison and its additions; rules are looked at once for each new one.
///
/// What must stay true: at most `limit` lines are known. A line beyond that is resolved each time.
struct LineTable {
  /// One series that an event feeds.
  struct Target {
    /// The first of the record's cells.
    var cell: UInt32
    var family: UInt16
    /// Milliseconds become seconds.
    var isMilliseconds: Bool
    /// Of a gauge of several clients: the digest of the tag that tells them apart; 0 without one.
    var client: UInt32 = 0
    /// A number in `Registry.scales`; 0 where values are taken as they are.
    var scale: UInt8 = 0
  }

  struct Slot {
    var hash: UInt32 = 0
    /// Where the line's bytes start in `keys`; name and tags one after the other.
    var keyStart: UInt32 = 0
    var nameByteCount: UInt16 = 0
    var tagsByteCount: UInt16 = 0
    var targetStart: UInt32 = 0
    var targetCount: UInt8 = 0
    var type: UInt8 = 0
    var isUsed = false
  }

  private var slots = [Slot](repeating: Slot(), count: 256)
  private var keys = ByteKeys()
  private(set) var targets: [Target] = []
  private(set) var count = 0
  let limit: Int

  init(limit: Int) { self.limit = limit }

  @inline(__always)
  static func hash(name: RawSpan, type: UInt8, tags: RawSpan) -> UInt32 {
    let seed = Digest.hash(name, seed: UInt64(type))
    return UInt32(truncatingIfNeeded: Digest.hash(tags, seed: seed) >> 5)
  }

  /// The targets of a known line, as a range of `targets`.
  @inline(__always)
  func find(hash: UInt32, name: RawSpan, type: UInt8, tags: RawSpan) -> Range<Int>? {
    let mask = slots.count - 1
    var index = Int(truncatingIfNeeded: hash) & mask
    while slots[index].isUsed {
      let slot = slots[index]
      if slot.hash == hash, slot.type == type, Int(slot.nameByteCount) == name.byteCount,
        Int(slot.tagsByteCount) == tags.byteCount,
        keys.equal(Int(slot.keyStart), name),
        keys.equal(Int(slot.keyStart) + name.byteCount, tags)
      {
        let start = Int(slot.targetStart)
        return start..<(start + Int(slot.targetCount))
      }
      index = (index + 1) & mask
    }
    return nil
  }

  /// Remembers a line, while there is room.
  mutating func insert(
    hash: UInt32, name: RawSpan, type: UInt8, tags: RawSpan, targets new: [Target]
  ) {
    guard count < limit, name.byteCount < 65_536, tags.byteCount < 65_536, new.count < 256 else {
      return
    }
    if (count + 1) * 2 > slots.count { grow() }
    let slot = Slot(
      hash: hash, keyStart: UInt32(keys.append(name, tags)),
      nameByteCount: UInt16(name.byteCount), tagsByteCount: UInt16(tags.byteCount),
      targetStart: UInt32(targets.count), targetCount: UInt8(new.count), type: type, isUsed: true)
    targets += new
    place(slot)
    count += 1
  }

  /// Forgets all lines: their targets are resolved anew.
  mutating func removeAll() {
    slots = [Slot](repeating: Slot(), count: 256)
    keys = ByteKeys()
    targets = []
    count = 0
  }

  private mutating func place(_ slot: Slot) {
    var index = Int(truncatingIfNeeded: slot.hash) & (slots.count - 1)
    while slots[index].isUsed { index = (index + 1) & (slots.count - 1) }
    slots[index] = slot
  }

  private mutating func grow() {
    let old = slots
    slots = [Slot](repeating: Slot(), count: old.count * 2)
    for slot in old where slot.isUsed { place(slot) }
  }
}

/// Keys one after the other.
struct ByteKeys {
  private var bytes: [UInt8] = []

  mutating func append(_ first: RawSpan, _ second: RawSpan) -> Int {
    let start = bytes.count
    unsafe first.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    unsafe second.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    return start
  }

  @inline(__always)
  func equal(_ start: Int, _ key: RawSpan) -> Bool {
    unsafe ByteCompare.equal(bytes.span.bytes.extracting(start..<(start + key.byteCount)), key)
  }
}
