import CLinux

/// A Unix socket's file, taken safely: a lock beside it says whether its owner lives, so a stale
/// file is replaced and a live one is never stolen.
public struct SocketFile: ~Copyable {
  /// Where clients connect. Removed with this value.
  public let path: String
  /// What listens there.
  public let socket: Descriptor
  private let lock: Descriptor

  /// Why `path` could not be taken.
  public enum Failure: Error, Sendable {
    /// Another process holds the lock: it is alive and listening there.
    case inUse
    case pathTooLong(byteCount: Int)
    case lock(Errno)
    case bind(Errno)
  }

  /// Binds `path` after taking `path.lock`. The lock file stays: removing it would let two
  /// processes hold locks on two different files of one name.
  public init(
    path: String, kind: Socket.Kind, mode: UInt32, group: Int64 = -1
  ) throws(Failure) {
    let byteCount = path.utf8.count
    if byteCount > Socket.unixPathLimit { throw .pathTooLong(byteCount: byteCount) }
    let opened = unsafe cl_open(path + ".lock", 1, 0o600)
    if opened < 0 { throw .lock(Errno(-opened)) }
    let lock = Descriptor(owning: opened)
    let locked = cl_file_lock(lock.raw)
    if locked == -Errno.wouldBlock.rawValue { throw .inUse }
    if locked < 0 { throw .lock(Errno(-locked)) }
    _ = unsafe cl_unlink(path)
    do throws(Errno) {
      socket = try Socket.listenUnix(path: path, kind: kind, mode: mode, group: group)
    } catch { throw .bind(error) }
    self.lock = lock
    self.path = path
  }

  deinit { _ = unsafe cl_unlink(path) }
}
