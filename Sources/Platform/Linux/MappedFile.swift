import CSidecarLinux

/// A locked file as memory. Address space for `limit` bytes is reserved at once, so the memory
/// never moves; the file behind it grows by `grow`, and disk space is allocated before it is used,
/// so a full disk is an error of `grow` and never a SIGBUS.
@safe
public struct MappedFile: ~Copyable {
  /// The file's name when it was opened.
  public let path: String
  private var descriptor: Descriptor
  // Sound: mapped for `limit` bytes in `init`, unmapped once in `deinit`. Only the first `size`
  // bytes may be touched.
  /// The first byte.
  @unsafe public let base: UnsafeMutableRawPointer
  /// The most bytes the file may grow to. A larger file stays as it is.
  public let limit: Int
  /// The bytes that exist and may be touched.
  public private(set) var size: Int
  private let mappedByteCount: Int
  /// Whether the file existed before it was opened, and was empty.
  public let wasEmpty: Bool

  /// At most this much is mapped, however long the file is.
  private static let longest = 1 << 30
  /// Ten milliseconds apart: a process that is ending, or a child between fork and exec, holds its
  /// lock for a moment.
  private static let lockTries = 100

  /// Why there is no mapping.
  public enum Failure: Error, Sendable {
    /// Another process has locked the file, and keeps the lock.
    case locked
    case open(Errno)
    case map(Errno)
  }

  /// Opens or creates `path`, or the target of a link there, locks it, and maps its content. Its
  /// bytes are untrusted: no disk space is allocated before `settle`.
  public init(path given: String, limit: Int, mode: UInt32 = 0o600) throws(Failure) {
    let path = Files.resolved(given)
    let wasThere = (try? FileIdentity(path: path)) != nil
    let opened = unsafe cl_open_regular(path, mode)
    if opened < 0 { throw .open(Errno(-opened)) }
    try self.init(Descriptor(owning: opened), path, wasThere: wasThere, limit: limit)
  }

  /// A file that no folder has, for numbers that end with the process.
  public init(inMemory limit: Int) throws(Failure) {
    let opened = cl_open_memory()
    if opened < 0 { throw .open(Errno(-opened)) }
    try self.init(Descriptor(owning: opened), "", wasThere: false, limit: limit)
  }

  private init(
    _ descriptor: consuming Descriptor, _ path: String, wasThere: Bool, limit: Int
  ) throws(Failure) {
    let opened = descriptor.raw
    var locked = cl_file_lock(opened)
    for _ in 0..<Self.lockTries where locked == -Errno.wouldBlock.rawValue {
      Process.sleep(milliseconds: 10)
      locked = cl_file_lock(opened)
    }
    if locked == -Errno.wouldBlock.rawValue { throw .locked }
    if locked < 0 { throw .open(Errno(-locked)) }
    let size = cl_file_size(opened)
    if size < 0 { throw .open(Errno(Int32(-size))) }
    // A copy-on-write file system needs new space even for existing bytes: SIGBUS on a full disk.
    if size == 0 { cl_file_overwrite_in_place(opened) }
    let byteCount = Int(min(size, Int64(Self.longest)))
    let mappedByteCount = max(limit, byteCount)
    guard let base = unsafe cl_map_shared(opened, UInt64(mappedByteCount)) else {
      throw .map(Errno(cl_last_error()))
    }
    self.path = path
    self.descriptor = descriptor
    unsafe self.base = base
    self.limit = limit
    self.mappedByteCount = mappedByteCount
    self.size = byteCount
    wasEmpty = wasThere && byteCount == 0
  }

  deinit { _ = unsafe cl_unmap(base, UInt64(mappedByteCount)) }

  /// Call it once the bytes are trusted: it allocates disk space for all bytes up to
  /// `usedByteCount` or the limit, since a copied file may have holes, for which the disk may have
  /// no room later.
  public mutating func settle(usedByteCount: Int) {
    size = min(size, max(limit, usedByteCount))
    _ = cl_file_allocate(descriptor.raw, 0, Int64(size))
  }

  /// Writes everything stored so far to the disk before it returns.
  public borrowing func sync() throws(Errno) {
    _ = try SystemCall.check(cl_file_sync(descriptor.raw))
  }

  /// The text for standard error if the file is truncated while it is in use; for at most two
  /// files, each with its own `index`.
  public borrowing func sayWhenCut(_ index: Int, _ line: String) {
    unsafe cl_file_cut_line(Int32(index), base, UInt64(mappedByteCount), line)
  }

  /// Makes the file at least `newSize` bytes long; the new bytes are zero.
  /// - Throws: `ENOSPC` when the disk is full, `ENOMEM` beyond `limit`; the file stays as it is.
  public mutating func grow(to newSize: Int) throws(Errno) {
    guard newSize > size else { return }
    if newSize > limit { throw .outOfMemory }
    _ = try SystemCall.check(
      cl_file_allocate(descriptor.raw, Int64(size), Int64(newSize - size)))
    size = newSize
  }

  // MARK: When the file is removed

  /// Whether `path` still names this file. What is stored into a removed file is lost when the
  /// process ends.
  public var isThere: Bool {
    guard let named = try? FileIdentity(path: path) else { return false }
    return named == (try? FileIdentity(descriptor.raw))
  }

  /// If this file was removed, creates a new one from memory and continues with that.
  /// - Throws: `EEXIST` if another file is there, `ENOSPC` …; nothing has changed then.
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
    // The same bytes at the same address: readers and writers do not notice.
    _ = try unsafe SystemCall.check(cl_map_instead(base, UInt64(mappedByteCount), copy.raw))
    descriptor = copy
  }
}
