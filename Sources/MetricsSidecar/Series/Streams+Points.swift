import SidecarPlatform

/// How far a point is from what has been counted.
extension Streams {
  /// What a point means to its stream.
  enum Step {
    /// Count the increase since the last point.
    case above
    /// The stream started again: count the whole point.
    case reset
    /// Count nothing: it is old, or the next one will decide.
    case nothing
    /// Two writers have one identity.
    case refused
    /// The same, for the first time.
    case shared
  }

  /// Whether nothing about the stream is to be written but the point itself.
  @inline(__always)
  func isRegular(_ cell: Int, now: UInt64) -> Bool {
    let word = file.value(cell + Self.state)
    return word & Self.isBelow == 0 && word >> 8 <= now && word >> 8 &+ 30 >= now
  }

  /// Records a point; `isAbove` says whether all its numbers are at or above the last point's. The
  /// caller stores these.
  @inline(__always)
  @_optimize(speed)
  func step(_ cell: Int, _ value: Double, isAbove: Bool, time: UInt64, now: UInt64) -> Step {
    let word = file.value(cell + Self.state)
    if word >> 8 &+ 30 < now || word >> 8 > now {
      file.put(cell + Self.state, word & 0xff | now << 8)
    }
    let last = file.value(cell + Self.time)
    if isAbove {
      if time > last { file.store(cell + Self.time, time) }
      if word & Self.isBelow == 0 { return .above }
    }
    return irregular(cell, value, isAbove, time, last)
  }

  @inline(never)
  func irregular(
    _ cell: Int, _ value: Double, _ isAbove: Bool, _ time: UInt64, _ last: UInt64
  ) -> Step {
    let word = file.value(cell + Self.state)
    if isAbove {
      // One point between two rising ones was below: another writer's.
      file.put(cell + Self.state, word & ~Self.isBelow | Self.isShared)
      return word & Self.isShared == 0 ? .shared : .above
    }
    if time <= last { return .nothing }
    file.put(cell + Self.time, time)
    if word & Self.isBelow != 0 {
      file.put(cell + Self.state, word & ~Self.isBelow)
      return .reset
    }
    file.put(cell + Self.lower, value.bitPattern)
    file.put(cell + Self.state, word | Self.isBelow)
    return word & Self.isShared == 0 ? .nothing : .refused
  }
}
