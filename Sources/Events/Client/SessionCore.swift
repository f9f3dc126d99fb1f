import Synchronization
internal import SidecarPlatform

/// A session, its socket and the thread that flushes.
final class SessionCore: @unchecked Sendable {
  let instruments: InstrumentTable
  private let changes: Changes
  /// `nil` if the kernel has no descriptor left: then only `flush` sends.
  private let wake: Wake?
  private let intervalNanoseconds: UInt64
  private let isStopping = Atomic(false)
  private let lock = Lock()
  // Under `lock`.
  private var link: SessionSocket<Instruments>
  private var thread: UInt64?

  private static let beatNanoseconds: UInt64 = 60_000_000_000
  private static let windowByteCount = 256 << 10
  /// How long `close` waits for a sidecar that was never there.
  private static let absentNanoseconds: UInt64 = 2_000_000_000

  init(path: String, intervalNanoseconds: UInt64, maxSeries: Int) {
    do throws(Errno) { wake = try Wake() } catch { wake = nil }
    self.intervalNanoseconds = intervalNanoseconds
    changes = Changes(wake)
    instruments = InstrumentTable(maxSeries: maxSeries, changes)
    link = SessionSocket(
      path: path,
      session: EventSession(
        id: Self.identity(), windowByteCount: Self.windowByteCount,
        pending: Instruments(instruments, changes)))
  }

  private static func identity() -> SessionID {
    do throws(Errno) {
      let (high, low) = try Process.randomIdentity()
      return SessionID(high: high, low: low)
    } catch {
      // Without random bytes, time and process number are as good as unique.
      return SessionID(
        high: SessionID.mix(Clock.unixNanoseconds), low: SessionID.mix(UInt64(Process.id))
      ).successor
    }
  }

  // MARK: The thread

  /// Starts the thread that flushes. It keeps this object until `stop`.
  func start() {
    guard let wake else { return }
    do throws(Errno) {
      let started = try Thread { [self] in run(wake) }
      let handle = started.detachHandle()
      lock.holding { thread = handle }
    } catch {}
  }

  /// Ends the thread.
  func stop() {
    isStopping.store(true, ordering: .sequentiallyConsistent)
    wake?()
    let handle = lock.holding {
      let handle = thread
      thread = nil
      return handle
    }
    if let handle { Thread.join(handle) }
  }

  private func run(_ wake: Wake) {
    var flushAt = UInt64.max
    var beatAt = Clock.monotonicNanoseconds + Self.beatNanoseconds
    while !isStopping.load(ordering: .sequentiallyConsistent) {
      let (descriptor, isBlocked, number, retryAt) = lock.holding {
        (link.descriptor, link.session.isBlocked, link.connectionNumber, link.nextDeadline)
      }
      let hasBeat = instruments.hasLiveAll.load(ordering: .relaxed)
      let cause = wake.wait(
        watching: descriptor, wantsWritable: isBlocked,
        timeoutMilliseconds: Self.timeout(min(flushAt, retryAt, hasBeat ? beatAt : .max)))
      let now = Clock.monotonicNanoseconds
      if !cause.interest.isEmpty {
        // The watched descriptor may have been closed meanwhile.
        lock.holding { if link.connectionNumber == number { link.ready(cause.interest, now: now) } }
      }
      if hasBeat, now >= beatAt {
        instruments.beat()
        beatAt = now + Self.beatNanoseconds
      }
      if flushAt == .max, !changes.isEmpty || instruments.hasLines {
        flushAt = now + intervalNanoseconds
      }
      if now >= min(flushAt, retryAt) {
        lock.holding { _ = flush(now) }
        flushAt = .max
      }
    }
  }

  /// Rounded up; -1 for never.
  private static func timeout(_ deadline: UInt64) -> Int32 {
    if deadline == .max { return -1 }
    let now = Clock.monotonicNanoseconds
    return now >= deadline ? 0 : Int32(clamping: (deadline - now + 999_999) / 1_000_000)
  }

  // MARK: Flushes

  func flush() -> Bool {
    let (isDrained, isNew) = lock.holding {
      let number = link.connectionNumber
      let isDrained = flush(Clock.monotonicNanoseconds)
      return (isDrained, link.connectionNumber != number)
    }
    // The thread has another connection to watch.
    if isNew { wake?() }
    return isDrained
  }

  /// With the lock.
  private func flush(_ now: UInt64) -> Bool {
    link.session.pending.collect()
    link.flush(now: now)
    return link.session.isDrained
  }

  func close(timeoutNanoseconds: UInt64) -> Bool {
    stop()
    let start = Clock.monotonicNanoseconds
    while true {
      let now = Clock.monotonicNanoseconds
      let (isDrained, isMet) = lock.holding {
        link.session.pending.collect()
        link.press(now: now)
        return (link.session.isDrained, link.connectionNumber > 0)
      }
      if isDrained { return true }
      let limit = isMet ? timeoutNanoseconds : min(timeoutNanoseconds, Self.absentNanoseconds)
      if now - start >= limit { return false }
      Process.sleep(milliseconds: 1)
    }
  }
}
