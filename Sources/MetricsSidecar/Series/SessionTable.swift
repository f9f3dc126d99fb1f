import Events
import Platform

/// How far each session has been applied. Positions are cells of the state file, so they change
/// together with what their frames have added.
struct SessionTable {
  /// A session's place; valid until another takes it.
  struct Slot: Equatable {
    var record: Record
    /// The cell that holds the number of the last applied frame.
    var positionCell: Int { record.firstCell + 1 }
    var seenCell: Int { record.firstCell + 2 }
  }

  private var slots: [SessionID: Slot] = [:]
  /// Those that a connection is using now: they are never given away.
  private var inUse: Set<SessionID> = []
  private let limit: Int
  /// Sessions that had to make room.
  private(set) var evicted: UInt64 = 0

  init(limit: Int) { self.limit = limit }

  var count: Int { slots.count }

  static let cellCount = 3

  mutating func restore(_ record: Record, in state: StateFile) {
    guard record.keyByteCount == 16, record.cellCount == Self.cellCount else { return }
    let key = state.key(record)
    let id = SessionID(
      high: unsafe key.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self),
      low: unsafe key.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self))
    slots[id] = Slot(record: record)
  }

  /// The identity's bytes, as `restore` reads them. In a buffer of its own: an optimiser that sees no
  /// reader of a local array's span leaves out what is stored into it.
  private static func key(_ id: SessionID) -> ByteBuffer {
    var key = ByteBuffer(capacity: 16)
    for half in [id.high, id.low] {
      for shift in stride(from: UInt64(0), to: 64, by: 8) {
        key.append(UInt8(truncatingIfNeeded: half >> shift))
      }
    }
    return key
  }

  func find(_ id: SessionID, in state: StateFile) -> Slot? { slots[id] }

  /// The session's slot, made if it is new; `nil` when all slots are in use or the disk is full.
  /// Commits: whatever was stored before takes effect.
  mutating func open(_ id: SessionID, now: UInt64, in state: StateFile) -> Slot? {
    inUse.insert(id)
    if let slot = slots[id] {
      state.store(slot.seenCell, now)
      return slot
    }
    let key = Self.key(id)
    var slot: Slot
    if slots.count >= limit {
      guard let oldest = mostSilent(in: state), let old = slots.removeValue(forKey: oldest) else {
        inUse.remove(id)
        return nil
      }
      evicted += 1
      // Out of use first, and that committed: a kill between the two leaves no session half renamed.
      state.store(old.record.firstCell, UInt64(0))
      state.commit()
      state.writeKey(old.record, key.bytes)
      slot = old
    } else {
      do throws(Errno) {
        slot = Slot(
          record: try state.append(
            kind: .session, key: key.bytes, nameByteCount: 0, shape: 0,
            cellCount: Self.cellCount))
      } catch {
        inUse.remove(id)
        return nil
      }
    }
    state.store(slot.positionCell, UInt64(0))
    state.store(slot.seenCell, now)
    state.store(slot.record.firstCell, UInt64(1))
    state.commit()
    slots[id] = slot
    return slot
  }

  /// The connection that used it has gone; the position is kept.
  mutating func close(_ id: SessionID) { inUse.remove(id) }

  private func mostSilent(in state: StateFile) -> SessionID? {
    var best: SessionID?
    var bestSeen = UInt64.max
    for (id, slot) in slots where !inUse.contains(id) {
      let seen = state.value(slot.seenCell)
      if seen < bestSeen {
        bestSeen = seen
        best = id
      }
    }
    return best
  }
}
