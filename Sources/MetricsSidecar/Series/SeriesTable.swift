import Platform

/// From a series' key, as it is exposed, to its record. Open addressing; the keys stay in the state
/// file, and the table holds their hashes.
struct SeriesTable {
  private struct Slot {
    var hash: UInt32 = 0
    /// The record's offset; 0 is an empty slot.
    var offset: UInt32 = 0
  }

  private var slots = [Slot](repeating: Slot(), count: 256)
  private(set) var count = 0

  private static func hash(_ key: RawSpan) -> UInt32 {
    UInt32(truncatingIfNeeded: Digest.hash(key) >> 7)
  }

  func find(_ key: RawSpan, in state: StateFile) -> Record? {
    let hash = Self.hash(key)
    var index = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[index].offset != 0 {
      if slots[index].hash == hash {
        let record = state.record(at: Int(slots[index].offset))
        if ByteCompare.equal(state.key(record), key) { return record }
      }
      index = (index + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Adds a record whose key is not there yet.
  mutating func insert(_ record: Record, key: RawSpan) {
    if (count + 1) * 2 > slots.count { grow() }
    place(Slot(hash: Self.hash(key), offset: UInt32(truncatingIfNeeded: record.offset)))
    count += 1
  }

  private mutating func place(_ slot: Slot) {
    var index = Int(truncatingIfNeeded: slot.hash) & (slots.count - 1)
    while slots[index].offset != 0 { index = (index + 1) & (slots.count - 1) }
    slots[index] = slot
  }

  private mutating func grow() {
    let old = slots
    slots = [Slot](repeating: Slot(), count: old.count * 2)
    for slot in old where slot.offset != 0 { place(slot) }
  }
}
