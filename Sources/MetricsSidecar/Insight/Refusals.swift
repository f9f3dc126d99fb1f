import SidecarPlatform

/// The last lines that were refused, or that counted but look like a mistake: for
/// `/api/v1/rejected`, the page and the log at `debug`.
///
/// What must stay true: an event that counts never gets here, unless a line of its form is new. A
/// refused line costs a copy of up to 256 bytes, whatever its length: no allocation, no search.
final class Refusals {
  struct Entry {
    var reason: StaticString = ""
    var socket: StaticString = ""
    /// The last time it came, in Unix nanoseconds.
    var time: UInt64 = 0
    var byteCount = 0
    /// Whether the line was longer.
    var isCut = false
    /// How often it came in a row.
    var repeats: UInt64 = 1
  }

  /// Entries kept, and bytes of a line.
  static let capacity = 100
  static let lineByteLimit = 256

  /// How many there were since startup, for all reasons.
  private(set) var count: UInt64 = 0
  private var entries = [Entry](repeating: Entry(), count: capacity)
  /// The bytes of each entry's line, at `lineByteLimit` times its index.
  private var text = [UInt8](repeating: 0, count: capacity * lineByteLimit)
  private var used = 0
  private var last = capacity - 1
  /// Reasons without a counter of the intake, such as a push's.
  private(set) var others: [(reason: StaticString, count: UInt64)] = []
  var log = Log()
  /// The viewers of incoming lines.
  var tap: Tap?
  private var debugLines = LogRate()

  /// Records a line that was refused for `reason`.
  @inline(never)
  func note(_ reason: StaticString, _ socket: StaticString, _ line: RawSpan) {
    count &+= 1
    let byteCount = min(line.byteCount, Self.lineByteLimit)
    let now = Clock.unixNanoseconds
    if used > 0, isLast(reason, socket, line, byteCount) {
      entries[last].repeats &+= 1
      entries[last].time = now
    } else {
      last = last + 1 == Self.capacity ? 0 : last + 1
      used = min(used + 1, Self.capacity)
      entries[last] = Entry(
        reason: reason, socket: socket, time: now, byteCount: byteCount,
        isCut: line.byteCount > byteCount)
      let start = last * Self.lineByteLimit
      let kept = line.extracting(0..<byteCount)
      // Sound: each entry has `lineByteLimit` bytes of its own.
      unsafe text.withUnsafeMutableBytes { memory in
        unsafe kept.withUnsafeBytes { source in
          unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + byteCount])
            .copyMemory(from: source)
        }
      }
    }
    tap?.show(line, socket, reason)
    if log.minimum == .debug { debug(reason, socket, line) }
  }

  /// The same for a reason without a counter of the intake.
  func note(other reason: StaticString, _ socket: StaticString, _ line: RawSpan) {
    note(reason, socket, line)
    for index in others.indices where Self.isSame(others[index].reason, reason) {
      others[index].count += 1
      return
    }
    others.append((reason, 1))
  }

  /// Calls `body` with each entry and its line, the newest first.
  func forEach(_ body: (Entry, RawSpan) -> Void) {
    for age in 0..<used { with(age: age, body) }
  }

  /// The same with the entry that this many newer ones follow, if there is one.
  func with(age: Int, _ body: (Entry, RawSpan) -> Void) {
    guard age < used else { return }
    let place = (last + Self.capacity - age) % Self.capacity
    let start = place * Self.lineByteLimit
    let entry = entries[place]
    unsafe text.withUnsafeBytes { bytes in
      // Sound: `body` does not keep it, and nothing is recorded meanwhile.
      let line = unsafe RawSpan(
        _unsafeBytes: UnsafeRawBufferPointer(
          rebasing: bytes[start..<start + entry.byteCount]))
      body(entry, line)
    }
  }

  private func isLast(
    _ reason: StaticString, _ socket: StaticString, _ line: RawSpan, _ byteCount: Int
  ) -> Bool {
    let entry = entries[last]
    guard entry.byteCount == byteCount, entry.isCut == (line.byteCount > byteCount),
      Self.isSame(entry.reason, reason), Self.isSame(entry.socket, socket)
    else { return false }
    let start = last * Self.lineByteLimit
    for index in 0..<byteCount where text[start + index] != line.at(index) { return false }
    return true
  }

  /// Whether two words are the same static string.
  static func isSame(_ a: StaticString, _ b: StaticString) -> Bool {
    guard a.utf8CodeUnitCount == b.utf8CodeUnitCount else { return false }
    if unsafe a.utf8Start == b.utf8Start { return true }
    for index in 0..<a.utf8CodeUnitCount where unsafe a.utf8Start[index] != b.utf8Start[index] {
      return false
    }
    return true
  }

  private func debug(_ reason: StaticString, _ socket: StaticString, _ line: RawSpan) {
    guard let left = debugLines.takes(now: Clock.monotonicNanoseconds) else { return }
    if left > 0 { log.debug(joined(left.description, " refused lines were left out here")) }
    log.debug(
      joined(socket.description, ": refused (", reason.description, "): ")
        + Poison.text(line, limit: Self.lineByteLimit))
  }
}

/// Limits the lines in the log: the first twenty of each second.
struct LogRate {
  private static let limit = 20
  private var second: UInt64 = 0
  private var count = 0
  private var leftOut = 0

  /// How many were omitted before this one; `nil` if this one is omitted, too.
  mutating func takes(now: UInt64) -> Int? {
    if now / 1_000_000_000 != second {
      second = now / 1_000_000_000
      count = 0
    }
    count += 1
    guard count <= Self.limit else {
      leftOut += 1
      return nil
    }
    defer { leftOut = 0 }
    return leftOut
  }
}
