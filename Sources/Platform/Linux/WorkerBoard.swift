import CSidecarLinux

/// What a parent and its workers share: the state of the worker's loop, numbers that outlive a
/// worker, and what each worker that crashed was applying.
///
/// What must stay true: a worker that begins a turn stores that before it checks whether its parent
/// watches, and a parent that stops watching stores that before it checks the turn. So either the
/// worker wakes its parent or the parent continues to watch.
@safe
public final class WorkerBoard {
  // Sound: one mapping, laid out by C, made in `init` and unmapped once in `deinit`.
  private let memory: UnsafeMutableRawPointer

  /// Call it before the first fork.
  public init() throws(Errno) {
    guard let memory = unsafe cl_map_anonymous_shared(UInt64(cl_board_byte_count())) else {
      throw Errno(cl_last_error())
    }
    unsafe self.memory = memory
  }

  deinit { _ = unsafe cl_unmap(memory, UInt64(cl_board_byte_count())) }

  // MARK: In the parent

  /// Call it before each fork: the next worker begins in its first turn, which is its start.
  public func beginLife() { unsafe cl_board_next(memory) }

  /// Odd while the worker is in a turn of its loop, even while it is idle.
  public var turn: UInt32 { unsafe cl_board_turn(memory) }

  /// The phase that the worker set last by `WorkerBoard.enter`.
  public var phase: UInt32 { unsafe cl_board_phase(memory) }

  /// Whether the worker need not wake its parent.
  public var isWatched: Bool { unsafe cl_board_is_watched(memory) != 0 }

  /// Makes the worker's next turn wake the parent; `false` if a turn has already begun.
  public func stopWatching() -> Bool {
    unsafe cl_board_watch(memory, 0)
    guard turn & 1 == 1 else { return true }
    unsafe cl_board_watch(memory, 1)
    return false
  }

  // MARK: In both

  /// Adds to a number that all workers share, each with its own `index` below 4, and returns the
  /// result.
  @discardableResult
  public func addShared(_ index: Int, _ amount: UInt64) -> UInt64 {
    unsafe cl_board_shared(memory, Int32(index), amount)
  }

  // MARK: In the worker

  /// Makes this process the worker. From now on a crash is recorded for its successor.
  public func beWorker() throws(Errno) { _ = unsafe try SystemCall.check(cl_worker_begin(memory)) }

  /// For a process without a parent: it exits with a line if a mapped file is truncated.
  public static func beAlone() throws(Errno) {
    _ = try SystemCall.check(cl_worker_begin(nil))
  }

  /// Tells the parent what the worker does now.
  @inline(__always)
  public static func enter(_ phase: UInt32) { cl_phase(phase) }
}

/// The bytes that a worker is applying: bytes that kill two workers in a row must not kill a third.
public enum InFlight {
  /// Records that `bytes` are being applied, up to `end`; `false` if they have killed two workers
  /// in a row and must be skipped.
  @inline(__always)
  public static func begin(_ bytes: RawSpan) -> Bool {
    unsafe bytes.withUnsafeBytes { unsafe cl_flight_begin($0.baseAddress, $0.count) } != 0
  }

  /// Records that they are applied.
  @inline(__always)
  public static func end() { cl_flight_end() }

  /// Whether a worker has just crashed: its parts are then applied one by one.
  public static var isCareful: Bool { cl_flight_is_careful() != 0 }
}
