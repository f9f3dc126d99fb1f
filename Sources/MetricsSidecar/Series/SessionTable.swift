import SidecarEvents
import SidecarPlatform

/// How far each session has been applied. Positions are cells of the state file, so they change
/// together with the effect of their frames.
struct SessionTable {
  /// A session's slot; valid until another session takes it.
  struct Entry: Equatable {
    let record: Record
    /// The number of its connections: while there are any, it is never given away.
    var connectionCount = 0
    /// The cell that holds the number of the last applied frame.
    var positionCell: Int { record.headCell + 1 }
    var seenCell: Int { record.headCell + 2 }
  }

  private var slots: [SessionID: Entry] = [:]
  private let limit: Int
  /// Sessions that had to make room.
  private(set) var evicted: UInt64 = 0

  /// Sessions that were silent for their time to live.
  private(set) var expired: UInt64 = 0

  init(limit: Int) { self.limit = limit }

  var count: Int { slots.count }

  static let cellCount = 3

  mutating func restore(_ record: Record, in state: StateFile) {
    let key = state.key(record)
    guard key.byteCount == 16, state.cellCount(record) == Self.cellCount else { return }
    let id = SessionID(
      high: unsafe key.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self),
      low: unsafe key.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self))
    slots[id] = Entry(record: record)
  }

  /// The identity's bytes, as `restore` reads them. In a buffer of its own: an optimiser that sees
  /// no reader of a local array's span drops the stores into it.
  private static func key(_ id: SessionID) -> ByteBuffer {
    var key = ByteBuffer(capacity: 16)
    for half in [id.high, id.low] {
      for shift in stride(from: UInt64(0), to: 64, by: 8) {
        key.append(UInt8(truncatingIfNeeded: half >> shift))
      }
    }
    return key
  }

  func find(_ id: SessionID, in state: StateFile) -> Entry? { slots[id] }

  /// The session's slot, created if it is new; `nil` if all slots are in use or the disk is full.
  /// Commits: all earlier stores take effect.
  mutating func open(_ id: SessionID, now: UInt64, in state: StateFile) -> Entry? {
    if var slot = slots[id] {
      slot.connectionCount += 1
      slots[id] = slot
      state.store(slot.seenCell, now)
      return slot
    }
    if slots.count >= limit {
      guard let oldest = mostSilent(in: state), let old = slots.removeValue(forKey: oldest) else {
        return nil
      }
      evicted += 1
      forget(old, in: state)
    }
    let key = Self.key(id)
    let slot: Entry
    do throws(Errno) {
      slot = Entry(
        record: try state.allocate(
          kind: .session, key: key.bytes, nameByteCount: 0, shape: 0,
          cellCount: Self.cellCount), connectionCount: 1)
    } catch { return nil }
    state.store(slot.seenCell, now)
    state.commit()
    slots[id] = slot
    return slot
  }

  /// A connection of it has gone; the position is kept, and counts as used now.
  mutating func close(_ id: SessionID, now: UInt64, in state: StateFile) {
    guard var slot = slots[id], slot.connectionCount > 0 else { return }
    slot.connectionCount -= 1
    slots[id] = slot
    state.store(slot.seenCell, now)
  }

  /// Forgets the sessions that were silent for `ttl` nanoseconds and have no connection; returns
  /// when the next one can expire.
  mutating func expire(
    _ ttl: UInt64, _ expiry: Expiry, now: UInt64, in state: StateFile
  ) -> UInt64 {
    guard ttl > 0 else { return .max }
    let cutoff = expiry.cutoff(ttl, now: now, state.committed) ?? 0
    var oldest = UInt32.max
    var gone: [SessionID] = []
    for (id, slot) in slots where slot.connectionCount == 0 {
      let last = Self.lastTransaction(slot, in: state)
      if last > cutoff { oldest = min(oldest, last) } else { gone.append(id) }
    }
    for id in gone {
      if let slot = slots.removeValue(forKey: id) { forget(slot, in: state) }
      expired += 1
    }
    return oldest == .max ? .max : expiry.time(of: oldest, now: now) + ttl
  }

  /// First take it out of use and commit that: a kill in between leaves no session half renamed.
  private func forget(_ slot: Entry, in state: StateFile) {
    state.release(slot.record)
    state.commit()
    state.recycle(slot.record)
  }

  /// The session whose last frame or connection is the longest ago, by its transaction.
  private func mostSilent(in state: StateFile) -> SessionID? {
    var best: SessionID?
    var bestSeen = UInt32.max
    for (id, slot) in slots where slot.connectionCount == 0 {
      let seen = Self.lastTransaction(slot, in: state)
      if seen < bestSeen {
        bestSeen = seen
        best = id
      }
    }
    return best
  }

  private static func lastTransaction(_ slot: Entry, in state: StateFile) -> UInt32 {
    max(state.transaction(slot.positionCell), state.transaction(slot.seenCell))
  }
}
