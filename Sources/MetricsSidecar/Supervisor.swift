import SidecarPlatform

/// `--supervise`: a parent keeps the sockets open, and a worker does everything else. When the
/// worker is killed, or hangs, another takes over, so datagrams wait in the kernel meanwhile, and
/// connecting clients in the backlog.
///
/// What must stay true: the parent reads no byte and parses nothing, so no input can bring it down.
/// A worker that exits by itself ends the parent with the same code. An idle worker costs nothing:
/// the parent does not check it.
struct Supervisor {
  /// Indexes of `Datagrams.shared`.
  static let restarts = 0

  private let log: Log
  private let board: WorkerBoard
  private var worker: Int32 = 0
  private var watch = WorkerWatch()
  /// The worker's deadline to end, after a signal to stop.
  private var stopAt = UInt64.max
  private var pauseMilliseconds: Int64 = firstPause
  private var failedForks = 0
  /// `--linger`, and until when to replace a worker that dies while it lingers.
  private let lingerNanoseconds: UInt64
  private var lingerEnd: UInt64 = 0
  /// A second signal to stop came, or SIGINT.
  private var isUrgent = false

  private static let firstPause: Int64 = 10
  private static let lastPause: Int64 = 1000
  /// A worker that has lived this long does not count as dying at once.
  private static let soundLifeNanoseconds: UInt64 = 250_000_000
  /// From SIGTERM or SIGINT to the end of everything, without `--linger`.
  static let stopSeconds = 15

  init(log: Log, board: WorkerBoard, lingerNanoseconds: UInt64) {
    self.log = log
    self.board = board
    self.lingerNanoseconds = lingerNanoseconds
  }

  /// Returns in each worker, and never in the parent.
  mutating func run(_ datagrams: borrowing Datagrams) throws(Errno) {
    try ForkedProcess.beParent()
    while true {
      let start = Clock.monotonicNanoseconds
      guard begin() else { return try board.beWorker() }
      guard worker > 0 else { continue }
      // It continues to linger, or ends.
      if stopAt != .max {
        ForkedProcess.send(isUrgent ? Self.interrupt : Self.terminate, to: worker)
      }
      let signal = waitForDeath()
      if stopAt != .max, isUrgent || Clock.monotonicNanoseconds >= lingerEnd {
        Process.exit(.failure)
      }
      if Clock.monotonicNanoseconds - start > Self.soundLifeNanoseconds {
        pauseMilliseconds = Self.firstPause
      }
      log.error(
        joined(
          "The worker was killed by signal ", signal.description, "; another starts in ",
          pauseMilliseconds.description, " ms, and ")
          + "datagrams wait in the kernel")
      datagrams.addShared(Self.restarts, 1)
      pause()
    }
  }

  /// Starts a worker, in which it returns `false`. If that fails, `worker` is 0, and some time has
  /// passed.
  private mutating func begin() -> Bool {
    board.beginLife()
    watch = WorkerWatch()
    worker = 0
    do throws(Errno) {
      switch try ForkedProcess.fork() {
      case .worker: return false
      case .parent(let id): worker = id
      }
      if failedForks > 0 {
        log.info(
          joined("A worker has started after ", failedForks.description, " tries that failed"))
      }
      failedForks = 0
    } catch {
      // Too many processes or too little memory, for now. Only the first few tries are logged.
      failedForks += 1
      if pauseMilliseconds < Self.lastPause {
        log.error(
          joined("No worker can be started (", error.description, "); it is tried again in ")
            + joined(pauseMilliseconds.description, " ms, and then at least each second"))
      }
      pause()
    }
    return true
  }

  /// Forwards signals until the worker is killed; returns the signal. Does not return if it exits.
  private mutating func waitForDeath() -> Int32 {
    while true {
      switch ForkedProcess.wait(for: worker, timeoutMilliseconds: look()) {
      case .signal(let number): pass(number)
      case .exited(let code): Process.exit(rawCode: code)
      case .killed(let signal): return signal
      case .stopped(let signal):
        watch.isStopped = true
        log.warning(joined("The worker was stopped by signal ", signal.description))
        if stopAt != .max { ForkedProcess.send(Self.goOn, to: worker) }
      case .continued: watch.isStopped = false
      case .timedOut: break
      }
    }
  }

  private static let kill: Int32 = 9
  private static let goOn: Int32 = 18

  private static let interrupt: Int32 = 2
  private static let terminate: Int32 = 15

  private mutating func pass(_ signal: Int32) {
    guard signal != 1 else { return ForkedProcess.send(signal, to: worker) }
    note(signal)
    ForkedProcess.send(isUrgent ? Self.interrupt : signal, to: worker)
    if watch.isStopped { ForkedProcess.send(Self.goOn, to: worker) }
  }

  /// Handles a signal to stop. The first SIGTERM makes the worker linger; later ones end it, as
  /// SIGINT, since the worker may have received SIGTERM twice: systemd sends it to both.
  private mutating func note(_ signal: Int32) {
    let now = Clock.monotonicNanoseconds
    let isFirst = stopAt == .max
    isUrgent = !isFirst || signal != Self.terminate
    if isFirst, !isUrgent { lingerEnd = now + lingerNanoseconds }
    let from = isUrgent ? now : lingerEnd
    stopAt = min(stopAt, from + UInt64(Self.stopSeconds) * 1_000_000_000)
  }

  /// Checks the worker, if it is time, and ends it if it hangs. Returns how long to wait for news,
  /// in milliseconds; -1 without end.
  private mutating func look() -> Int64 {
    let now = Clock.monotonicNanoseconds
    if now >= stopAt {
      log.error(
        joined(
          "The worker has not ended within ", Self.stopSeconds.description,
          isUrgent || lingerNanoseconds == 0 ? " s (" : " s after --linger (", phase,
          "), so it is killed"))
      ForkedProcess.send(Self.kill, to: worker)
      Process.exit(.failure)
    }
    var next = stopAt
    while true {
      guard board.isWatched || watch.isStopped else { break }
      switch watch.look(board.turn, now: now) {
      case .rests: if !board.stopWatching() { continue }
      case .look(let time): next = min(next, time)
      case .hangs:
        log.error(joined("The worker hangs (", phase, "), so it is killed"))
        ForkedProcess.send(Self.kill, to: worker)
        watch = WorkerWatch()
        next = min(next, now + WorkerWatch.lookNanoseconds)
      }
      break
    }
    return next == .max ? -1 : Int64((next - now) / 1_000_000) + 1
  }

  private var phase: String {
    let words = (Phase(rawValue: board.phase) ?? .start).words
    let state = watch.isStopped ? "stopped " : board.turn & 1 == 0 ? "at rest, last " : ""
    return state + words.description
  }

  private mutating func pause() {
    let end = Clock.monotonicNanoseconds + UInt64(pauseMilliseconds) * 1_000_000
    pauseMilliseconds = min(pauseMilliseconds * 2, Self.lastPause)
    while true {
      let now = Clock.monotonicNanoseconds
      guard now < end else { return }
      let left = Int64((end - now) / 1_000_000) + 1
      let news = ForkedProcess.wait(for: 0, timeoutMilliseconds: left)
      guard case .signal(let number) = news, number != 1 else { continue }
      // With --linger another worker serves the unseen events.
      if lingerNanoseconds == 0 || number != Self.terminate { Process.exit(.success) }
      note(number)
    }
  }
}
