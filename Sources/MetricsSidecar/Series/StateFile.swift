import CLinux
import Platform

/// The bytes that survive: every number of the sidecar, in a memory-mapped file, so that a process
/// killed at any instruction leaves whole transactions only.
///
/// What must stay true: a transaction's stores become visible together, in the one 32-bit store of
/// `commit`. Memory of a killed process keeps its stores in program order, so only the compiler's
/// reordering has to be held back. A kernel that dies takes the file with it, as it takes the pod.
///
///     header, 4096 bytes
///       0   8  "MSIDECAR"
///       8   4  version (1)
///      12   4  checksum of bytes 0..<12
///      16   4  committed: the number of the last whole transaction, times `commitFactor`, so that
///              no changed byte makes its neighbour of it
///      20   4  the number's complement; behind by one when killed between the two stores
///      64  32  cell 2: bytes of records in use
///     records, from 4096, each a multiple of 32 bytes: see `Record`
///
/// A cell is 32 bytes:
///
///       0   8  new value        8   8  old value
///      16   4  transaction that wrote the new one
///      20   4  checksum of new  24   4  checksum of old, both with the transaction  28  4  zero
///
/// The value of a cell is the new one, unless its transaction is `committed + 1`: then it was in
/// flight when the process died, and the old one counts.
@safe
final class StateFile {
  static let version: UInt32 = 1
  static let recordsStart = 4096
  static let cellByteCount = 32
  private static let usedCell = 2
  private static let commitFactor: UInt32 = 0x9e37_79b1
  private static let growthByteCount = 256 << 10

  /// Why a file was not trusted.
  enum Damage: Error {
    case tooShort, foreign
    case version(UInt32)
    case header, commitNumber, recordsLength
    case record(offset: Int)
    case cell(offset: Int)

    var description: String {
      switch self {
      case .tooShort: "it is shorter than its header"
      case .foreign: "it is no state file"
      case .version(let found): "it has version \(found), this is version \(StateFile.version)"
      case .header: "its header is damaged"
      case .commitNumber: "its commit number is damaged"
      case .recordsLength: "its length is damaged"
      case .record(let offset): "the record at \(offset) is damaged"
      case .cell(let offset): "the cell at \(offset) is damaged"
      }
    }
  }

  private var file: MappedFile
  // Sound: the mapping never moves while `file` lives; all offsets are below `usedByteCount`,
  // checked once when a file is opened or a record is made.
  private let base: UnsafeMutableRawPointer
  /// The number of the transaction being written.
  private var current: UInt32
  private var isDirty = false
  /// Bytes of header and records in use.
  private(set) var usedByteCount: Int

  /// Takes a file that `MappedFile` has opened. An empty one is made; any other is checked whole.
  init(_ opened: consuming MappedFile) throws(OpenFailure) {
    file = opened
    unsafe base = file.base
    current = 2
    usedByteCount = Self.recordsStart
    if file.size == 0 {
      do throws(Errno) { try file.grow(to: 64 << 10) } catch { throw .system(error) }
      format()
    } else {
      do throws(Damage) { try recover() } catch { throw .damaged(error) }
    }
  }

  #if DEBUG
    /// Called after each store that recovery has to cope with: tests of crash safety copy the file's
    /// bytes from here. One for each file, since tests run side by side.
    var afterStore: (() -> Void)?
  #endif

  /// In a release build there is nothing here.
  @inline(__always)
  @_optimize(speed)
  private func stored() {
    #if DEBUG
      afterStore?()
    #endif
  }

  enum OpenFailure: Error {
    case system(Errno)
    case damaged(Damage)
  }

  // MARK: Cells

  /// The value of the cell at `index`, with what this transaction has stored.
  @inline(__always)
  @_optimize(speed)
  func value(_ index: Int) -> UInt64 { unsafe cell(index).load(as: UInt64.self) }

  @inline(__always)
  @_optimize(speed)
  func number(_ index: Int) -> Double { Double(bitPattern: value(index)) }

  /// Stores into the cell at `index`, as part of the current transaction.
  @inline(__always)
  @_optimize(speed)
  func store(_ index: Int, _ bits: UInt64) {
    let cell = unsafe cell(index)
    if unsafe cell.load(fromByteOffset: 16, as: UInt32.self) != current {
      // The value before this transaction is put aside first; only then is the cell marked.
      let old = unsafe cell.load(as: UInt64.self)
      unsafe cell.storeBytes(of: old, toByteOffset: 8, as: UInt64.self)
      unsafe cell.storeBytes(
        of: Self.check(old, index, current), toByteOffset: 24, as: UInt32.self)
      stored()
      unsafe cl_store_32(cell + 16, current)
      cl_compiler_barrier()
      stored()
      isDirty = true
    }
    unsafe cell.storeBytes(of: bits, as: UInt64.self)
    stored()
    unsafe cell.storeBytes(of: Self.check(bits, index, current), toByteOffset: 20, as: UInt32.self)
    stored()
  }

  @inline(__always)
  @_optimize(speed)
  func store(_ index: Int, _ number: Double) { store(index, number.bitPattern) }

  /// Adds to a cell that holds a number.
  @inline(__always)
  @_optimize(speed)
  func add(_ index: Int, _ amount: Double) { store(index, number(index) + amount) }

  /// Makes everything stored since the last commit take effect at once.
  @inline(__always)
  @_optimize(speed)
  func commit() {
    guard isDirty else { return }
    isDirty = false
    storeCommitted(current)
    // What the next transaction puts aside must not overtake the commit.
    cl_compiler_barrier()
    if current >= 0xffff_fff0 { renumber() } else { current += 1 }
  }

  @inline(__always)
  @_optimize(speed)
  private func storeCommitted(_ number: UInt32) {
    unsafe cl_store_32(base + 16, number &* Self.commitFactor)
    stored()
    unsafe cl_store_32(base + 20, ~number)
    stored()
  }

  @inline(__always)
  @_optimize(speed)
  private func cell(_ index: Int) -> UnsafeMutableRawPointer {
    assert(index > 0 && index * 32 < usedByteCount + (1 << 20))
    return unsafe base + index &* Self.cellByteCount
  }

  @inline(__always)
  @_optimize(speed)
  private static func check(_ bits: UInt64, _ index: Int, _ transaction: UInt32) -> UInt32 {
    let place = UInt64(truncatingIfNeeded: index) &* 0x9e37_79b9_7f4a_7c15
    // Spread over all bits, so that a small change of the value is never a change of the transaction.
    let time = UInt64(transaction) &* 0xa076_1d64_78bd_642f
    let mixed = (bits ^ place ^ time) &* 0xd6e8_feb8_6659_fd93
    return UInt32(truncatingIfNeeded: mixed >> 32)
  }

  private func initialise(_ index: Int, _ bits: UInt64) {
    let cell = unsafe cell(index)
    unsafe cell.storeBytes(of: bits, as: UInt64.self)
    unsafe cell.storeBytes(of: bits, toByteOffset: 8, as: UInt64.self)
    unsafe cell.storeBytes(of: 0, toByteOffset: 16, as: UInt32.self)
    unsafe cell.storeBytes(of: Self.check(bits, index, 0), toByteOffset: 20, as: UInt32.self)
    unsafe cell.storeBytes(of: Self.check(bits, index, 0), toByteOffset: 24, as: UInt32.self)
    unsafe cell.storeBytes(of: 0, toByteOffset: 28, as: UInt32.self)
  }

  // MARK: Records

  /// Adds a record with `cellCount` cells of zero, as part of the current transaction.
  /// - Throws: `ENOSPC` when the disk is full, `ENOMEM` when the file has reached its limit; nothing
  ///   has changed then.
  func append(
    kind: Record.Kind, key: RawSpan, nameByteCount: Int, shape: UInt32, cellCount: Int
  ) throws(Errno) -> Record {
    let layout = Record(offset: usedByteCount, keyByteCount: key.byteCount, cellCount: cellCount)
    let end = layout.end
    if end > file.limit { throw .outOfMemory }
    if end > file.size {
      let wanted = (end + Self.growthByteCount - 1) / Self.growthByteCount * Self.growthByteCount
      try file.grow(to: min(max(wanted, end), file.limit))
    }
    // Beyond what is in use nothing is read, so these stores need no care; the length below counts.
    let start = unsafe base + layout.offset
    unsafe start.storeBytes(of: UInt32(kind.rawValue), toByteOffset: 8, as: UInt32.self)
    unsafe start.storeBytes(of: UInt32(key.byteCount), toByteOffset: 12, as: UInt32.self)
    unsafe start.storeBytes(of: UInt32(cellCount), toByteOffset: 16, as: UInt32.self)
    unsafe start.storeBytes(of: UInt32(nameByteCount), toByteOffset: 20, as: UInt32.self)
    unsafe start.storeBytes(of: shape, toByteOffset: 24, as: UInt32.self)
    unsafe start.storeBytes(of: 0, toByteOffset: 28, as: UInt32.self)
    writeKey(layout, key)
    unsafe start.storeBytes(of: headChecksum(layout), as: UInt32.self)
    for cell in 0..<cellCount { initialise(layout.firstCell + cell, 0) }
    usedByteCount = end
    store(Self.usedCell, UInt64(end))
    return layout
  }

  /// Gives a record of the same size another key. Only for one that is not in use (its first cell
  /// is 0 and that is committed), so that a kill in between harms nothing.
  func writeKey(_ record: Record, _ key: RawSpan) {
    precondition(key.byteCount == record.keyByteCount)
    let target = unsafe UnsafeMutableRawBufferPointer(
      start: base + record.keyOffset, count: (key.byteCount + 31) & ~31)
    unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe key.withUnsafeBytes { source in unsafe target.copyMemory(from: source) }
    unsafe (base + record.offset).storeBytes(
      of: Digest.checksum(key), toByteOffset: 4, as: UInt32.self)
  }

  /// The key's bytes, valid as long as the file is.
  @_lifetime(borrow self)
  @inline(__always)
  func key(_ record: Record) -> RawSpan {
    let span = unsafe RawSpan(
      _unsafeStart: UnsafeRawPointer(base + record.keyOffset), byteCount: record.keyByteCount)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  func kind(_ record: Record) -> Record.Kind {
    Record.Kind(rawValue: UInt8(truncatingIfNeeded: field(record.offset, 8))) ?? .session
  }
  func nameByteCount(_ record: Record) -> Int { Int(clamping: field(record.offset, 20)) }
  func shape(_ record: Record) -> UInt32 { field(record.offset, 24) }

  /// The record at `offset`. Its numbers mean something only once its head has been checked, but
  /// they never trap, on 32 bits neither.
  func record(at offset: Int) -> Record {
    Record(
      offset: offset, keyByteCount: Int(clamping: field(offset, 12)),
      cellCount: Int(clamping: field(offset, 16)))
  }

  private func field(_ offset: Int, _ at: Int) -> UInt32 {
    unsafe (base + offset).load(fromByteOffset: at, as: UInt32.self)
  }

  private func headChecksum(_ record: Record) -> UInt32 {
    let head = unsafe RawSpan(
      _unsafeStart: UnsafeRawPointer(base + record.offset + 8), byteCount: 24)
    return Digest.checksum(head) ^ UInt32(truncatingIfNeeded: record.offset)
  }

  // MARK: Opening

  private func format() {
    unsafe base.copyMemory(from: StaticString("MSIDECAR").utf8Start, byteCount: 8)
    unsafe base.storeBytes(of: Self.version, toByteOffset: 8, as: UInt32.self)
    unsafe base.storeBytes(of: Self.commitFactor, toByteOffset: 16, as: UInt32.self)
    unsafe base.storeBytes(of: ~1, toByteOffset: 20, as: UInt32.self)
    initialise(Self.usedCell, UInt64(Self.recordsStart))
    cl_compiler_barrier()
    // The checksum comes last: a file that was left half made is told from a whole one.
    unsafe base.storeBytes(of: headerChecksum(), toByteOffset: 12, as: UInt32.self)
  }

  private func headerChecksum() -> UInt32 {
    unsafe Digest.checksum(RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: 12))
  }

  private func recover() throws(Damage) {
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
    unsafe base.storeBytes(of: ~committed, toByteOffset: 20, as: UInt32.self)
    current = committed &+ 1
    try recoverCell(Self.usedCell)
    let used = Int(clamping: value(Self.usedCell))
    guard used >= Self.recordsStart, used <= file.size, used % Self.cellByteCount == 0 else {
      throw .recordsLength
    }
    usedByteCount = used
    var offset = Self.recordsStart
    while offset < used { offset = try recoverRecord(at: offset) }
    if current >= 0xffff_fff0 { renumber() }
  }

  /// The second number may be behind by one, and by far where `renumber` has started again.
  private func recoverCommitted() throws(Damage) -> UInt32 {
    let word = unsafe base.load(fromByteOffset: 16, as: UInt32.self)
    let number = ~(unsafe base.load(fromByteOffset: 20, as: UInt32.self))
    for committed in [number, number &+ 1, 1]
    where committed != 0 && committed &* Self.commitFactor == word {
      return committed
    }
    throw .commitNumber
  }

  private func recoverRecord(at offset: Int) throws(Damage) -> Int {
    guard offset + Record.headByteCount <= usedByteCount else { throw .record(offset: offset) }
    let record = record(at: offset)
    guard record.keyByteCount < 1 << 20, record.cellCount < 1 << 16, record.cellCount > 0,
      record.end <= usedByteCount, field(offset, 0) == headChecksum(record),
      Record.Kind(rawValue: UInt8(truncatingIfNeeded: field(offset, 8))) != nil,
      nameByteCount(record) <= record.keyByteCount
    else { throw .record(offset: offset) }
    for cell in 0..<record.cellCount { try recoverCell(record.firstCell + cell) }
    // The key of a record that is not in use may be half written.
    if value(record.firstCell) != 0, field(offset, 4) != Digest.checksum(key(record)) {
      throw .record(offset: offset)
    }
    return record.end
  }

  /// Takes the old value where the new one was in flight. Killed anywhere here, it starts again.
  private func recoverCell(_ index: Int) throws(Damage) {
    let cell = unsafe cell(index)
    let transaction = unsafe cell.load(fromByteOffset: 16, as: UInt32.self)
    if transaction == current {
      let old = unsafe cell.load(fromByteOffset: 8, as: UInt64.self)
      // The checksum of old knows the transaction, so a damaged number is not taken for one in flight.
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

  /// Starts the numbers again before they run out: once in four billion transactions.
  /// All cells are committed here, so marking each with 0 changes no value.
  private func renumber() {
    renumber(Self.usedCell)
    var offset = Self.recordsStart
    while offset < usedByteCount {
      let record = record(at: offset)
      for index in 0..<record.cellCount { renumber(record.firstCell + index) }
      offset = record.end
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
