import CSidecarLinux

/// An error number of the kernel, with its name and a description.
public struct Errno: Error, Equatable, Sendable {
  /// The number, positive.
  public let rawValue: Int32

  /// Any number; all supported platforms of Linux have the same ones.
  @inlinable
  public init(_ rawValue: Int32) { self.rawValue = rawValue }

  /// `EPERM`
  public static let notPermitted = Errno(1)
  /// `ENOENT`
  public static let noSuchFile = Errno(2)
  /// `EAGAIN`
  public static let wouldBlock = Errno(11)
  /// `ENOMEM`
  public static let outOfMemory = Errno(12)
  /// `EACCES`
  public static let permissionDenied = Errno(13)
  /// `EEXIST`
  public static let exists = Errno(17)
  /// `ENOTDIR`
  public static let notDirectory = Errno(20)
  /// `EISDIR`
  public static let isDirectory = Errno(21)
  /// `EINVAL`
  public static let invalid = Errno(22)
  /// `EMFILE`
  public static let tooManyFiles = Errno(24)
  /// `ENFILE`
  public static let tooManyFilesInSystem = Errno(23)
  /// `EFBIG`
  public static let fileTooLarge = Errno(27)
  /// `ENOSPC`
  public static let noSpace = Errno(28)
  /// `EROFS`
  public static let readOnlyFileSystem = Errno(30)
  /// `EPIPE`
  public static let brokenPipe = Errno(32)
  /// `ENOSYS`
  public static let notImplemented = Errno(38)
  /// `ENAMETOOLONG`
  public static let nameTooLong = Errno(36)
  /// `EADDRINUSE`
  public static let addressInUse = Errno(98)
  /// `EADDRNOTAVAIL`
  public static let addressNotAvailable = Errno(99)
  /// `ECONNRESET`
  public static let connectionReset = Errno(104)
  /// `ENOBUFS`
  public static let noBuffers = Errno(105)
  /// `ETIMEDOUT`
  public static let timedOut = Errno(110)
  /// `ECONNREFUSED`
  public static let connectionRefused = Errno(111)

  /// Whether the process or the machine has no free descriptor or memory for now.
  public var isShortage: Bool {
    switch self {
    case .tooManyFiles, .tooManyFilesInSystem, .noBuffers, .outOfMemory: true
    default: false
    }
  }

  /// For example `ENOSPC`.
  public var name: String { unsafe String(cString: cl_error_name(rawValue)) }

  /// For example `No space left on device`.
  public var description: String { unsafe String(cString: cl_error_text(rawValue)) }
}
