/// Numbers above 0, found by the hashes of their keys. The keys stay with the owner, which compares
/// them: an entry has 8 bytes.
///
/// What must stay true: at most half of the slots are taken, so that a search ends; entries after a
/// removed one move up, so that no search ends too early. Hashes of untrusted keys come from a
/// `HashKey`.
public struct HashIndex: Sendable {
  @usableFromInline
  struct Slot: Sendable {
    @usableFromInline var hash: UInt32 = 0
    /// 0 is an empty slot.
    @usableFromInline var value: UInt32 = 0
    @inlinable init() {}
  }

  @usableFromInline var slots: [Slot]
  /// Entries.
  public private(set) var count = 0

  /// Creates an empty index; the number of slots is a power of two.
  public init(slotCount: Int = 64) {
    precondition(slotCount & (slotCount - 1) == 0)
    slots = [Slot](repeating: Slot(), count: slotCount)
  }

  /// The value with this hash whose key is equal to the one sought.
  @inlinable @inline(__always)
  public func find(_ hash: UInt32, _ isSought: (UInt32) -> Bool) -> UInt32? {
    let mask = slots.count - 1
    var index = Int(truncatingIfNeeded: hash) & mask
    while slots[index].value != 0 {
      if slots[index].hash == hash, isSought(slots[index].value) { return slots[index].value }
      index = (index + 1) & mask
    }
    return nil
  }

  /// Adds a value whose key is not in the index.
  public mutating func insert(_ hash: UInt32, _ value: UInt32) {
    precondition(value != 0)
    if (count + 1) * 2 > slots.count { grow() }
    var slot = Slot()
    slot.hash = hash
    slot.value = value
    place(slot)
    count += 1
  }

  /// Removes a value, if it is in the index.
  public mutating func remove(_ hash: UInt32, _ value: UInt32) {
    let mask = slots.count - 1
    var hole = Int(truncatingIfNeeded: hash) & mask
    while slots[hole].value != value {
      if slots[hole].value == 0 { return }
      hole = (hole + 1) & mask
    }
    count -= 1
    var index = hole
    while true {
      slots[hole] = Slot()
      // The next entry whose search passes the hole.
      var distance: Int
      repeat {
        index = (index + 1) & mask
        if slots[index].value == 0 { return }
        distance = (index - Int(truncatingIfNeeded: slots[index].hash)) & mask
      } while distance < (index - hole) & mask
      slots[hole] = slots[index]
      hole = index
    }
  }

  /// Takes all out; a large one becomes small again.
  public mutating func removeAll() {
    if count == 0, slots.count == 64 { return }
    slots = [Slot](repeating: Slot(), count: 64)
    count = 0
  }

  /// All values, in no order.
  public var values: [UInt32] {
    var values: [UInt32] = []
    values.reserveCapacity(count)
    for slot in slots where slot.value != 0 { values.append(slot.value) }
    return values
  }

  private mutating func place(_ slot: Slot) {
    let mask = slots.count - 1
    var index = Int(truncatingIfNeeded: slot.hash) & mask
    while slots[index].value != 0 { index = (index + 1) & mask }
    slots[index] = slot
  }

  private mutating func grow() {
    let old = slots
    slots = [Slot](repeating: Slot(), count: old.count * 2)
    for slot in old where slot.value != 0 { place(slot) }
  }
}

/// Of an array's places, by the 64-bit hashes of their elements.
extension HashIndex {
  @inlinable @inline(__always)
  public func find(at hash: UInt64, _ isSought: (Int) -> Bool) -> Int? {
    find(UInt32(truncatingIfNeeded: hash >> 7)) { isSought(Int($0) - 1) }.map { Int($0) - 1 }
  }

  public mutating func insert(_ hash: UInt64, at place: Int) {
    insert(UInt32(truncatingIfNeeded: hash >> 7), UInt32(place + 1))
  }
}
