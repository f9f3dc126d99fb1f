import SidecarPlatform

/// Moving to another region when the one in use is almost full: a part with each push, in proportion
/// to it, so that no push has to wait until all of the others' groups are copied.
///
/// What must stay true: until the new region is opened, the old one has everything; what is written
/// or deleted meanwhile is so in both. In the new one a key's records have the order in which they
/// were written, too. A move that cannot go on is given up: `makeRoom` copies everything at once then.
extension PushFile {
  struct Move {
    /// The new region, and how far it is used.
    let start: Int
    let size: Int
    var used: Int
    /// The next record of the old region to look at, and the end of those that are not in both.
    var next: Int
    let last: Int
  }

  /// So much is looked at with one push, and so many times its own length if that is more: a move is
  /// over long before the quarter of a region is full that is free when it begins.
  private static let sliceByteCount = 256 << 10
  private static let sliceFactor = 8
  /// The file grows by so much with one push, likewise: some file systems clear it then.
  private static let growthByteCount = 1 << 20

  /// Where the group's bytes are.
  func offset(_ place: Place) -> Int {
    place.moved > 0 && place.move == lastMove ? place.moved : place.offset
  }

  /// Whether the group is in the region that is being moved to.
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

  /// Goes on with the move, or begins one if it is time, after a push of so many bytes.
  func goOnMoving(after byteCount: Int) {
    if move == nil, end - used < (end - start) / 4 { begin() }
    guard var next = move else { return }
    var left = max(Self.sliceByteCount, byteCount * Self.sliceFactor)
    while next.next < next.last, left > 0 {
      let before = next.next
      guard moveRecord(&next) else { return move = nil }
      left -= next.next - before
    }
    move = next
    // The new region has to be there whole before it is the one in use.
    let fileEnd = next.start + next.size
    if file.size < fileEnd {
      let growth = max(Self.growthByteCount, byteCount * Self.sliceFactor)
      guard grow(to: min(fileEnd, file.size + growth)) else { return move = nil }
    }
    guard next.next >= next.last, file.size >= fileEnd else { return }
    move = nil
    openRegion(generation &+ 1, start: next.start, size: next.size, used: next.used)
  }

  private func begin() {
    let size = Self.pages(max(Self.leastRegionByteCount, liveByteCount * 3 + (end - used)))
    let target = start - Self.regionsStart >= size ? Self.regionsStart : end
    guard target + size <= file.limit else { return }
    moveCount &+= 1
    move = Move(start: target, size: size, used: target, next: start, last: used)
  }

  /// Copies the next record of the old region if it is live and not in the new one; whether there was
  /// room.
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
    let group = unsafe RawSpan(
      _unsafeStart: UnsafeRawPointer(base + groupOffset), byteCount: place.byteCount)
    unsafe write(key.bytes.span.bytes, group, at: move.used)
    stored()
    live[key] = Place(
      offset: groupOffset, byteCount: place.byteCount,
      moved: move.used + Self.headByteCount + keyByteCount, move: moveCount)
    move.used += byteCount
    return true
  }

  /// Whether the new region has room for so many bytes, and the file too.
  private func hasRoom(_ move: Move, _ byteCount: Int) -> Bool {
    let offset = move.used + byteCount
    guard offset <= move.start + move.size else { return false }
    return file.size >= offset
      || grow(to: max(offset, min(move.start + move.size, file.size + Self.growthByteCount)))
  }

  private func grow(to byteCount: Int) -> Bool {
    do throws(Errno) { try file.grow(to: byteCount) } catch { return false }
    return true
  }
}
