import SidecarPlatform

/// Moving to another region when the one in use is almost full: a part with each push and each turn
/// of the loop, so that none has to wait until all groups are copied. A push that needs room before
/// the move is over continues it, some per call.
///
/// What must stay true: until the new region is opened, the old one has everything; writes and
/// deletions meanwhile apply to both. The new one also has a key's records in writing order. A move
/// that cannot continue is abandoned.
extension PushFile {
  struct Move {
    /// The new region, and its used length.
    let start: Int
    let size: Int
    var used: Int
    /// The next record of the old region to copy, and the end of those that are not in both.
    var next: Int
    let last: Int
  }

  /// The file grows by this much at once: some file systems clear it then.
  private static let growthByteCount = 1 << 20

  /// The position of the group's bytes.
  func offset(_ place: Place) -> Int {
    place.moved > 0 && place.move == lastMove ? place.moved : place.offset
  }

  /// Whether the group is in the new region.
  func isMoved(_ place: Place) -> Bool {
    move != nil && place.moved > 0 && place.move == moveCount
  }

  /// Writes a new record to the new region too.
  func alsoMove(_ key: ByteKey, _ group: RawSpan, _ place: inout Place) {
    guard let moved = move else { return }
    let byteCount = Self.recordByteCount(key.bytes.count, group.byteCount)
    guard hasRoom(moved, byteCount) else { return move = nil }
    unsafe write(key.bytes.span.bytes, group, at: moved.used)
    stored()
    place.moved = moved.used + Self.headByteCount + key.bytes.count
    place.move = moveCount
    move?.used += byteCount
  }

  /// Continues the current move by some bytes; returns how many.
  @discardableResult
  func goOnMoving(_ byteCount: Int) -> Int {
    guard var next = move else { return 0 }
    var left = byteCount
    while next.next < next.last, left > 0 {
      let before = next.next
      guard moveRecord(&next) else {
        move = nil
        return byteCount - left
      }
      left -= next.next - before
    }
    move = next
    // The new region must be complete before it comes into use.
    let fileEnd = next.start + next.size
    while file.size < fileEnd, left > 0 {
      left -= Self.growthByteCount / 4
      guard grow(to: min(fileEnd, file.size + Self.growthByteCount)) else {
        move = nil
        return byteCount - left
      }
    }
    guard next.next >= next.last, file.size >= fileEnd else { return byteCount - left }
    move = nil
    openRegion(generation &+ 1, start: next.start, size: next.size, used: next.used)
    return byteCount - left
  }

  /// Begins a move if it is time.
  func beginMovingEarly() {
    guard move == nil, end - used < (end - start) / 4 else { return }
    let size = Self.pages(max(Self.leastRegionByteCount, liveByteCount * 3 + (end - used)))
    let target = start - Self.regionsStart >= size ? Self.regionsStart : end
    begin(target, size)
  }

  /// Whether the file may have such a region.
  @discardableResult
  private func begin(_ target: Int, _ size: Int) -> Bool {
    guard target + size <= file.limit else { return false }
    moveCount &+= 1
    move = Move(start: target, size: size, used: target, next: start, last: used)
    return true
  }

  // MARK: Room

  /// Moves to another region if `byteCount` more do not fit into this one; does the work of about
  /// `left` series, which it counts down. Returns whether there is room now.
  func makeRoom(_ byteCount: Int, _ left: inout Int) throws(Errno) -> Bool {
    while used + byteCount > end {
      if move == nil { try begin(for: byteCount) }
      let budget = min(max(left, 1), Self.unboundedWork) * Self.unitByteCount
      left -= 1 + goOnMoving(budget) / Self.unitByteCount
      if move != nil, left <= 0 { return false }
    }
    attempts = 0
    moveFailure = nil
    return true
  }

  /// Bytes that are copied in the time that a series of a push takes.
  static let unitByteCount = 1024
  private static let unboundedWork = 1 << 20

  /// Begins a move for a push that needs this much room: before the region in use if there is room,
  /// else after it. Near the limit, or on a full disk, a region that is just large enough will do.
  private func begin(for byteCount: Int) throws(Errno) {
    let before = start - Self.regionsStart
    let wanted = Self.pages(max(Self.leastRegionByteCount, (liveByteCount + byteCount) * 3))
    let least = Self.pages((liveByteCount + byteCount) * 5 / 4 + 4096)
    while attempts < 4 {
      attempts += 1
      let hasBegun =
        switch attempts {
        case 1: before >= wanted && begin(Self.regionsStart, wanted)
        case 2: begin(end, wanted)
        case 3: before >= least && begin(Self.regionsStart, before)
        default: begin(end, max(least, (file.size - end) & ~4095))
        }
      if hasBegun { return }
    }
    attempts = 0
    defer { moveFailure = nil }
    throw moveFailure ?? .outOfMemory
  }

  /// Copies the next record of the old region if it is live and not in the new one; returns whether
  /// there was room.
  private func moveRecord(_ move: inout Move) -> Bool {
    let record = unsafe UnsafeRawPointer(base + move.next)
    let byteCount = Int(clamping: unsafe record.load(as: UInt32.self))
    let keyByteCount = Int(clamping: unsafe record.load(fromByteOffset: 8, as: UInt32.self))
    let groupOffset = move.next + Self.headByteCount + keyByteCount
    let key = unsafe ByteKey(
      SeriesKey.array(
        RawSpan(_unsafeStart: record + Self.headByteCount, byteCount: keyByteCount)))
    move.next += byteCount
    guard let place = live[key], offset(place) == groupOffset, !isMoved(place) else { return true }
    guard hasRoom(move, byteCount) else { return false }
    // Unchanged, with its checksum.
    unsafe (base + move.used).copyMemory(from: record, byteCount: byteCount)
    stored()
    live[key] = Place(
      offset: groupOffset, byteCount: place.byteCount,
      moved: move.used + Self.headByteCount + keyByteCount, move: moveCount)
    move.used += byteCount
    return true
  }

  /// Whether the new region, and the file, have room for this many bytes.
  private func hasRoom(_ move: Move, _ byteCount: Int) -> Bool {
    let offset = move.used + byteCount
    guard offset <= move.start + move.size else { return false }
    return file.size >= offset
      || grow(to: max(offset, min(move.start + move.size, file.size + Self.growthByteCount)))
  }

  private func grow(to byteCount: Int) -> Bool {
    do throws(Errno) {
      try file.grow(to: byteCount)
      return true
    } catch {
      moveFailure = error
      return false
    }
  }
}
