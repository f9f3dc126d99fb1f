import CSidecarLinux

/// Keeps other threads out for the few instructions of one. For clients in programs of others: the
/// loops of this package share nothing that needs one.
@safe
public final class Lock: @unchecked Sendable {
  // Sound: made in `init`, destroyed once in `deinit`, used by C alone.
  private let handle: UnsafeMutableRawPointer

  /// An open one.
  public init() {
    guard let handle = unsafe cl_lock_create() else { fatalError("no memory for a lock") }
    unsafe self.handle = handle
  }

  deinit { unsafe cl_lock_destroy(handle) }

  /// Runs `body` while no other thread runs one under this lock. Not reentrant.
  public func holding<Result>(_ body: () -> Result) -> Result {
    unsafe cl_lock(handle)
    defer { unsafe cl_unlock(handle) }
    return body()
  }
}
