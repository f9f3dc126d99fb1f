import CSidecarLinux
import SidecarPlatform

/// The bytes that survive: every number of the sidecar, in a memory-mapped file, so that a process
/// killed at any instruction leaves whole transactions only.
///
/// What must stay true: a transaction's stores become visible together, in the one 32-bit store of
/// `commit`. Memory of a killed process keeps its stores in program order, so only the compiler's
/// reordering must be prevented. A machine that crashes may leave pages from different times: see
/// `BootMark`.
///
///     header, 4096 bytes
///       0   8  "MSIDECAR"
///       8   4  version (2)
///      12   4  checksum of bytes 0..<12
///      16   4  committed: the number of the last whole transaction, times `commitFactor`, so that
///              no changed byte makes its neighbour of it
///      20   4  the number's complement; behind by one when killed between the two stores
///      24  20  the machine's boot, and whether the last owner exited cleanly: see `BootMark`
///      64  32  cell 2: bytes of records in use
///     records, from 4096, one after the other, each a multiple of 32 bytes: see `Record`
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
  static let version: UInt32 = 2
  static let recordsStart = 4096
  static let cellByteCount = 32
  static let usedCell = 2
  static let commitFactor: UInt32 = 0x9e37_79b1

  /// Why a file is not trusted.
  enum Damage: Error {
    case tooShort, foreign, otherBoot
    case version(UInt32)
    case header, commitNumber, recordsLength
    case record(offset: Int)
    case cell(offset: Int)

    var description: String {
      switch self {
      case .tooShort: "it is shorter than its header"
      case .foreign: "it is no state file"
      case .otherBoot:
        "the machine has restarted since it was written, and its sidecar had not ended in order, "
          + "so parts of it may be older than others"
      case .version(let found):
        joined(
          "it has version ", found.description, ", this is version ", StateFile.version.description)
      case .header: "its header is damaged"
      case .commitNumber: "its commit number is damaged"
      case .recordsLength: "its length is damaged"
      case .record(let offset): joined("the record at ", offset.description, " is damaged")
      case .cell(let offset): joined("the cell at ", offset.description, " is damaged")
      }
    }
  }

  var file: MappedFile
  // Sound: the mapping never moves while `file` lives; all offsets are below `usedByteCount`,
  // checked once when a file is opened or a record is created.
  let base: UnsafeMutableRawPointer
  /// The number of the transaction being written.
  var current: UInt32
  var isDirty = false
  /// The bytes of header and records, including free records.
  var usedByteCount: Int
  /// Why the disk gave no more room at the last try.
  var growthFailure: Errno?
  /// Free records, to be reused.
  var freeRecords = FreeRecords()
  /// The old values for an exposition that is being written.
  var kept = BeforeImages()

  /// Uses a file that `MappedFile` has opened. Initialises an empty one, and checks any other
  /// completely.
  init(
    _ opened: consuming MappedFile, boot: BootIdentity = Process.bootIdentity
  ) throws(OpenFailure) {
    file = opened
    unsafe base = file.base
    current = 2
    usedByteCount = Self.recordsStart
    if file.size == 0 {
      do throws(Errno) { try file.grow(to: 64 << 10) } catch { throw .system(error) }
      format()
    } else {
      do throws(Damage) { try recover(boot) } catch { throw .damaged(error) }
      file.settle(usedByteCount: usedByteCount)
      makeSureOfRoom()
    }
    bootMark.begin(boot)
  }

  var bootMark: BootMark { unsafe BootMark(at: base + 24) }

  /// Call it after the last commit of a process that exits cleanly.
  func endInOrder() {
    do throws(Errno) {
      try file.sync()
      bootMark.end(committed)
      try file.sync()
    } catch {}
  }

  #if DEBUG
    /// Called after each store that recovery has to cope with: tests of crash safety copy the
    /// file's bytes from here. One per file, since tests run in parallel.
    var afterStore: (() -> Void)?
  #endif

  /// Empty in a release build.
  @inline(__always)
  @_optimize(speed)
  func stored() {
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
    let transaction = unsafe cell.load(fromByteOffset: 16, as: UInt32.self)
    if transaction != current {
      // First save the value before this transaction; only then mark the cell.
      let old = unsafe cell.load(as: UInt64.self)
      if index < kept.end { kept.keep(index, old, storedBy: transaction) }
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

  /// `store` as a call of its own: where many stand in a row, each would be as long as this one.
  @inline(never)
  @_optimize(speed)
  func put(_ index: Int, _ bits: UInt64) { store(index, bits) }

  /// Adds to a cell that holds a number.
  @inline(__always)
  @_optimize(speed)
  func add(_ index: Int, _ amount: Double) { store(index, number(index) + amount) }

  /// The number that the cell at `index` had when `kept` began.
  @inline(__always)
  @_optimize(speed)
  func keptNumber(_ index: Int) -> Double {
    Double(bitPattern: kept.value(index, value(index), storedBy: transaction(index)))
  }

  /// The transaction that stored into the cell last.
  @inline(__always)
  func transaction(_ index: Int) -> UInt32 {
    unsafe cell(index).load(fromByteOffset: 16, as: UInt32.self)
  }

  /// The last transaction that has taken effect.
  var committed: UInt32 { current - 1 }

  /// Makes everything stored since the last commit take effect at once.
  @inline(__always)
  @_optimize(speed)
  func commit() {
    guard isDirty else { return }
    isDirty = false
    storeCommitted(current)
    // The values that the next transaction saves must not overtake the commit.
    cl_compiler_barrier()
    // Renumbering would invalidate an exposition that is being written; that ends long before the
    // numbers run out.
    let isLate = current >= 0xfff0_0000 && !kept.isOn || current >= 0xffff_fff0
    if isLate { renumber() } else { current += 1 }
  }

  @inline(__always)
  @_optimize(speed)
  func storeCommitted(_ number: UInt32) {
    unsafe cl_store_32(base + 16, number &* Self.commitFactor)
    stored()
    unsafe cl_store_32(base + 20, ~number)
    stored()
  }

  @inline(__always)
  @_optimize(speed)
  func cell(_ index: Int) -> UnsafeMutableRawPointer {
    assert(index > 0 && index * 32 < usedByteCount + (1 << 20))
    return unsafe base + index &* Self.cellByteCount
  }

  @inline(__always)
  @_optimize(speed)
  static func check(_ bits: UInt64, _ index: Int, _ transaction: UInt32) -> UInt32 {
    let place = UInt64(truncatingIfNeeded: index) &* 0x9e37_79b9_7f4a_7c15
    // Spread over all bits, so that a small change of the value never looks like a change of the
    // transaction.
    let time = UInt64(transaction) &* 0xa076_1d64_78bd_642f
    let mixed = (bits ^ place ^ time) &* 0xd6e8_feb8_6659_fd93
    return UInt32(truncatingIfNeeded: mixed >> 32)
  }

  func initialise(_ index: Int, _ bits: UInt64) {
    let cell = unsafe cell(index)
    unsafe cell.storeBytes(of: bits, as: UInt64.self)
    unsafe cell.storeBytes(of: bits, toByteOffset: 8, as: UInt64.self)
    unsafe cell.storeBytes(of: 0, toByteOffset: 16, as: UInt32.self)
    unsafe cell.storeBytes(of: Self.check(bits, index, 0), toByteOffset: 20, as: UInt32.self)
    unsafe cell.storeBytes(of: Self.check(bits, index, 0), toByteOffset: 24, as: UInt32.self)
    unsafe cell.storeBytes(of: 0, toByteOffset: 28, as: UInt32.self)
  }
}
