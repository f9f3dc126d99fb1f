import SidecarEvents
import SidecarPlatform

/// The memory of spectator's meters about each source: the last total of a monotonic counter, and
/// the greatest value of a minute for a maximum gauge.
///
/// What must stay true: at most `limit` sources; a total that falls means that the source has
/// restarted, and counts from there, as in spectatord. A restart of the sidecar starts over too: it
/// misses what a source counts between its last line before and its first one after. With a time to
/// live, a source that has been silent that long makes room for a new one, since its series is
/// gone.
struct SpectatorSources {
  private struct Entry {
    var value: Double
    /// When it last sent, in monotonic nanoseconds.
    var time: UInt64
  }

  private var sources: [UInt64: Entry] = [:]
  let limit: Int
  /// In nanoseconds; 0 is forever.
  private let timeToLive: UInt64
  private var sweptAt: UInt64 = 0
  private static let minute: UInt64 = 60_000_000_000

  init(limit: Int, timeToLive: UInt64) {
    self.limit = limit
    self.timeToLive = timeToLive
  }

  var count: Int { sources.count }

  /// Names are identified by 64 bits under a secret: no client can choose two that collide.
  private static func key(_ name: RawSpan, _ meter: UInt64) -> UInt64 {
    HashKey.process.fold(HashKey.process.hash(name), meter)
  }

  /// The increase of the source's total; 0 for the first. `nil` if there is no room.
  mutating func increase(_ name: RawSpan, to total: Double, now: UInt64) -> Double? {
    let key = Self.key(name, 1)
    guard let known = exchange(key, total, now) else { return nil }
    return max(0, total - (known.time == 0 ? total : known.value))
  }

  /// The same for a total that wraps around at 2^64: an apparent increase of more than half of that
  /// means a restart.
  mutating func increase(_ name: RawSpan, toUnsigned total: UInt64, now: UInt64) -> Double? {
    let key = Self.key(name, 3)
    guard let known = exchange(key, Double(bitPattern: total), now) else { return nil }
    let increase = known.time == 0 ? 0 : total &- known.value.bitPattern
    return increase >> 63 == 0 ? Double(increase) : 0
  }

  /// The greatest value of this minute. `nil` if there is no room.
  mutating func maximum(_ name: RawSpan, _ value: Double, now: UInt64) -> Double? {
    let key = Self.key(name, 2)
    guard let known = exchange(key, value, now) else { return nil }
    guard known.time / Self.minute == now / Self.minute, known.value > value else { return value }
    sources[key]?.value = known.value
    return known.value
  }

  /// Stores a source's new value; returns the previous one, with time 0 if there was none. `nil` if
  /// there is no room.
  private mutating func exchange(_ key: UInt64, _ value: Double, _ now: UInt64) -> Entry? {
    let source = Entry(value: value, time: max(1, now))
    if let known = sources.updateValue(source, forKey: key) { return known }
    if sources.count > limit { sweep(now) }
    if sources.count <= limit { return Entry(value: value, time: 0) }
    sources[key] = nil
    return nil
  }

  /// Removes sources that were silent for too long; it does not repeat a scan over all of them at
  /// once.
  private mutating func sweep(_ now: UInt64) {
    guard timeToLive > 0, now &- sweptAt >= timeToLive / 16 else { return }
    sweptAt = now
    var gone: [UInt64] = []
    for (key, source) in sources where now &- source.time > timeToLive { gone.append(key) }
    for key in gone { sources[key] = nil }
  }
}
