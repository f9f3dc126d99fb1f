import CSidecarLinux

/// Excludes other threads for a few instructions. For clients in other programs: the loops of this
/// package share nothing that needs a lock.
@safe
public final class Lock: @unchecked Sendable {
  // Sound: made in `init`, destroyed once in `deinit`, used by C alone.
  private let handle: UnsafeMutableRawPointer

  /// Creates an open lock.
  public init() {
    guard let handle = unsafe cl_lock_create() else { fatalError("no memory for a lock") }
    unsafe self.handle = handle
  }

  deinit { unsafe cl_lock_destroy(handle) }

  /// Runs `body` while no other thread runs code under this lock. Not reentrant.
  public func holding<Result>(_ body: () -> Result) -> Result {
    unsafe cl_lock(handle)
    defer { unsafe cl_unlock(handle) }
    return body()
  }
}
