import CSidecarLinux

/// A process forked from this one, which continues in the same program with the same descriptors
/// and the same shared memory. Only for a program that has started no thread.
public enum ForkedProcess {
  /// Where `fork` has returned.
  public enum Side: Sendable {
    case worker
    case parent(worker: Int32)
  }

  /// Why the parent has woken up.
  public enum News: Equatable, Sendable {
    /// SIGTERM, SIGINT or SIGHUP by number, for the worker.
    case signal(Int32)
    case exited(code: Int32)
    case killed(signal: Int32)
    case stopped(signal: Int32)
    case continued
    case timedOut
  }

  /// Makes the parent receive its signals through `wait` from now on. Call it before the first
  /// `fork`.
  public static func beParent() throws(Errno) { _ = try SystemCall.check(cl_parent_begin()) }

  /// Starts a worker. It gets SIGINT when the parent dies.
  public static func fork() throws(Errno) -> Side {
    let id = try SystemCall.check(cl_parent_fork())
    return id == 0 ? .worker : .parent(worker: id)
  }

  /// Waits for a signal, or the worker's end, stop or turn (`WorkerBoard`); reaps orphans on the
  /// way. `timeoutMilliseconds` -1 waits without end.
  public static func wait(for worker: Int32, timeoutMilliseconds: Int64) -> News {
    var code: Int32 = 0
    let news = unsafe cl_parent_wait(worker, timeoutMilliseconds, &code)
    switch news {
    case 1: return .signal(code)
    case 2: return .exited(code: code)
    case 3: return .killed(signal: code)
    case 4: return .stopped(signal: code)
    case 5: return .continued
    default: return .timedOut
    }
  }

  /// Passes a signal on. A worker that has ended is fine.
  public static func send(_ signal: Int32, to worker: Int32) { _ = cl_kill(worker, signal) }
}
