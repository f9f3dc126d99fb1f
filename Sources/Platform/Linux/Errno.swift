import CLinux

/// An error number of the kernel, with its name and words for people.
public struct Errno: Error, Equatable, Sendable {
  public let rawValue: Int32

  @inlinable
  public init(_ rawValue: Int32) { self.rawValue = rawValue }

  public static let notPermitted = Errno(1)
  public static let noSuchFile = Errno(2)
  public static let wouldBlock = Errno(11)
  public static let outOfMemory = Errno(12)
  public static let permissionDenied = Errno(13)
  public static let exists = Errno(17)
  public static let notDirectory = Errno(20)
  public static let isDirectory = Errno(21)
  public static let invalid = Errno(22)
  public static let tooManyFiles = Errno(24)
  public static let tooManyFilesInSystem = Errno(23)
  public static let noSpace = Errno(28)
  public static let readOnlyFileSystem = Errno(30)
  public static let brokenPipe = Errno(32)
  public static let nameTooLong = Errno(36)
  public static let addressInUse = Errno(98)
  public static let addressNotAvailable = Errno(99)
  public static let connectionReset = Errno(104)
  public static let timedOut = Errno(110)
  public static let connectionRefused = Errno(111)

  /// For example `ENOSPC`.
  public var name: String { unsafe String(cString: cl_error_name(rawValue)) }

  /// For example `No space left on device`.
  public var description: String { unsafe String(cString: cl_error_text(rawValue)) }
}
