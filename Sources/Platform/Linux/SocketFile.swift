import CSidecarLinux

/// A Unix socket's file, taken safely: a lock beside it says whether its owner lives, so a stale
/// file is replaced and a live one is never stolen.
public struct SocketFile: ~Copyable {
  /// Where clients connect. Removed with this value, unless another file is there.
  public let path: String
  /// What listens there.
  public private(set) var socket: Descriptor
  private var lock: Descriptor
  private var identity: FileIdentity
  /// Where processes forked later find the sockets that one of them has bound again.
  private var parked: ParkedSockets?
  private let kind: Socket.Kind
  private let mode: UInt32
  private let group: Int64

  /// Why `path` could not be bound.
  public enum Failure: Error, Sendable {
    /// Another process holds the lock, or has bound the path: it is alive and listening there.
    case inUse
    case pathTooLong(byteCount: Int)
    case lock(Errno)
    case bind(Errno)
  }

  /// Binds `path` after taking `path.lock`. The lock file stays: removing it would let two
  /// processes hold locks on two different files of one name.
  ///
  /// A name that begins with @ is abstract: no file, so neither mode nor group, and the kernel
  /// reserves it as long as a process has it open.
  public init(
    path: String, kind: Socket.Kind, mode: UInt32, group: Int64 = -1
  ) throws(Failure) {
    let byteCount = path.utf8.count
    if byteCount > Socket.unixPathLimit { throw .pathTooLong(byteCount: byteCount) }
    let isAbstract = Self.isAbstract(path)
    let lock = isAbstract ? Descriptor(owning: -1) : try Self.lock(path)
    let bound = try Self.bind(path, kind, mode, group)
    identity = isAbstract ? FileIdentity() : try Self.identity(path)
    socket = bound
    self.lock = lock
    self.path = path
    self.kind = kind
    self.mode = mode
    self.group = group
  }

  deinit { if (try? FileIdentity(path: path)) == identity { _ = unsafe cl_unlink(path) } }

  /// Whether it is a name in the kernel alone, `@metrics`, and not a file.
  public static func isAbstract(_ path: String) -> Bool { path.utf8.first == UInt8(ascii: "@") }

  private static func lock(_ path: String) throws(Failure) -> Descriptor {
    let opened = unsafe cl_open(path + ".lock", 1, 0o600)
    if opened < 0 { throw .lock(Errno(-opened)) }
    let lock = Descriptor(owning: opened)
    let locked = cl_file_lock(lock.raw)
    if locked == -Errno.wouldBlock.rawValue { throw .inUse }
    if locked < 0 { throw .lock(Errno(-locked)) }
    return lock
  }

  private static func bind(
    _ path: String, _ kind: Socket.Kind, _ mode: UInt32, _ group: Int64
  ) throws(Failure) -> Descriptor {
    // Keep files that are not ours, such as one that a mistyped path names.
    if !isAbstract(path), unsafe cl_remove_socket(path) == -Errno.addressInUse.rawValue {
      throw .bind(.addressInUse)
    }
    do throws(Errno) {
      return try Socket.listenUnix(path: path, kind: kind, mode: mode, group: group)
    } catch {
      if isAbstract(path), error == .addressInUse { throw .inUse }
      throw .bind(error)
    }
  }

  private static func identity(_ path: String) throws(Failure) -> FileIdentity {
    do throws(Errno) { return try FileIdentity(path: path) } catch { throw .bind(error) }
  }

  // MARK: When the file is removed

  /// Whether clients that connect now reach this socket. While the socket is open, its file's
  /// number is not reused, so another file with the same name has another number.
  public var isBound: Bool {
    Self.isAbstract(path) || (try? FileIdentity(path: path)) == identity
  }

  /// Binds `path` again if its file was removed or replaced by a stale one. Returns the previous
  /// socket: its clients may continue to send.
  public mutating func bindAgain() throws(Failure) -> Descriptor {
    try lockAgain()
    switch unsafe cl_connect_unix(path, kind == .datagram ? 1 : 0) {
    case -Errno.connectionRefused.rawValue, -Errno.noSuchFile.rawValue: break
    case let answer:
      if answer >= 0 { _ = cl_close(answer) }
      if Errno(-answer).isShortage { throw .bind(Errno(-answer)) }
      throw .inUse
    }
    var other = try Self.bind(path, kind, mode, group)
    identity = try Self.identity(path)
    swap(&socket, &other)
    // A stream's connections do not outlive us; what waits in a datagram socket does.
    parked?.park(socket.raw, identity, isOnly: kind == .stream)
    return other
  }

  /// Whatever removes a folder's files removes the lock as well.
  private mutating func lockAgain() throws(Failure) {
    if (try? FileIdentity(path: path + ".lock")) == (try? FileIdentity(lock.raw)) { return }
    lock = try Self.lock(path)
  }

  /// Lets processes forked from now on share what `bindAgain` binds in any of them.
  public mutating func share() throws(Errno) { parked = try ParkedSockets() }

  /// In a forked process: takes over the next socket that its predecessors have bound again, and
  /// returns the previous one; `nil` if there are no more.
  public mutating func takeParked() -> Descriptor? {
    guard let parked, var other = parked.next(&identity) else { return nil }
    try? lockAgain()
    swap(&socket, &other)
    return other
  }
}

/// Identifies a file, whatever its name.
public struct FileIdentity: Equatable, Sendable {
  var device: UInt64 = 0
  var number: UInt64 = 0

  /// The identity of no file.
  init() {}

  /// The identity of the file at `path` itself, not of a link's target.
  public init(path: String) throws(Errno) {
    _ = try unsafe SystemCall.check(cl_file_identity(path, -1, &device, &number))
  }

  /// The identity of an open file.
  public init(_ descriptor: Int32) throws(Errno) {
    _ = try unsafe SystemCall.check(cl_file_identity(nil, descriptor, &device, &number))
  }
}
