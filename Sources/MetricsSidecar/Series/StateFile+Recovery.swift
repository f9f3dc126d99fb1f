import CSidecarLinux
import SidecarPlatform

/// Opens a state file: rolls back what was in flight, and refuses the file if anything is damaged.
extension StateFile {
  func format() {
    unsafe base.copyMemory(from: StaticString("MSIDECAR").utf8Start, byteCount: 8)
    unsafe base.storeBytes(of: Self.version, toByteOffset: 8, as: UInt32.self)
    unsafe base.storeBytes(of: Self.commitFactor, toByteOffset: 16, as: UInt32.self)
    unsafe base.storeBytes(of: ~1, toByteOffset: 20, as: UInt32.self)
    initialise(Self.usedCell, UInt64(Self.recordsStart))
    cl_compiler_barrier()
    // The checksum comes last: it distinguishes a complete file from a half-made one.
    unsafe base.storeBytes(of: headerChecksum(), toByteOffset: 12, as: UInt32.self)
  }

  private func headerChecksum() -> UInt32 {
    unsafe Digest.checksum(RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: 12))
  }

  func recover(_ boot: BootIdentity) throws(Damage) {
    guard file.size >= Self.recordsStart else { throw .tooShort }
    let magic = unsafe UnsafeRawBufferPointer(start: base, count: 8)
    let expected = unsafe UnsafeRawBufferPointer(
      start: StaticString("MSIDECAR").utf8Start, count: 8)
    guard unsafe magic.elementsEqual(expected) else { throw .foreign }
    let found = unsafe base.load(fromByteOffset: 8, as: UInt32.self)
    guard found == Self.version else { throw .version(found) }
    guard unsafe base.load(fromByteOffset: 12, as: UInt32.self) == headerChecksum() else {
      throw .header
    }
    let committed = try recoverCommitted()
    guard bootMark.isTrusted(boot, committed) else { throw .otherBoot }
    unsafe base.storeBytes(of: ~committed, toByteOffset: 20, as: UInt32.self)
    current = committed &+ 1
    try recoverCell(Self.usedCell)
    let used = Int(clamping: value(Self.usedCell))
    guard used >= Self.recordsStart, used <= file.size, used % Self.cellByteCount == 0 else {
      throw .recordsLength
    }
    usedByteCount = used
    var unit = Self.firstUnit
    while unit < endUnit {
      try recoverRecord(Record(unit: unit))
      unit += unitCount(Record(unit: unit))
    }
    if current >= 0xffff_fff0 { renumber() }
    joinFreeRecords()
  }

  /// The second number may be behind by one, and by far if `renumber` has started again.
  private func recoverCommitted() throws(Damage) -> UInt32 {
    let word = unsafe base.load(fromByteOffset: 16, as: UInt32.self)
    let number = ~(unsafe base.load(fromByteOffset: 20, as: UInt32.self))
    for committed in [number, number &+ 1, 1]
    where committed != 0 && committed &* Self.commitFactor == word {
      return committed
    }
    throw .commitNumber
  }

  private func recoverRecord(_ record: Record) throws(Damage) {
    let damage = Damage.record(offset: record.offset)
    let units = unitCount(record)
    guard units > 0, units <= endUnit - record.unit,
      field(record, 0) == Self.lengthWord(units, record)
    else { throw damage }
    guard try recoverUse(record) else { return }
    let keyUnits = (keyByteCount(record) + 31) / Self.cellByteCount
    guard keyUnits + 2 <= Int(units), nameByteCount(record) <= keyByteCount(record),
      Record.Kind(rawValue: kindByte(record)) != nil, field(record, 12) == headChecksum(record)
    else { throw damage }
    for cell in 1..<cellCount(record) { try recoverCell(record.headCell + cell) }
  }

  /// Whether a record is in use, according to the last complete transaction.
  private func recoverUse(_ record: Record) throws(Damage) -> Bool {
    let flags = field(record, 4) & 3
    let word = field(record, 4)
    let transaction = field(record, 8)
    if transaction != current,
      word == Self.useWord(flags, record, transaction) && transaction < current
        || word == Self.useWord(flags, record, 0)
    {
      return flags & 1 != 0
    }
    // In flight; killed between its two stores, it has the number of an earlier transaction.
    guard word == Self.useWord(flags, record, current) else {
      throw .record(offset: record.offset)
    }
    let old = flags >> 1 == 0 ? UInt32(0) : 3
    unsafe cl_store_32(base + record.offset + 4, Self.useWord(old, record, 0))
    cl_compiler_barrier()
    unsafe cl_store_32(base + record.offset + 8, 0)
    return old != 0
  }

  /// Restores the old value if the new one was in flight. If the process is killed here, recovery
  /// starts again.
  private func recoverCell(_ index: Int) throws(Damage) {
    let cell = unsafe cell(index)
    let transaction = unsafe cell.load(fromByteOffset: 16, as: UInt32.self)
    if transaction == current {
      let old = unsafe cell.load(fromByteOffset: 8, as: UInt64.self)
      // The old value's checksum covers the transaction, so a damaged number does not look like one
      // in flight.
      guard unsafe cell.load(fromByteOffset: 24, as: UInt32.self) == Self.check(old, index, current)
      else {
        throw .cell(offset: index * Self.cellByteCount)
      }
      unsafe cell.storeBytes(of: old, as: UInt64.self)
      unsafe cell.storeBytes(of: Self.check(old, index, 0), toByteOffset: 20, as: UInt32.self)
      cl_compiler_barrier()
      unsafe cl_store_32(cell + 16, 0)
      return
    }
    let new = value(index)
    let check = unsafe cell.load(fromByteOffset: 20, as: UInt32.self)
    // `renumber` stores the checksum for 0 before the 0.
    guard transaction < current,
      check == Self.check(new, index, transaction) || check == Self.check(new, index, 0)
    else { throw .cell(offset: index * Self.cellByteCount) }
  }

  /// Starts the numbers again before they run out: once in four billion transactions. Everything is
  /// committed here, so marking each cell and record with 0 changes no value.
  func renumber() {
    renumber(Self.usedCell)
    var unit = Self.firstUnit
    while unit < endUnit {
      let record = Record(unit: unit)
      if isInUse(record) {
        for index in 1..<cellCount(record) { renumber(record.headCell + index) }
      }
      unsafe cl_store_32(base + record.offset + 4, Self.useWord(field(record, 4) & 3, record, 0))
      stored()
      unsafe cl_store_32(base + record.offset + 8, 0)
      stored()
      unit += unitCount(record)
    }
    storeCommitted(1)
    cl_compiler_barrier()
    current = 2
  }

  private func renumber(_ index: Int) {
    let cell = unsafe cell(index)
    unsafe cell.storeBytes(
      of: Self.check(value(index), index, 0), toByteOffset: 20, as: UInt32.self)
    stored()
    unsafe cl_store_32(cell + 16, 0)
    stored()
  }
}
