import CSidecarLinux
import SidecarPlatform

/// Records of the state file: creating, releasing and reusing them.
///
/// What must stay true: a length word is one store, so at any instruction the records follow each
/// other without a gap; only units of records whose release is committed are written to without
/// care.
extension StateFile {
  static let firstUnit = UInt32(recordsStart / cellByteCount)
  private static let growthByteCount = 256 << 10
  /// The longest record that 16 bits of length allow.
  private static let unitLimit = 65_535

  var endUnit: UInt32 { UInt32(usedByteCount / Self.cellByteCount) }

  /// Whether the file has any record of a series or session, in use or not.
  var hasRecords: Bool { endUnit > Self.firstUnit }

  /// Creates a record with `cellCount - 1` zero cells, as part of the current transaction: in place
  /// of a free one, or at the end. `cellCount` counts the head as one. 0 milliseconds are now.
  /// - Throws: `ENOSPC` when the disk is full, `ENOMEM` when the file has reached its limit or the
  ///   record would be longer than 2 MiB; nothing has changed then.
  func allocate(
    kind: Record.Kind, key: RawSpan, nameByteCount: Int, shape: UInt32, form: UInt8 = 0,
    cellCount: Int, createdMilliseconds: UInt64 = 0
  ) throws(Errno) -> Record {
    let keyUnits = (key.byteCount + 31) / Self.cellByteCount
    let units = cellCount + keyUnits
    guard units <= Self.unitLimit, key.byteCount <= 0xffff else { throw .outOfMemory }
    let record: Record
    if let free = takeFree(UInt32(units)) {
      record = free
    } else {
      record = try append(UInt32(units))
    }
    let head = unsafe base + record.offset
    // The bytes of a record that is not in use are undefined, so these stores need no care.
    let milliseconds =
      createdMilliseconds > 0 ? createdMilliseconds : max(1, Clock.unixNanoseconds / 1_000_000)
    unsafe head.storeBytes(of: shape, toByteOffset: 16, as: UInt32.self)
    unsafe head.storeBytes(
      of: UInt32(truncatingIfNeeded: milliseconds), toByteOffset: 20, as: UInt32.self)
    unsafe head.storeBytes(
      of: UInt16(truncatingIfNeeded: milliseconds >> 32), toByteOffset: 24, as: UInt16.self)
    unsafe head.storeBytes(of: UInt16(key.byteCount), toByteOffset: 26, as: UInt16.self)
    unsafe head.storeBytes(of: UInt16(nameByteCount), toByteOffset: 28, as: UInt16.self)
    unsafe head.storeBytes(
      of: UInt16(form) << 8 | UInt16(kind.rawValue), toByteOffset: 30, as: UInt16.self)
    for cell in 1..<cellCount { initialise(record.headCell + cell, 0) }
    let text = unsafe UnsafeMutableRawBufferPointer(
      start: head + cellCount * Self.cellByteCount, count: keyUnits * Self.cellByteCount)
    unsafe text.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe key.withUnsafeBytes { source in unsafe text.copyMemory(from: source) }
    unsafe head.storeBytes(of: headChecksum(record), toByteOffset: 12, as: UInt32.self)
    cl_compiler_barrier()
    stored()
    setUse(record, true)
    return record
  }

  /// Takes a record out of use, as part of the current transaction. Its bytes stay as they are
  /// until `recycle`.
  func release(_ record: Record) {
    setUse(record, false)
    freeRecords.releasedCount += 1
  }

  /// Makes a released record reusable. Call it only after its release is committed, and while
  /// nothing reads its key.
  func recycle(_ record: Record) {
    assert(!isInUse(record))
    freeRecords.releasedCount -= 1
    freeRecords.unitsSinceJoin += unitCount(record)
    insertFree(record, unitCount(record))
  }

  private func setUse(_ record: Record, _ isUsed: Bool) {
    let head = unsafe base + record.offset
    let flags = field(record, 4)
    let old = field(record, 8) == current ? flags & 2 : (flags & 1) << 1
    unsafe cl_store_32(head + 4, Self.useWord(old | (isUsed ? 1 : 0), record, current))
    cl_compiler_barrier()
    stored()
    unsafe cl_store_32(head + 8, current)
    cl_compiler_barrier()
    stored()
    isDirty = true
  }

  // MARK: Contents of a record

  /// The key's bytes, valid as long as the record is in use.
  @_lifetime(borrow self)
  @inline(__always)
  func key(_ record: Record) -> RawSpan {
    let keyByteCount = keyByteCount(record)
    let units = Int(unitCount(record)) - (keyByteCount + 31) / Self.cellByteCount
    let span = unsafe RawSpan(
      _unsafeStart: UnsafeRawPointer(base + (record.headCell + units) * Self.cellByteCount),
      byteCount: keyByteCount)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  func isInUse(_ record: Record) -> Bool { field(record, 4) & 1 != 0 }

  /// Whether it was in use when `kept` began, and has been since.
  func wasInUse(_ record: Record) -> Bool {
    isInUse(record) && kept.isSame(storedBy: field(record, 8))
  }

  /// The units without the key: the head and the cells.
  func cellCount(_ record: Record) -> Int {
    Int(unitCount(record)) - (keyByteCount(record) + 31) / Self.cellByteCount
  }

  func kind(_ record: Record) -> Record.Kind {
    Record.Kind(rawValue: kindByte(record)) ?? .session
  }

  func nameByteCount(_ record: Record) -> Int { Int(short(record, 28)) }
  func shape(_ record: Record) -> UInt32 { field(record, 16) }

  /// The creation time of the record, in Unix milliseconds.
  func createdMilliseconds(_ record: Record) -> UInt64 {
    UInt64(short(record, 24)) << 32 | UInt64(field(record, 20))
  }

  func keyByteCount(_ record: Record) -> Int { Int(short(record, 26)) }
  func kindByte(_ record: Record) -> UInt8 { UInt8(truncatingIfNeeded: short(record, 30)) }
  func form(_ record: Record) -> UInt8 { UInt8(truncatingIfNeeded: short(record, 30) >> 8) }
  @inline(__always)
  func unitCount(_ record: Record) -> UInt32 { UInt32(short(record, 0)) }

  @inline(__always)
  func field(_ record: Record, _ at: Int) -> UInt32 {
    unsafe (base + record.offset).load(fromByteOffset: at, as: UInt32.self)
  }

  @inline(__always)
  private func short(_ record: Record, _ at: Int) -> UInt16 {
    unsafe (base + record.offset).load(fromByteOffset: at, as: UInt16.self)
  }

  static func lengthWord(_ units: UInt32, _ record: Record) -> UInt32 {
    units | check(UInt64(units), record.headCell, .max) & 0xffff_0000
  }

  static func useWord(_ flags: UInt32, _ record: Record, _ transaction: UInt32) -> UInt32 {
    let flags = flags & 3
    return flags | check(UInt64(flags), record.headCell, transaction) & ~3
  }

  func headChecksum(_ record: Record) -> UInt32 {
    let head = unsafe RawSpan(
      _unsafeStart: UnsafeRawPointer(base + record.offset + 16), byteCount: 16)
    // The key's own sum is not simply added: a change of both must not cancel out.
    return Digest.checksum(head) ^ Digest.checksum(key(record)) &* 0x9e37_79b1 ^ record.unit
  }

  // MARK: Free records

  /// A record at the end. The length of the file's content is part of the transaction; nothing is
  /// read beyond it.
  private func append(_ units: UInt32) throws(Errno) -> Record {
    let record = Record(unit: endUnit)
    let end = usedByteCount + Int(units) * Self.cellByteCount
    if end > file.limit { throw .outOfMemory }
    if end > file.size {
      let wanted = (end + Self.growthByteCount - 1) / Self.growthByteCount * Self.growthByteCount
      try grow(to: min(wanted, file.limit))
    }
    writeFree(record, units)
    usedByteCount = end
    store(Self.usedCell, UInt64(end))
    return record
  }

  private func grow(to size: Int) throws(Errno) {
    do throws(Errno) {
      try file.grow(to: size)
      growthFailure = nil
    } catch {
      growthFailure = error
      throw error
    }
  }

  /// At startup, so that a full disk is reported before a new series is refused.
  func makeSureOfRoom() {
    guard file.size - usedByteCount < 4096 else { return }
    do throws(Errno) { try grow(to: min(file.size + Self.growthByteCount, file.limit)) } catch {}
  }

  /// Tries again to grow the file if that failed the last time; returns why it cannot.
  func retryGrowth() -> Errno? {
    guard growthFailure != nil else { return nil }
    do throws(Errno) {
      try grow(to: min(file.size + Self.growthByteCount, file.limit))
    } catch {}
    return growthFailure
  }

  /// Writes an unused head where no record was.
  private func writeFree(_ record: Record, _ units: UInt32) {
    let head = unsafe base + record.offset
    unsafe head.storeBytes(of: Self.useWord(0, record, 0), toByteOffset: 4, as: UInt32.self)
    unsafe head.storeBytes(of: 0, toByteOffset: 8, as: UInt32.self)
    unsafe head.storeBytes(of: Self.lengthWord(units, record), as: UInt32.self)
    cl_compiler_barrier()
    stored()
  }

  /// A free record with this many units, split off a longer one if needed.
  private func takeFree(_ units: UInt32) -> Record? {
    guard let record = removeFree(units) ?? joinedFree(units) else { return nil }
    let length = unitCount(record)
    if length > units {
      let rest = Record(unit: record.unit + units)
      writeFree(rest, length - units)
      unsafe cl_store_32(base + record.offset, Self.lengthWord(units, record))
      cl_compiler_barrier()
      stored()
      insertFree(rest, length - units)
    }
    return record
  }

  /// Joins neighbours if none is long enough: but only after enough has been freed to pay for it,
  /// and not while a released record may still be read.
  private func joinedFree(_ units: UInt32) -> Record? {
    guard freeRecords.unitsSinceJoin >= (endUnit - Self.firstUnit) / 8,
      freeRecords.unitsSinceJoin > 0, freeRecords.releasedCount == 0
    else { return nil }
    joinFreeRecords()
    return removeFree(units)
  }

  /// Finds all free records, and joins adjacent ones.
  func joinFreeRecords() {
    freeRecords = FreeRecords()
    var unit = Self.firstUnit
    while unit < endUnit {
      let record = Record(unit: unit)
      var length = unitCount(record)
      unit += length
      if isInUse(record) { continue }
      let first = length
      while unit < endUnit, !isInUse(Record(unit: unit)) {
        let more = unitCount(Record(unit: unit))
        if length + more > UInt32(Self.unitLimit) { break }
        length += more
        unit += more
      }
      if length > first {
        unsafe cl_store_32(base + record.offset, Self.lengthWord(length, record))
        cl_compiler_barrier()
        stored()
      }
      insertFree(record, length)
    }
  }

  private func insertFree(_ record: Record, _ units: UInt32) {
    let list = FreeRecords.list(units)
    unsafe (base + record.offset).storeBytes(
      of: freeRecords.first[list], toByteOffset: 12, as: UInt32.self)
    freeRecords.first[list] = record.unit
  }

  /// The first in the list of that length, or of the next longer ones.
  private func removeFree(_ units: UInt32) -> Record? {
    for list in FreeRecords.list(units)..<FreeRecords.listCount {
      var before: UInt32 = 0
      var unit = freeRecords.first[list]
      while unit != 0 {
        let record = Record(unit: unit)
        let next = field(record, 12)
        if unitCount(record) >= units {
          if before == 0 {
            freeRecords.first[list] = next
          } else {
            unsafe (base + Record(unit: before).offset).storeBytes(
              of: next, toByteOffset: 12, as: UInt32.self)
          }
          return record
        }
        before = unit
        unit = next
      }
    }
    return nil
  }
}
