import SidecarPlatform

/// The most recent entries of a kind, in the state file: an entry is some cells, the newest
/// replaces the oldest. Records of 256 entries are created as needed.
///
/// What must stay true: an entry is part of the transaction that adds it, and so is the position,
/// which is the caller's cell.
struct DigestRing {
  /// Distinguishes its records from those of other rings: the first byte of their keys; the second
  /// is the position.
  let letter: UInt8
  let entryCellCount: Int
  let limit: Int
  private var records: [Record] = []
  static let chunk = 256

  init(letter: UInt8, entryCellCount: Int, limit: Int) {
    self.letter = letter
    self.entryCellCount = entryCellCount
    self.limit = limit
  }

  /// Restores a record; call it in any order.
  mutating func restore(_ record: Record, at place: Int) {
    while records.count <= place { records.append(Record(unit: 0)) }
    records[place] = record
  }

  /// Makes sure that there is room for the entry of that number.
  mutating func reserve(_ number: UInt64, in state: StateFile) throws(Errno) {
    let place = Int(number % UInt64(limit)) / Self.chunk
    while records.count <= place { records.append(Record(unit: 0)) }
    guard records[place].unit == 0 else { return }
    let key: [UInt8] = [letter, UInt8(truncatingIfNeeded: place)]
    records[place] = try unsafe state.allocate(
      kind: .memory, key: key.span.bytes, nameByteCount: 0, shape: 0,
      cellCount: 1 + Self.chunk * entryCellCount)
  }

  /// The first cell of the entry of that number; 0 if there is none.
  func cell(_ number: UInt64) -> Int {
    let index = Int(number % UInt64(limit))
    let place = index / Self.chunk
    guard place < records.count, records[place].unit != 0 else { return 0 }
    return records[place].headCell + 1 + index % Self.chunk * entryCellCount
  }
}
