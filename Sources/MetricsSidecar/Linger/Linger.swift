import SidecarPlatform

/// `--linger`: whether the sidecar may end yet after a signal to stop. Knows no socket and no
/// clock.
///
/// Events are numbered as they are applied. An exposition has a mark, the number of the last event
/// before its snapshot; a reader is a scraper that receives whole expositions, identified by its
/// address and User-Agent. The sidecar may end once no connection is open that could still send
/// events, and every reader it waits for has received an exposition with the last event. It waits
/// for readers that came more than once before the stop, or, if there are none, for any reader.
///
/// What must stay true: a mark counts only once the reader's kernel has acknowledged the whole
/// exposition; the wait ends when its time is over, whatever happens.
struct Linger {
  enum Reason: Equatable { case seen, timeIsOver, signal }

  enum Verdict: Equatable {
    /// Check again at that time at the latest, in monotonic nanoseconds.
    case goesOn(until: UInt64)
    case ends(Reason)
  }

  struct Reader: Equatable {
    let key: UInt64
    /// Whole expositions that it has received.
    var count: UInt64 = 0
    /// The greatest mark among them.
    var mark: UInt64 = 0
    /// When it received the last one, and the longest time between two of them, in nanoseconds.
    var takenAt: UInt64 = 0
    var longestGap: UInt64 = 0
    /// Whether the sidecar waits for it.
    var isAwaited = false
  }

  /// `--linger`, in nanoseconds.
  let time: UInt64
  /// Readers remembered, at most.
  let readerLimit: Int
  /// The key for hashing readers' addresses.
  private(set) var hashKey = HashKey.process
  /// The number of the event before this process's first: 1 if it began with values that a reader
  /// may not have seen.
  private(set) var base: UInt64
  private(set) var readers: [Reader] = []
  /// The greatest mark that any reader has received.
  private(set) var highestMark: UInt64 = 0
  /// When the signal to stop came; 0 before that.
  private(set) var stoppedAt: UInt64 = 0
  private var isUrgent = false

  var isStopping: Bool { stoppedAt != 0 }

  /// `hasValues`: it starts with values that another process has counted.
  init(time: UInt64, readerLimit: Int, hasValues: Bool) {
    self.time = time
    self.readerLimit = readerLimit
    base = hasValues ? 1 : 0
  }

  /// Records that a reader has received a whole exposition.
  mutating func taken(_ mark: UInt64, by key: UInt64, now: UInt64) {
    highestMark = max(highestMark, mark)
    let known = readers.firstIndex { $0.key == key }
    guard let index = known ?? place(key, now) else { return }
    var reader = readers[index]
    if reader.count > 0, now > reader.takenAt {
      reader.longestGap = max(reader.longestGap, now - reader.takenAt)
    }
    reader.count += 1
    reader.takenAt = now
    reader.mark = max(reader.mark, mark)
    readers[index] = reader
  }

  /// Makes room for a new reader: drops one that came once, else one that no longer comes.
  private mutating func place(_ key: UInt64, _ now: UInt64) -> Int? {
    if readers.count < readerLimit {
      readers.append(Reader(key: key))
      return readers.count - 1
    }
    var found: Int?
    for index in readers.indices where !readers[index].isAwaited {
      guard readers[index].count == 1 || !comes(readers[index], now) else { continue }
      if let best = found, readers[best].takenAt <= readers[index].takenAt { continue }
      found = index
    }
    if let found { readers[found] = Reader(key: key) }
    return found
  }

  /// Whether it is expected again: it came more than once, and is not three of its longest pauses
  /// late. A Prometheus that has moved has another address now, so do not wait for the old one.
  private func comes(_ reader: Reader, _ now: UInt64) -> Bool {
    // The turn's time may be slightly before the time when it received the last one.
    reader.count > 1 && now <= reader.takenAt + max(3 * reader.longestGap, 2 * time)
  }

  /// Begins the wait, once. `underway`: readers to which an earlier exposition is still being sent.
  mutating func stop(now: UInt64, underway: [UInt64] = []) {
    guard !isStopping else { return }
    stoppedAt = max(1, now)
    for index in readers.indices where underway.contains(readers[index].key) {
      readers[index].count += 1
      readers[index].takenAt = now
    }
    for index in readers.indices { readers[index].isAwaited = comes(readers[index], now) }
  }

  /// Ends the wait at once.
  mutating func hurry() { isUrgent = true }

  /// `applied`: the number of the last event. `clientCount`: connections that may bring more.
  func verdict(applied: UInt64, clientCount: Int, now: UInt64) -> Verdict {
    if isUrgent { return .ends(.signal) }
    if clientCount == 0, isSeen(applied) { return .ends(.seen) }
    return now >= stoppedAt + time ? .ends(.timeIsOver) : .goesOn(until: stoppedAt + time)
  }

  private func isSeen(_ applied: UInt64) -> Bool {
    var hasAwaited = false
    for reader in readers where reader.isAwaited {
      if reader.mark < applied { return false }
      hasAwaited = true
    }
    return hasAwaited || highestMark >= applied
  }

  /// Events of this process that are in no received exposition.
  func unseenCount(applied: UInt64) -> UInt64 {
    let seen = max(highestMark, base)
    return applied > seen ? applied - seen : 0
  }
}

/// For the worker that takes over: numbers in a row.
///
///     stoppedAt  highestMark  start and factor of `hashKey`
///     then of each reader: key  count  mark  takenAt  longestGap  isAwaited
extension Linger {
  private static let headCount = 4
  private static let readerCount = 6

  /// The most bytes that `bytes` has.
  static func byteLimit(readers: Int) -> Int { 8 * (headCount + readerCount * readers) }

  var bytes: ByteBuffer {
    var bytes = ByteBuffer(capacity: Self.byteLimit(readers: readers.count))
    for word in [stoppedAt, highestMark, hashKey.start, hashKey.factor] {
      Self.append(word, to: &bytes)
    }
    for reader in readers {
      for word in [
        reader.key, reader.count, reader.mark, reader.takenAt, reader.longestGap,
        reader.isAwaited ? 1 : 0,
      ] { Self.append(word, to: &bytes) }
    }
    return bytes
  }

  private static func append(_ word: UInt64, to bytes: inout ByteBuffer) {
    for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * shift))) }
  }

  /// Continues where another worker has ended. Nobody knows what that worker applied since the last
  /// exposition, so every reader has to receive one again.
  mutating func takeOver(_ bytes: [UInt8]) {
    var words: [UInt64] = []
    for start in stride(from: 0, to: bytes.count - 7, by: 8) {
      words.append((0..<8).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) })
    }
    guard words.count >= Self.headCount else { return }
    stoppedAt = words[0]
    highestMark = words[1]
    hashKey = HashKey(start: words[2], factor: words[3])
    var index = Self.headCount
    while index + Self.readerCount <= words.count {
      readers.append(
        Reader(
          key: words[index], count: words[index + 1], mark: words[index + 2],
          takenAt: words[index + 3], longestGap: words[index + 4],
          isAwaited: words[index + 5] == 1))
      index += Self.readerCount
    }
    base = highestMark + 1
  }
}
