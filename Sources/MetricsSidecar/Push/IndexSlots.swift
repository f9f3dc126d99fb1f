/// An open-addressed set of indexes into an array; the owner keeps it and the hashes.
///
/// What must stay true: at most half of the slots are taken, so a probe always ends.
struct IndexSlots {
  private var slots = [Int32](repeating: -1, count: 64)
  private var mask = 63
  private(set) var count = 0

  struct Probe { fileprivate var at: Int }

  private var isFull: Bool { (count + 1) * 2 > mask + 1 }

  func probe(_ hash: UInt64) -> Probe {
    Probe(at: Int(truncatingIfNeeded: UInt32(truncatingIfNeeded: hash >> 7)) & mask)
  }

  /// The next index that may be the wanted one.
  @inline(__always)
  func next(_ probe: inout Probe) -> Int? {
    let index = slots[probe.at]
    if index < 0 { return nil }
    probe.at = (probe.at + 1) & mask
    return Int(index)
  }

  /// Adds `index`, the one after all existing ones; `hashes` has their hashes, for growing the
  /// slots.
  @inline(__always)
  mutating func add(_ hash: UInt64, _ index: Int, hashes: (Int) -> UInt64) {
    if isFull {
      grow()
      for old in 0..<index { insert(hashes(old), old) }
    }
    insert(hash, index)
  }

  /// The same with the hashes in an array.
  @inline(__always)
  mutating func add(_ hash: UInt64, _ index: Int, in hashes: [UInt64]) {
    add(hash, index) { hashes[$0] }
  }

  private mutating func insert(_ hash: UInt64, _ index: Int) {
    var at = probe(hash).at
    while slots[at] >= 0 { at = (at + 1) & mask }
    slots[at] = Int32(truncatingIfNeeded: index)
    count += 1
  }

  /// Twice the slots, all empty.
  private mutating func grow() {
    mask = mask * 2 + 1
    slots = [Int32](repeating: -1, count: mask + 1)
    count = 0
  }

  /// Empties it; a large one becomes small again, so that a small batch pays for a small table.
  mutating func removeAll() {
    if count == 0, mask == 63 { return }
    if mask > 63 {
      mask = 63
      slots = [Int32](repeating: -1, count: 64)
    } else {
      for at in 0...mask { slots[at] = -1 }
    }
    count = 0
  }
}
