import SidecarPlatform

/// From a series' key, as exposed, to its record; the keys stay in the state file.
struct SeriesTable {
  private var index = HashIndex(slotCount: 256)

  private static func hash(_ key: RawSpan) -> UInt32 {
    UInt32(truncatingIfNeeded: HashKey.process.hash(key))
  }

  func find(_ key: RawSpan, in state: StateFile) -> Record? {
    index.find(Self.hash(key)) { ByteCompare.equal(state.key(Record(unit: $0)), key) }
      .map { Record(unit: $0) }
  }

  /// Adds a record whose key is not in the table.
  mutating func insert(_ record: Record, key: RawSpan) {
    index.insert(Self.hash(key), record.unit)
  }

  mutating func remove(_ record: Record, key: RawSpan) {
    index.remove(Self.hash(key), record.unit)
  }
}
