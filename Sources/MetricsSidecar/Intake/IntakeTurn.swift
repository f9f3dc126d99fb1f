import SidecarPlatform

/// The input of one turn of the loop. A frame of a mebibyte can be a hundred thousand new lines,
/// and a batch of datagrams four times that: it is then applied over several turns, and probes are
/// answered in between.
///
/// What must stay true: while something is half applied there is no commit, no other read, scrape,
/// expiry or reload; ready sources are read in their order.
struct IntakeTurn {
  /// The source that is applied in part.
  enum Half: Equatable {
    case nothing
    case frame(token: UInt32)
    case datagrams
    case otlp
  }

  var half = Half.nothing
  /// The sources that were ready when the time was over, in this order.
  var waiting: [UInt32] = []
  var byteCount = 0
  private var startedAt: UInt64 = 0
  private(set) var endsAt: UInt64 = 0

  /// The time for events per turn, in nanoseconds.
  static let nanoseconds: UInt64 = 10_000_000
  /// An amount too small for a look at the clock, in bytes.
  static let smallByteCount = 65_536

  /// Whether there is time for more; begins the turn that began at `now`.
  @inline(__always)
  mutating func hasTime(_ now: UInt64) -> Bool {
    if startedAt != now {
      startedAt = now
      begin(now)
    }
    return byteCount <= Self.smallByteCount || Clock.monotonicNanoseconds < endsAt
  }

  mutating func begin(_ now: UInt64) {
    byteCount = 0
    endsAt = now + Self.nanoseconds
  }
}

extension Sidecar {
  /// Reads a ready source, or lets it wait for its turn.
  func takeOrWait(_ token: UInt32, _ now: UInt64) {
    if turn.half == .nothing, turn.waiting.isEmpty, turn.hasTime(now) { return take(token, now) }
    if !turn.waiting.contains(token) { turn.waiting.append(token) }
  }

  /// Whether something waits only for time.
  var hasIntakeWaiting: Bool { turn.half != .nothing || !turn.waiting.isEmpty }

  /// Continues with what was left; `false` while something is half applied.
  func continueIntake(_ now: UInt64) -> Bool {
    if turn.half != .nothing {
      let time = Clock.monotonicNanoseconds
      turn.begin(time)
      continueHalf(now, until: turn.endsAt)
    }
    var count = 0
    while turn.half == .nothing, count < turn.waiting.count, turn.hasTime(now) {
      count += 1
      take(turn.waiting[count - 1], now)
    }
    turn.waiting.removeFirst(count)
    return turn.half == .nothing
  }

  /// Applies the rest of what is half applied: call it before anything that needs complete numbers
  /// at once.
  func finishHalf() {
    if turn.half != .nothing { continueHalf(Clock.monotonicNanoseconds, until: .max) }
  }

  private func continueHalf(_ now: UInt64, until end: UInt64) {
    switch turn.half {
    case .nothing: return
    case .otlp: continueOTLP(now, until: end)
    case .datagrams:
      inbox.goOn(processor, until: end)
      if !inbox.isHalfApplied { turn.half = .nothing }
    case .frame(let token):
      guard let connection = connection(token) else {
        turn.half = .nothing
        return
      }
      let outcome = connection.goOn(processor, now, until: end)
      if connection.isHalfApplied { return }
      turn.half = .nothing
      ended(outcome, of: connection, now)
    }
  }
}
