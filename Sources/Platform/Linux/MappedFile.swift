import CSidecarLinux

/// A locked file as memory. Address space for `limit` bytes is reserved at once, so the memory never
/// moves; the file behind it grows by `grow`, and disk space is allocated before it is used, so a
/// full disk is an error of `grow` and never a SIGBUS.
@safe
public struct MappedFile: ~Copyable {
  /// Its name when it was opened.
  public let path: String
  private var descriptor: Descriptor
  // Sound: mapped for `limit` bytes in `init`, unmapped once in `deinit`. Only the first `size` bytes
  // may be touched.
  /// The first byte.
  @unsafe public let base: UnsafeMutableRawPointer
  /// The most bytes the file can have.
  public let limit: Int
  /// The bytes that exist and may be touched.
  public private(set) var size: Int

  /// Why there is no mapping.
  public enum Failure: Error, Sendable {
    /// Another process has the file.
    case locked
    case open(Errno)
    case map(Errno)
  }

  /// Opens or creates `path`, locks it, and maps what is there. Its bytes are untrusted.
  public init(path: String, limit: Int, mode: UInt32 = 0o600) throws(Failure) {
    let opened = unsafe cl_open(path, 1, mode)
    if opened < 0 { throw .open(Errno(-opened)) }
    let descriptor = Descriptor(owning: opened)
    let locked = cl_file_lock(opened)
    if locked == -Errno.wouldBlock.rawValue { throw .locked }
    if locked < 0 { throw .open(Errno(-locked)) }
    let size = cl_file_size(opened)
    if size < 0 { throw .open(Errno(Int32(-size))) }
    // A copy of a file may have holes, for which the disk may have no room later.
    if size > 0 {
      _ = cl_file_allocate(opened, 0, size)
    } else {
      // A file system that writes elsewhere wants new room for what has some: SIGBUS on a full disk.
      cl_file_overwrite_in_place(opened)
    }
    guard let base = unsafe cl_map_shared(opened, UInt64(limit)) else {
      throw .map(Errno(cl_last_error()))
    }
    self.path = path
    self.descriptor = descriptor
    unsafe self.base = base
    self.limit = limit
    self.size = size > Int64(limit) ? limit : Int(size)
  }

  deinit { _ = unsafe cl_unmap(base, UInt64(limit)) }

  /// Makes the file at least `newSize` bytes long; the new bytes are zero.
  /// - Throws: `ENOSPC` when the disk is full, `ENOMEM` beyond `limit`; the file stays as it is.
  public mutating func grow(to newSize: Int) throws(Errno) {
    guard newSize > size else { return }
    if newSize > limit { throw .outOfMemory }
    _ = try SystemCall.check(
      cl_file_allocate(descriptor.raw, Int64(size), Int64(newSize - size)))
    size = newSize
  }

  // MARK: When the file goes

  /// Whether `path` names this file still. What is stored into one that was removed is gone when the
  /// process is.
  public var isThere: Bool {
    guard let named = try? FileIdentity(path: path) else { return false }
    return named == (try? FileIdentity(descriptor.raw))
  }

  /// Makes a file of all that is in memory where this one was removed, and goes on with that.
  /// - Throws: `EEXIST` where another file is there, `ENOSPC` …; nothing has changed then.
  @inline(never)
  public mutating func makeAgain() throws(Errno) {
    let new = path + ".new"
    if let folder = Files.parent(of: path) { try Files.makeFolder(folder) }
    Files.remove(new)
    let copy = unsafe Descriptor(owning: try SystemCall.check(cl_open(new, 1 | 4, 0o600)))
    do throws(Errno) {
      _ = try SystemCall.check(cl_file_lock(copy.raw))
      cl_file_overwrite_in_place(copy.raw)
      _ = try SystemCall.check(cl_file_allocate(copy.raw, 0, Int64(size)))
      var done = 0
      while done < size {
        done += try unsafe Int(SystemCall.check(cl_write(copy.raw, base + done, size - done)))
      }
      _ = try unsafe SystemCall.check(cl_rename_new(new, path))
    } catch {
      Files.remove(new)
      throw error
    }
    // The same bytes at the same place: nobody who reads or writes here notices.
    _ = try unsafe SystemCall.check(cl_map_instead(base, UInt64(limit), copy.raw))
    descriptor = copy
  }
}
