import SidecarPlatform

/// From a series' key, as it is exposed, to its record. Open addressing; the keys stay in the state
/// file, and the table holds their hashes.
struct SeriesTable {
  private struct Slot {
    var hash: UInt32 = 0
    /// The record's unit; 0 is an empty slot.
    var unit: UInt32 = 0
  }

  private var slots = [Slot](repeating: Slot(), count: 256)
  private(set) var count = 0

  private static func hash(_ key: RawSpan) -> UInt32 {
    UInt32(truncatingIfNeeded: HashKey.process.hash(key))
  }

  func find(_ key: RawSpan, in state: StateFile) -> Record? {
    let hash = Self.hash(key)
    var index = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[index].unit != 0 {
      if slots[index].hash == hash {
        let record = Record(unit: slots[index].unit)
        if ByteCompare.equal(state.key(record), key) { return record }
      }
      index = (index + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Adds a record whose key is not there yet.
  mutating func insert(_ record: Record, key: RawSpan) {
    if (count + 1) * 2 > slots.count { grow() }
    place(Slot(hash: Self.hash(key), unit: record.unit))
    count += 1
  }

  /// Takes a record out. What stands behind it moves up, so that no search ends too early.
  mutating func remove(_ record: Record, key: RawSpan) {
    let mask = slots.count - 1
    var hole = Int(truncatingIfNeeded: Self.hash(key)) & mask
    while slots[hole].unit != record.unit {
      if slots[hole].unit == 0 { return }
      hole = (hole + 1) & mask
    }
    count -= 1
    var index = hole
    while true {
      slots[hole] = Slot()
      // The next one whose search passes the hole.
      var distance: Int
      repeat {
        index = (index + 1) & mask
        if slots[index].unit == 0 { return }
        distance = (index - Int(truncatingIfNeeded: slots[index].hash)) & mask
      } while distance < (index - hole) & mask
      slots[hole] = slots[index]
      hole = index
    }
  }

  private mutating func place(_ slot: Slot) {
    var index = Int(truncatingIfNeeded: slot.hash) & (slots.count - 1)
    while slots[index].unit != 0 { index = (index + 1) & (slots.count - 1) }
    slots[index] = slot
  }

  private mutating func grow() {
    let old = slots
    slots = [Slot](repeating: Slot(), count: old.count * 2)
    for slot in old where slot.unit != 0 { place(slot) }
  }
}
