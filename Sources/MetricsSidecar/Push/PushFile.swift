import CSidecarLinux
import SidecarPlatform

/// The file in which pushed groups survive a kill: mapped, with one record per change of a group.
///
///       0   8  "MSIDPUSH"        8   4  version
///      16  20  the machine's boot, and whether the last owner exited cleanly: see `BootMark`
///      64  32  header of the regions with an even generation
///      96  32  header of those with an odd one
///    4096   …  regions
///
///     header      0   4  generation       4   4  where the region starts, in 8 bytes
///                 8   4  its size, so     12  4  checksum of bytes 0..<12
///                16   4  how far it is used, in 8 bytes
///
///     record      0   4  bytes of it, with these; a multiple of 8
///                 4   4  checksum of what follows
///                 8   4  bytes of the key
///                12   4  bytes of the group
///                16   …  key, group, zeros
///
/// A record is written after the used part; the single store of the new used length makes it count.
/// So a kill leaves the group as before the change or after it. The last record of a key counts.
/// Deleting a group inverts its record's checksum in place, by one store, so a full file can be
/// emptied. When a region is almost full, live records move to another (`PushFile+Moving`), whose
/// header's checksum is stored last. From the start there is room for two regions, so a few groups
/// can be pushed repeatedly on a full disk.
@safe
final class PushFile {
  static let version: UInt32 = 2
  static let regionsStart = 4096
  static let leastRegionByteCount = 256 << 10
  static let headByteCount = 16

  enum Failure: Error {
    case system(Errno)
    /// The file is not trusted, and why.
    case damaged(String)
  }

  /// A live record: the position of the group's bytes.
  struct Place {
    let offset: Int
    let byteCount: Int
    /// Their position in the region that this move goes to, once it has copied them.
    var moved = 0
    var move: UInt32 = 0
  }

  var file: MappedFile
  // Sound: the mapping never moves while `file` lives; everything below `file.size` may be touched,
  // and offsets are checked against it once, when a region is opened or created.
  let base: UnsafeMutableRawPointer
  private(set) var generation: UInt32 = 0
  private(set) var start = 0
  private(set) var end = 0
  private(set) var used = 0
  /// The current move to another region, how many there were, and which one led to the region in
  /// use.
  var move: Move?
  var moveCount: UInt32 = 0
  private(set) var lastMove: UInt32 = 0
  /// How many positions for a region have been tried for the push that needs room, and why the file
  /// did not grow for one.
  var attempts = 0
  var moveFailure: Errno?
  /// The live record of each key.
  var live: [ByteKey: Place] = [:]
  private(set) var liveByteCount = 0
  /// Why the disk gave no more room at the last try, and for how much.
  private var growthFailure: Errno?
  private var refusedByteCount = 0

  /// Uses a file that `MappedFile` has opened: initialises an empty one, checks any other fully.
  init(
    _ opened: consuming MappedFile, boot: BootIdentity = Process.bootIdentity
  ) throws(Failure) {
    file = opened
    unsafe base = file.base
    if file.size == 0 {
      try format()
    } else {
      try recover(boot)
      file.settle(usedByteCount: end)
    }
    bootMark.begin(boot)
    // One region will do if the disk has no more.
    do throws(Errno) {
      try file.grow(to: min(Self.regionsStart + 2 * Self.leastRegionByteCount, file.limit))
    } catch {}
  }

  private var bootMark: BootMark { unsafe BootMark(at: base + 16) }

  /// Call it after the last change by a process that exits cleanly.
  func endInOrder() {
    do throws(Errno) {
      try file.sync()
      bootMark.end(headersChecksum)
      try file.sync()
    } catch {}
  }

  private var headersChecksum: UInt32 {
    unsafe Digest.checksum(RawSpan(_unsafeStart: UnsafeRawPointer(base + 64), byteCount: 64))
  }

  #if DEBUG
    /// Called after each store that recovery must handle.
    var afterStore: (() -> Void)?
  #endif

  @inline(__always)
  func stored() {
    #if DEBUG
      afterStore?()
    #endif
  }

  // MARK: Groups

  var keys: [ByteKey] { Array(live.keys) }

  func has(_ key: ByteKey) -> Bool { live[key] != nil }

  /// The group's bytes; none if there is no such key. Valid until the file is changed.
  @_lifetime(borrow self)
  func group(_ key: ByteKey) -> RawSpan {
    let place = live[key] ?? Place(offset: start, byteCount: 0)
    let span = unsafe RawSpan(
      _unsafeStart: UnsafeRawPointer(base + offset(place)), byteCount: place.byteCount)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Makes room for a group of this many bytes, and for a record of a key: does the work of about
  /// `left` series, which it counts down. Returns whether there is room now.
  func prepare(
    _ key: ByteKey, _ groupByteCount: Int, pushedKey: ByteKey? = nil, _ left: inout Int
  ) throws(Errno) -> Bool {
    var byteCount = Self.recordByteCount(key.bytes.count, groupByteCount)
    if let pushedKey {
      byteCount += Self.recordByteCount(pushedKey.bytes.count, PushedKeys.contentByteCount)
    }
    do throws(Errno) {
      guard try makeRoom(byteCount, &left) else { return false }
      if byteCount >= refusedByteCount { growthFailure = nil }
      return true
    } catch {
      if error != .outOfMemory { growthFailure = error }
      refusedByteCount = byteCount
      throw error
    }
  }

  /// Makes `group` the content of `key`, for which `prepare` has found room. When this returns, a
  /// kill does not undo it.
  func store(_ key: ByteKey, _ group: borrowing ByteBuffer) {
    let offset = used
    commit(append(key, group.bytes, at: offset))
    hold(key, group.bytes, at: offset)
    beginMovingEarly()
  }

  /// The same, and `content` of `pushedKey` in the same store.
  func store(
    _ key: ByteKey, _ group: borrowing ByteBuffer, _ pushedKey: ByteKey,
    _ content: borrowing ByteBuffer
  ) {
    let offset = used
    let second = append(key, group.bytes, at: offset)
    commit(append(pushedKey, content.bytes, at: second))
    hold(key, group.bytes, at: offset)
    hold(pushedKey, content.bytes, at: second)
    beginMovingEarly()
  }

  /// Writes a record that does not count yet; returns its end.
  private func append(_ key: ByteKey, _ group: RawSpan, at offset: Int) -> Int {
    let byteCount = Self.recordByteCount(key.bytes.count, group.byteCount)
    precondition(offset + byteCount <= end)
    unsafe write(key.bytes.span.bytes, group, at: offset)
    return offset + byteCount
  }

  /// Makes the record at `offset` the live one of its key.
  private func hold(_ key: ByteKey, _ group: RawSpan, at offset: Int) {
    forget(key)
    var place = Place(
      offset: offset + Self.headByteCount + key.bytes.count, byteCount: group.byteCount)
    alsoMove(key, group, &place)
    live[key] = place
    liveByteCount += Self.recordByteCount(key.bytes.count, group.byteCount)
  }

  /// Deletes the group, which works in a full file too. When this returns, a kill does not undo it.
  func remove(_ key: ByteKey) {
    guard let place = live[key] else { return }
    remove(key, place, at: offset(place))
    if isMoved(place) { remove(key, place, at: place.moved) }
    forget(key)
  }

  private func remove(_ key: ByteKey, _ place: Place, at groupOffset: Int) {
    let offset = groupOffset - key.bytes.count - Self.headByteCount
    // The checksum of a live record.
    let checksum = unsafe (base + offset).load(fromByteOffset: 4, as: UInt32.self)
    stored()
    unsafe cl_store_32(base + offset + 4, ~checksum)
    stored()
  }

  private func forget(_ key: ByteKey) {
    guard let place = live.removeValue(forKey: key) else { return }
    liveByteCount -= Self.recordByteCount(key.bytes.count, place.byteCount)
  }

  static func recordByteCount(_ key: Int, _ group: Int) -> Int {
    (headByteCount + key + group + 7) & ~7
  }

  func write(_ key: RawSpan, _ group: RawSpan, at offset: Int) {
    let byteCount = Self.recordByteCount(key.byteCount, group.byteCount)
    let record = unsafe base + offset
    // The zeros at the end first, before the bytes that may overlap them.
    unsafe (record + byteCount - 8).storeBytes(of: 0, as: UInt64.self)
    unsafe record.storeBytes(of: UInt32(byteCount), as: UInt32.self)
    unsafe record.storeBytes(of: UInt32(key.byteCount), toByteOffset: 8, as: UInt32.self)
    unsafe record.storeBytes(of: UInt32(group.byteCount), toByteOffset: 12, as: UInt32.self)
    copy(key, to: offset + Self.headByteCount)
    copy(group, to: offset + Self.headByteCount + key.byteCount)
    unsafe record.storeBytes(of: checksum(offset, byteCount), toByteOffset: 4, as: UInt32.self)
  }

  private func copy(_ bytes: RawSpan, to offset: Int) {
    unsafe bytes.withUnsafeBytes { source in
      guard source.count > 0 else { return }
      unsafe (base + offset).copyMemory(from: source.baseAddress!, byteCount: source.count)
    }
  }

  private func checksum(_ offset: Int, _ byteCount: Int) -> UInt32 {
    let content = unsafe RawSpan(
      _unsafeStart: UnsafeRawPointer(base + offset + 8), byteCount: byteCount - 8)
    return Digest.checksum(content) ^ UInt32(truncatingIfNeeded: byteCount)
  }

  private func commit(_ newUsed: Int) {
    stored()
    cl_compiler_barrier()
    unsafe cl_store_32(base + headerOffset(generation) + 16, UInt32(newUsed / 8))
    stored()
    used = newUsed
  }

  // MARK: Regions

  private func headerOffset(_ generation: UInt32) -> Int { generation & 1 == 0 ? 64 : 96 }

  /// Tries again to grow the file if that failed the last time, as far as a turn of the loop
  /// allows; returns why it cannot.
  func retryGrowth() -> Errno? {
    guard growthFailure != nil else { return nil }
    var left = Self.retryWork
    do throws(Errno) {
      if try makeRoom(refusedByteCount, &left) { growthFailure = nil }
    } catch { growthFailure = error }
    return growthFailure
  }

  private static let retryWork = 1 << 16

  static func pages(_ byteCount: Int) -> Int { (byteCount + 4095) & ~4095 }

  /// Brings the region that the last move went to into use.
  func openRegion(_ generation: UInt32, start: Int, size: Int, used: Int) {
    let header = unsafe base + headerOffset(generation)
    // First invalidate the old header by a wrong checksum.
    unsafe cl_store_32(header + 12, ~headerChecksum(generation))
    cl_compiler_barrier()
    unsafe header.storeBytes(of: generation, as: UInt32.self)
    unsafe header.storeBytes(of: UInt32(start / 8), toByteOffset: 4, as: UInt32.self)
    unsafe header.storeBytes(of: UInt32(size / 8), toByteOffset: 8, as: UInt32.self)
    unsafe header.storeBytes(of: UInt32(used / 8), toByteOffset: 16, as: UInt32.self)
    unsafe cl_store_32(header + 12, ~headerChecksum(generation))
    stored()
    cl_compiler_barrier()
    unsafe cl_store_32(header + 12, headerChecksum(generation))
    stored()
    self.generation = generation
    lastMove = moveCount
    self.start = start
    end = start + size
    self.used = used
  }

  private func headerChecksum(_ generation: UInt32) -> UInt32 {
    unsafe Digest.checksum(
      RawSpan(_unsafeStart: UnsafeRawPointer(base + headerOffset(generation)), byteCount: 12))
  }

  // MARK: Opening

  private func format() throws(Failure) {
    do throws(Errno) {
      try file.grow(to: Self.regionsStart + Self.leastRegionByteCount)
    } catch { throw .system(error) }
    unsafe base.storeBytes(of: Self.version, toByteOffset: 8, as: UInt32.self)
    openRegion(
      0, start: Self.regionsStart, size: Self.leastRegionByteCount, used: Self.regionsStart)
    // The name comes last: a file of zeros without it was left half made.
    unsafe base.copyMemory(from: StaticString("MSIDPUSH").utf8Start, byteCount: 8)
  }

  /// Whether it was left half made, since its name is stored last. A file that ever had a group has
  /// more in its header than this.
  private var isHalfMade: Bool {
    unsafe base.load(as: UInt64.self) == 0
      && base.load(fromByteOffset: 8, as: UInt32.self) == Self.version
      && base.load(fromByteOffset: 64, as: UInt64.self) == UInt64(Self.regionsStart / 8) << 32
      && base.load(fromByteOffset: 80, as: UInt32.self) == UInt32(Self.regionsStart / 8)
      && base.load(fromByteOffset: 96, as: UInt64.self) == 0
  }

  private func recover(_ boot: BootIdentity) throws(Failure) {
    guard file.size >= Self.regionsStart + Self.leastRegionByteCount else {
      throw .damaged("it is shorter than an empty one")
    }
    if isHalfMade { return try format() }
    let name = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: 8)
    guard name.isEqual(to: "MSIDPUSH") else { throw .damaged("it is no file of pushed groups") }
    let found = unsafe base.load(fromByteOffset: 8, as: UInt32.self)
    guard found == Self.version else {
      throw .damaged(
        joined("it has version ", found.description, ", this is version ", Self.version.description)
      )
    }
    guard bootMark.isTrusted(boot, headersChecksum) else {
      throw .damaged(StateFile.Damage.otherBoot.description)
    }
    var best: UInt32?
    for candidate: UInt32 in 0...1 {
      let header = unsafe base + headerOffset(candidate)
      let number = unsafe header.load(as: UInt32.self)
      guard number & 1 == candidate,
        unsafe header.load(fromByteOffset: 12, as: UInt32.self) == headerChecksum(candidate)
      else { continue }
      // Numbers are one apart; they may have wrapped around.
      if let known = best, Int32(bitPattern: number &- known) < 0 { continue }
      best = number
    }
    guard let best else { throw .damaged("its header is damaged") }
    generation = best
    // In 64 bits, which a 32-bit number times 8 cannot exceed: an `Int` on arm/v7 would trap.
    func place(_ at: Int) -> UInt64 {
      UInt64(unsafe (base + headerOffset(best)).load(fromByteOffset: at, as: UInt32.self)) * 8
    }
    let (first, length, usedEnd) = (place(4), place(8), place(16))
    guard first >= UInt64(Self.regionsStart), first <= usedEnd, usedEnd <= first + length,
      first + length <= UInt64(file.size)
    else { throw .damaged("its length is damaged") }
    start = Int(first)
    end = Int(first + length)
    used = Int(usedEnd)
    var offset = start
    while offset < used { offset = try recoverRecord(at: offset) }
  }

  private func recoverRecord(at offset: Int) throws(Failure) -> Int {
    guard used - offset >= Self.headByteCount else { throw .damaged("the end is damaged") }
    func field(_ at: Int) -> Int {
      Int(clamping: unsafe (base + offset).load(fromByteOffset: at, as: UInt32.self))
    }
    let byteCount = field(0)
    let keyByteCount = field(8)
    let groupByteCount = field(12)
    let contentByteCount = byteCount - Self.headByteCount
    guard contentByteCount >= 0, byteCount <= used - offset,
      keyByteCount <= contentByteCount, groupByteCount <= contentByteCount - keyByteCount,
      byteCount == Self.recordByteCount(keyByteCount, groupByteCount)
    else { throw .damaged(joined("the record at ", offset.description, " is damaged")) }
    let wanted = checksum(offset, byteCount)
    let found = unsafe (base + offset).load(fromByteOffset: 4, as: UInt32.self)
    guard found == wanted || found == ~wanted else {
      throw .damaged(joined("the record at ", offset.description, " is damaged"))
    }
    let key = unsafe ByteKey(
      SeriesKey.array(
        RawSpan(
          _unsafeStart: UnsafeRawPointer(base + offset + Self.headByteCount),
          byteCount: keyByteCount)))
    forget(key)
    if found == wanted {
      live[key] = Place(
        offset: offset + Self.headByteCount + keyByteCount, byteCount: groupByteCount)
      liveByteCount += byteCount
    }
    return offset + byteCount
  }
}
