import SidecarPlatform

/// `--supervise`: a parent that keeps the sockets open and has a worker do everything else. When the
/// worker is killed, another takes over, so datagrams wait in the kernel meanwhile, and connecting
/// clients in the backlog.
///
/// What must stay true: the parent reads no byte and parses nothing, so nothing that is sent can
/// bring it down. A worker that exits by itself ends the parent with the same code.
struct Supervisor {
  /// Indexes of `Datagrams.shared`.
  static let restarts = 0

  private let log: Log
  private var worker: Int32 = 0
  private var isStopping = false
  private var pauseMilliseconds: Int64 = firstPause

  private static let firstPause: Int64 = 10
  private static let lastPause: Int64 = 1000
  /// A worker that has lived so long is not the one that dies at once.
  private static let soundLifeNanoseconds: UInt64 = 250_000_000

  init(log: Log) { self.log = log }

  /// Returns in each worker, and never in the parent.
  mutating func run(_ datagrams: borrowing Datagrams) throws(Errno) {
    try ForkedProcess.beParent()
    while true {
      let start = Clock.monotonicNanoseconds
      switch try ForkedProcess.fork() {
      case .worker: return
      case .parent(let id): worker = id
      }
      let signal = waitForDeath()
      if isStopping { Process.exit(.failure) }
      if Clock.monotonicNanoseconds - start > Self.soundLifeNanoseconds {
        pauseMilliseconds = Self.firstPause
      }
      log.error(
        "The worker was killed by signal \(signal); another starts in \(pauseMilliseconds) ms, and "
          + "datagrams wait in the kernel")
      datagrams.addShared(Self.restarts, 1)
      pause()
    }
  }

  /// Hands signals on until the worker is killed; by which signal. Does not return if it exits.
  private mutating func waitForDeath() -> Int32 {
    while true {
      switch ForkedProcess.wait(for: worker, timeoutMilliseconds: -1) {
      case .signal(let number):
        isStopping = isStopping || number != 1
        ForkedProcess.send(number, to: worker)
      case .exited(let code): Process.exit(rawCode: code)
      case .killed(let signal): return signal
      case .timedOut: break
      }
    }
  }

  private mutating func pause() {
    let end = Clock.monotonicNanoseconds + UInt64(pauseMilliseconds) * 1_000_000
    pauseMilliseconds = min(pauseMilliseconds * 2, Self.lastPause)
    while true {
      let now = Clock.monotonicNanoseconds
      guard now < end else { return }
      let left = Int64((end - now) / 1_000_000) + 1
      let news = ForkedProcess.wait(for: 0, timeoutMilliseconds: left)
      if case .signal(let number) = news, number != 1 { Process.exit(.success) }
    }
  }
}
