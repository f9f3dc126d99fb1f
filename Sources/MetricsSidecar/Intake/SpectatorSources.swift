import Events
import Platform

/// What spectator's meters need to remember of each source: the last total of a monotonic counter,
/// and the greatest value of a minute for a maximum gauge.
///
/// What must stay true: at most `limit` sources; a total that falls is a source that began anew, and
/// counts from there, as spectatord has it. A restart of the sidecar begins anew too: what a source
/// counts between its last line before and its first one after is not seen.
struct SpectatorSources {
  private struct Source {
    var value: Double
    var minute: UInt64
  }

  private var sources: [UInt64: Source] = [:]
  let limit: Int

  init(limit: Int) { self.limit = limit }

  /// How far the source's total has moved; 0 for the first. `nil` when there is no room.
  mutating func increase(_ name: RawSpan, to total: Double) -> Double? {
    let key = Digest.hash(name, seed: 1)
    guard let known = sources[key] else {
      return insert(key, Source(value: total, minute: 0)) ? 0 : nil
    }
    sources[key]?.value = total
    return max(0, total - known.value)
  }

  /// The same for a total that rolls over at 2^64: one that seems to have moved by more than half of
  /// that began anew.
  mutating func increase(_ name: RawSpan, toUnsigned total: UInt64) -> Double? {
    let key = Digest.hash(name, seed: 3)
    let source = Source(value: Double(bitPattern: total), minute: 0)
    guard let known = sources.updateValue(source, forKey: key) else {
      if sources.count <= limit { return 0 }
      sources[key] = nil
      return nil
    }
    let increase = total &- known.value.bitPattern
    return increase >> 63 == 0 ? Double(increase) : 0
  }

  /// The greatest value of this minute. `nil` when there is no room.
  mutating func maximum(_ name: RawSpan, _ value: Double, minute: UInt64) -> Double? {
    let key = Digest.hash(name, seed: 2)
    let new: Double
    if let known = sources[key] {
      new = known.minute == minute ? max(known.value, value) : value
      sources[key] = Source(value: new, minute: minute)
      return new
    }
    return insert(key, Source(value: value, minute: minute)) ? value : nil
  }

  private mutating func insert(_ key: UInt64, _ source: Source) -> Bool {
    guard sources.count < limit else { return false }
    sources[key] = source
    return true
  }
}
