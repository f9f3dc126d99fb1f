import SidecarPlatform

/// OTLP's streams: for each writer of a cumulative series, how much of it has been counted, so that
/// only the increase is added. And which requests were already applied, so that a client may resend
/// one.
///
/// What must stay true: a stream's position changes in the transaction that adds to its series; a
/// stream that made room is remembered by its digest, so that nothing of it is counted twice.
///
/// A stream's record has as its key, 8 bytes each: the digest of the stream (two words), the digest
/// of what it shares with other instances, then the numbers of its first point. Its cells:
///
///     1 value or count   2 the newest point's time   3 what a point below the last one had
///     4 bits 0..<8 flags, 8...: when it was heard last, in seconds of Unix time
///     5… of a histogram: its sum, then its buckets
final class Streams {
  static let value = 1
  static let time = 2
  static let lower = 3
  static let state = 4
  static let sum = 5
  static let firstBucket = 6
  /// The cells of a stream of numbers, with the head.
  static let cellCount = 5

  /// A newer point was below the last one; the next one says whether that was a reset.
  static let isBelow: UInt64 = 1
  /// Two writers were reported.
  static let isShared: UInt64 = 2

  /// The identity of a stream, and that without its instance.
  struct Identity {
    var high: UInt64 = 0
    var low: UInt64 = 0
    var group: UInt64 = 0
  }

  /// How long a silent one is kept.
  static let silentSeconds: UInt64 = 600
  static let forgottenLimit = 65_536
  static let requestLimit = 4096

  let file: StateFile
  let limit: Int
  private var index = HashIndex()
  /// The stream with the least first point, for each group.
  private var groups = HashIndex()
  var count: Int { index.count }
  /// Streams that had to make room.
  private(set) var evicted: UInt64 = 0
  private var nextEviction: UInt64 = 0

  /// The secrets of digests: cells 1 to 4; the numbers of requests and forgotten streams: 5 and 6.
  private var head = Record(unit: 0)
  private(set) var keys = (HashKey(start: 0, factor: 1), HashKey(start: 0, factor: 1))
  private var requests = DigestRing(letter: 0x72, entryCellCount: 3, limit: requestLimit)
  private var forgotten = DigestRing(letter: 0x66, entryCellCount: 1, limit: forgottenLimit)
  private var forgottenSet: Set<UInt64> = []

  init(file: StateFile, limit: Int) {
    self.file = file
    self.limit = limit
  }

  // MARK: Restart

  func restore(_ record: Record) {
    guard file.keyByteCount(record) >= 24, file.cellCount(record) >= Self.cellCount else { return }
    index.insert(Self.short(word(record, 0)), record.unit)
    joinGroup(record)
  }

  /// A record of `.memory`: the head, or a part of a ring.
  func restoreMemory(_ record: Record) {
    let file = self.file
    let key = SeriesKey.array(file.key(record))
    switch key.first {
    case requests.letter where key.count == 2: requests.restore(record, at: Int(key[1]))
    case forgotten.letter where key.count == 2: forgotten.restore(record, at: Int(key[1]))
    default: if file.cellCount(record) == 7 { head = record }
    }
  }

  /// Call it after all records: builds the tables in memory.
  func finishRestoring() {
    guard head.unit != 0 else { return }
    readKeys()
    let end = file.value(head.headCell + 6)
    var number = end > UInt64(Self.forgottenLimit) ? end - UInt64(Self.forgottenLimit) : 0
    while number < end {
      let cell = forgotten.cell(number)
      if cell != 0 { forgottenSet.insert(file.value(cell)) }
      number += 1
    }
  }

  private func readKeys() {
    let cell = head.headCell
    keys = (
      HashKey(start: file.value(cell + 1), factor: file.value(cell + 2)),
      HashKey(start: file.value(cell + 3), factor: file.value(cell + 4))
    )
  }

  /// Makes sure that there are secrets: before the first digest.
  func begin() throws(Errno) {
    guard head.unit == 0 else { return }
    let letter: [UInt8] = [0x68]
    let record = try unsafe file.allocate(
      kind: .memory, key: letter.span.bytes, nameByteCount: 0, shape: 0, cellCount: 7)
    for half in 0..<2 {
      let (first, second) = try Process.randomIdentity()
      file.put(record.headCell + 1 + 2 * half, first)
      file.put(record.headCell + 2 + 2 * half, second | 1)
    }
    head = record
    readKeys()
  }

  /// 128 bits that no client can choose without the secret.
  func digest(_ bytes: RawSpan) -> (UInt64, UInt64) { (keys.0.hash(bytes), keys.1.hash(bytes)) }

  private func word(_ record: Record, _ index: Int) -> UInt64 {
    let file = self.file
    let key = file.key(record)
    precondition(index * 8 + 8 <= key.byteCount)
    // Sound: checked against the length above.
    return UInt64(
      littleEndian: unsafe key.unsafeLoadUnaligned(
        fromUncheckedByteOffset: index * 8, as: UInt64.self))
  }

  // MARK: Streams

  func find(_ identity: Identity) -> Record? {
    index.find(Self.short(identity.high)) { unit in
      word(Record(unit: unit), 0) == identity.high && word(Record(unit: unit), 1) == identity.low
    }.map { Record(unit: $0) }
  }

  /// The stream of another instance that began at the same time, with the least first point.
  func relative(of identity: Identity) -> Record? {
    inGroup(identity.group)
  }

  /// The numbers of a stream's first point: its value or count, then its buckets.
  func first(_ record: Record, _ place: Int) -> Double {
    guard 24 + place * 8 + 8 <= file.keyByteCount(record) else { return 0 }
    return Double(bitPattern: word(record, 3 + place))
  }

  /// Whether the stream made room before.
  func isForgotten(_ identity: Identity) -> Bool { forgottenSet.contains(identity.low) }

  /// Whether there is room for another stream, or one can make room for it.
  func hasRoom(now: UInt64, onEviction: (Record) -> Void) -> Bool {
    if count < limit { return true }
    guard now >= nextEviction else { return false }
    evict(now, onEviction)
    if count < limit { return true }
    // None was silent for long enough; not looked for at each point.
    nextEviction = now + 10
    return false
  }

  private func evict(_ now: UInt64, _ onEviction: (Record) -> Void) {
    var left = max(1, limit / 64)
    for unit in index.values where left > 0 {
      let record = Record(unit: unit)
      let heard = file.value(record.headCell + Self.state) >> 8
      guard heard + Self.silentSeconds <= now, remember(record) else { continue }
      remove(record)
      onEviction(record)
      evicted += 1
      left -= 1
    }
  }

  /// Stores a stream's digest among the forgotten ones; returns whether there was room in the state
  /// file.
  private func remember(_ record: Record) -> Bool {
    let cell = head.headCell + 6
    let number = file.value(cell)
    do throws(Errno) { try forgotten.reserve(number, in: file) } catch { return false }
    let entry = forgotten.cell(number)
    if number >= UInt64(Self.forgottenLimit) { forgottenSet.remove(file.value(entry)) }
    let low = word(record, 1)
    file.put(entry, low)
    file.put(cell, number + 1)
    forgottenSet.insert(low)
    return true
  }

  /// Removes a stream from the tables; the caller handles its record.
  func remove(_ record: Record) {
    index.remove(Self.short(word(record, 0)), record.unit)
    groups.remove(Self.short(word(record, 2)), record.unit)
  }

  /// Creates a stream with zero numbers. `first` are those of its first point.
  func make(
    _ identity: Identity, shape: UInt32, cellCount: Int, first: [Double]
  ) throws(Errno) -> Record {
    var key = ByteBuffer(capacity: 24 + first.count * 8)
    for word in [identity.high, identity.low, identity.group] { key.append64(word) }
    for number in first { key.append64(number.bitPattern) }
    let record = try file.allocate(
      kind: .stream, key: key.bytes, nameByteCount: 0, shape: shape, cellCount: cellCount)
    index.insert(Self.short(identity.high), record.unit)
    joinGroup(record)
    return record
  }

  /// A digest's word as the tables have it.
  private static func short(_ word: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: word >> 32) }

  /// Replaces a stream's record by one with more cells; the caller handles the old one, which is
  /// out of the tables.
  func grow(_ record: Record, cellCount: Int) throws(Errno) -> Record {
    let file = self.file
    var key = ByteBuffer(capacity: file.keyByteCount(record))
    key.append(file.key(record))
    let grown = try file.allocate(
      kind: .stream, key: key.bytes, nameByteCount: 0, shape: file.shape(record),
      cellCount: cellCount)
    remove(record)
    for cell in 1..<Self.cellCount {
      file.put(grown.headCell + cell, file.value(record.headCell + cell))
    }
    index.insert(Self.short(word(grown, 0)), grown.unit)
    joinGroup(grown)
    return grown
  }

  /// A point of the stream has come: it has no room to make for a while.
  func heard(_ record: Record, _ now: UInt64) {
    let cell = record.headCell + Self.state
    file.put(cell, file.value(cell) & 0xff | now << 8)
  }

  private func inGroup(_ group: UInt64) -> Record? {
    groups.find(Self.short(group)) { word(Record(unit: $0), 2) == group }.map { Record(unit: $0) }
  }

  private func joinGroup(_ record: Record) {
    let group = word(record, 2)
    if let known = inGroup(group) {
      guard first(record, 0) < first(known, 0) else { return }
      groups.remove(Self.short(group), known.unit)
    }
    groups.insert(Self.short(group), record.unit)
  }

  // MARK: Requests

  /// The answer to an earlier request with this digest: how many points were refused; `nil` for a
  /// new one.
  func answered(_ digest: (UInt64, UInt64)) -> UInt64? {
    guard head.unit != 0 else { return nil }
    let end = file.value(head.headCell + 5)
    var number = end
    let first = end > UInt64(Self.requestLimit) ? end - UInt64(Self.requestLimit) : 0
    while number > first {
      number -= 1
      let cell = requests.cell(number)
      if cell != 0, file.value(cell) == digest.0, file.value(cell + 1) == digest.1 {
        return file.value(cell + 2) & 0xffff_ffff
      }
    }
    return nil
  }

  /// Ensures that the next request can be stored: call it before applying anything of it.
  func reserveRequest() throws(Errno) {
    try requests.reserve(file.value(head.headCell + 5), in: file)
  }

  /// Stores a request's digest, after `reserveRequest`. Returns whether one younger than two
  /// minutes made room.
  func keep(_ digest: (UInt64, UInt64), refused: Int, now: UInt64) -> Bool {
    let position = head.headCell + 5
    let number = file.value(position)
    let cell = requests.cell(number)
    let isEarly = number >= UInt64(Self.requestLimit) && file.value(cell + 2) >> 32 + 120 > now
    file.put(cell, digest.0)
    file.put(cell + 1, digest.1)
    file.put(cell + 2, now << 32 | UInt64(UInt32(clamping: refused)))
    file.put(position, number + 1)
    return isEarly
  }
}
