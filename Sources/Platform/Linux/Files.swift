import CSidecarLinux

/// The few things the programs do with whole files and folders.
public enum Files {
  /// Reads a file whole; more than `limit` bytes are an error (`EFBIG`).
  public static func read(_ path: String, limit: Int, into buffer: inout ByteBuffer) throws(Errno) {
    let file = unsafe Descriptor(owning: try SystemCall.check(cl_open(path, 8, 0)))
    var total = 0
    while true {
      var result: Int64 = 0
      unsafe buffer.appendUnsafe(capacity: 16_384) { memory in
        result = unsafe cl_read(file.raw, memory.baseAddress, memory.count)
        return max(0, Int(result))
      }
      if result < 0 { throw Errno(Int32(-result)) }
      if result == 0 { return }
      total += Int(result)
      if total > limit { throw .fileTooLarge }
    }
  }

  /// Puts `source` in the place of `target`, in one step.
  public static func rename(_ source: String, to target: String) throws(Errno) {
    _ = try unsafe SystemCall.check(cl_rename(source, target))
  }

  /// Removes a file; one that is not there is fine.
  public static func remove(_ path: String) { _ = unsafe cl_unlink(path) }

  /// Creates a folder and those above it; one that exists is fine.
  public static func makeFolder(_ path: String) throws(Errno) {
    let result = unsafe cl_make_directory(path, 0o770)
    if result == 0 || result == -Errno.exists.rawValue { return }
    guard result == -Errno.noSuchFile.rawValue, let parent = parent(of: path) else {
      throw Errno(-result)
    }
    try makeFolder(parent)
    let again = unsafe cl_make_directory(path, 0o770)
    if again < 0 && again != -Errno.exists.rawValue { throw Errno(-again) }
  }

  /// Whether files can be made in `path`.
  public static func isWritableFolder(_ path: String) -> Bool {
    unsafe cl_is_writable_directory(path) != 0
  }

  /// The folder that holds `path`: `/run/metrics` for `/run/metrics/events.sock`.
  public static func parent(of path: String) -> String? {
    let bytes = Array(path.utf8)
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")), slash > 0 else { return nil }
    return String(decoding: bytes[..<slash], as: UTF8.self)
  }
}
