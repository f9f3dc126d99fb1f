import CSidecarLinux

/// What a parent and its workers share: how far the worker's loop is, numbers that outlive a worker,
/// and what each worker that died of a fault of its own was applying.
///
/// What must stay true: a worker that begins a turn stores that before it looks whether its parent
/// watches, and a parent that stops watching stores that before it looks at the turn. So either the
/// worker wakes its parent or the parent goes on watching.
@safe
public final class WorkerBoard {
  // Sound: one mapping, laid out by C, made in `init` and unmapped once in `deinit`.
  private let memory: UnsafeMutableRawPointer

  /// Before the first fork.
  public init() throws(Errno) {
    guard let memory = unsafe cl_map_anonymous_shared(UInt64(cl_board_byte_count())) else {
      throw Errno(cl_last_error())
    }
    unsafe self.memory = memory
  }

  deinit { _ = unsafe cl_unmap(memory, UInt64(cl_board_byte_count())) }

  // MARK: In the parent

  /// Before each fork: the next worker is in its first turn, which is its start.
  public func beginLife() { unsafe cl_board_next(memory) }

  /// Odd while the worker is in a turn of its loop, even while it rests.
  public var turn: UInt32 { unsafe cl_board_turn(memory) }

  /// What the worker has said last by `WorkerBoard.enter`.
  public var phase: UInt32 { unsafe cl_board_phase(memory) }

  /// Whether the worker need not wake its parent.
  public var isWatched: Bool { unsafe cl_board_is_watched(memory) != 0 }

  /// Has the worker's next turn wake the parent; `false` where it has begun one already.
  public func stopWatching() -> Bool {
    unsafe cl_board_watch(memory, 0)
    guard turn & 1 == 1 else { return true }
    unsafe cl_board_watch(memory, 1)
    return false
  }

  // MARK: In both

  /// Adds to a number that all workers share, each with its own `index` below 4; what it is then.
  @discardableResult
  public func addShared(_ index: Int, _ amount: UInt64) -> UInt64 {
    unsafe cl_board_shared(memory, Int32(index), amount)
  }

  // MARK: In the worker

  /// Makes this process the worker. From now on a fault of its own is kept for its successor.
  public func beWorker() throws(Errno) { _ = unsafe try SystemCall.check(cl_worker_begin(memory)) }

  /// For a process without a parent: a mapped file that is cut short ends it with a line.
  public static func beAlone() throws(Errno) {
    _ = try SystemCall.check(cl_worker_begin(nil))
  }

  /// Says what the worker does now, for its parent.
  @inline(__always)
  public static func enter(_ phase: UInt32) { cl_phase(phase) }
}

/// The bytes that a worker is applying: those that end two workers in a row shall not end a third.
public enum InFlight {
  /// Says that `bytes` are being applied, up to `end`; `false` where they have ended two workers in a
  /// row and have to be left out.
  @inline(__always)
  public static func begin(_ bytes: RawSpan) -> Bool {
    unsafe bytes.withUnsafeBytes { unsafe cl_flight_begin($0.baseAddress, $0.count) } != 0
  }

  /// They are applied.
  @inline(__always)
  public static func end() { cl_flight_end() }

  /// Whether a worker has just died of a fault of its own: parts are applied one by one.
  public static var isCareful: Bool { cl_flight_is_careful() != 0 }
}
