import SidecarPlatform

/// The hash of a pushed series: of its family's name and of its labels.
enum SeriesHash {
  static func family(_ name: RawSpan) -> UInt64 { HashKey.process.hash(name) }

  @inline(__always)
  static func series(_ labels: RawSpan, of family: UInt64) -> UInt64 {
    HashKey.process.fold(HashKey.process.hash(labels), family)
  }
}

/// The group of each series: all pushed series by their hashes, so that checking a push against all
/// groups costs only its own series.
///
/// What must stay true: at most three quarters of the slots are taken, so a probe always ends; from
/// a hash's first slot to its entry, none is free. Two series may have the same hash.
struct SeriesIndex {
  /// 0 in a free slot.
  private var hashes = [UInt64](repeating: 0, count: 64)
  private var groups = [Int32](repeating: 0, count: 64)
  private var mask = 63
  private(set) var count = 0
  /// Slots probed since the start: the total cost, for tests.
  private(set) var probeCount = 0

  var slotCount: Int { mask + 1 }

  /// 0 stands for none.
  private static func stored(_ hash: UInt64) -> UInt64 { hash == 0 ? 1 : hash }

  private func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 20) & mask }

  /// Whether the group at `own` has a series with that hash, and another group that has one; -1 for
  /// none.
  mutating func find(_ hash: UInt64, own: Int) -> (isOwn: Bool, other: Int) {
    let hash = Self.stored(hash)
    var found = (isOwn: false, other: -1)
    var at = home(hash)
    while hashes[at] != 0 {
      probeCount &+= 1
      if hashes[at] == hash {
        let group = Int(groups[at])
        if group == own { found.isOwn = true } else { found.other = group }
      }
      at = (at + 1) & mask
    }
    return found
  }

  mutating func insert(_ hash: UInt64, _ group: Int) {
    if (count + 1) * 4 > (mask + 1) * 3 { resize(to: (mask + 1) * 2) }
    put(Self.stored(hash), Int32(truncatingIfNeeded: group))
    count += 1
  }

  private mutating func put(_ hash: UInt64, _ group: Int32) {
    var at = home(hash)
    while hashes[at] != 0 {
      probeCount &+= 1
      at = (at + 1) & mask
    }
    hashes[at] = hash
    groups[at] = group
  }

  mutating func remove(_ hash: UInt64, _ group: Int) {
    let hash = Self.stored(hash)
    var at = home(hash)
    while hashes[at] != hash || groups[at] != Int32(truncatingIfNeeded: group) {
      if hashes[at] == 0 { return }
      probeCount &+= 1
      at = (at + 1) & mask
    }
    count -= 1
    // Those after it move up, unless they are at or after their own first slot already.
    var next = (at + 1) & mask
    while hashes[next] != 0 {
      probeCount &+= 1
      if (next &- home(hashes[next])) & mask >= (next &- at) & mask {
        hashes[at] = hashes[next]
        groups[at] = groups[next]
        at = next
      }
      next = (next + 1) & mask
    }
    hashes[at] = 0
    // Release the room after many groups are removed.
    if mask > 1023, count * 8 < mask { resize(to: (mask + 1) / 4) }
  }

  private mutating func resize(to slotCount: Int) {
    let (oldHashes, oldGroups) = (hashes, groups)
    mask = slotCount - 1
    hashes = [UInt64](repeating: 0, count: slotCount)
    groups = [Int32](repeating: 0, count: slotCount)
    for at in oldHashes.indices where oldHashes[at] != 0 { put(oldHashes[at], oldGroups[at]) }
  }
}
