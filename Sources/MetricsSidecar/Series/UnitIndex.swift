/// Records by a hash that their keys hold: open addressing, compared by the caller.
struct UnitIndex {
  private struct Slot {
    var hash: UInt32 = 0
    /// 0 is an empty slot.
    var unit: UInt32 = 0
  }

  private var slots = [Slot](repeating: Slot(), count: 64)
  private(set) var count = 0

  /// The unit of that hash that `matches`; 0 for none.
  func find(hash: UInt64, matches: (UInt32) -> Bool) -> UInt32 {
    let hash = UInt32(truncatingIfNeeded: hash >> 32)
    var index = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[index].unit != 0 {
      if slots[index].hash == hash, matches(slots[index].unit) { return slots[index].unit }
      index = (index + 1) & (slots.count - 1)
    }
    return 0
  }

  mutating func insert(_ unit: UInt32, hash: UInt64) {
    if (count + 1) * 2 > slots.count {
      let old = slots
      slots = [Slot](repeating: Slot(), count: old.count * 2)
      for slot in old where slot.unit != 0 { place(slot) }
    }
    place(Slot(hash: UInt32(truncatingIfNeeded: hash >> 32), unit: unit))
    count += 1
  }

  private mutating func place(_ slot: Slot) {
    var index = Int(truncatingIfNeeded: slot.hash) & (slots.count - 1)
    while slots[index].unit != 0 { index = (index + 1) & (slots.count - 1) }
    slots[index] = slot
  }

  /// Takes a unit out, if it is there. What stands behind it moves up, so that no search ends too
  /// early.
  mutating func remove(_ unit: UInt32, hash: UInt64) {
    let mask = slots.count - 1
    var hole = Int(truncatingIfNeeded: UInt32(truncatingIfNeeded: hash >> 32)) & mask
    while slots[hole].unit != unit {
      if slots[hole].unit == 0 { return }
      hole = (hole + 1) & mask
    }
    count -= 1
    var index = hole
    while true {
      slots[hole] = Slot()
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

  /// All units, as they are now.
  var units: [UInt32] {
    var units: [UInt32] = []
    for slot in slots where slot.unit != 0 { units.append(slot.unit) }
    return units
  }
}
