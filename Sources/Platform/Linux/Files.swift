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

  /// Creates a file that does not exist yet (else `EEXIST`), with these permissions minus the
  /// process's umask.
  public static func write(_ bytes: RawSpan, toNew path: String, mode: UInt32) throws(Errno) {
    let file = unsafe Descriptor(owning: try SystemCall.check(cl_open(path, 1 | 4, mode)))
    var done = 0
    while done < bytes.byteCount {
      let rest = bytes.extracting(done..<bytes.byteCount)
      let count = unsafe rest.withUnsafeBytes { memory in
        unsafe cl_write(file.raw, memory.baseAddress, memory.count)
      }
      if count <= 0 { throw Errno(Int32(-count)) }
      done += Int(count)
    }
  }

  /// The file that a link at `path` leads to, through further links; `path` itself if it is not a
  /// link or the links form a cycle.
  public static func resolved(_ path: String) -> String {
    var found = path
    for _ in 0..<40 {
      var target = [CChar](repeating: 0, count: 4096)
      let count = unsafe target.withUnsafeMutableBufferPointer {
        unsafe cl_read_link(found, $0.baseAddress, $0.count - 1)
      }
      if count <= 0 { return found }
      let text = String(
        decoding: target[..<Int(count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      let isWhole = text.utf8.first == UInt8(ascii: "/")
      found = isWhole ? text : (parent(of: found) ?? ".") + "/" + text
    }
    return path
  }

  /// How many names in the folder of `prefix` begin with its last part, and the first or the last
  /// of their paths.
  public static func paths(
    beginning prefix: String, isGreatest: Bool = false
  ) -> (count: Int, path: String) {
    let folder = parent(of: prefix) ?? "."
    let bytes = Array(prefix.utf8)
    let start = bytes.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
    var name = [CChar](repeating: 0, count: 256)
    let count = unsafe name.withUnsafeMutableBufferPointer {
      unsafe cl_count_names(
        folder, String(decoding: bytes[start...], as: UTF8.self), isGreatest ? 1 : 0,
        $0.baseAddress, $0.count)
    }
    let text = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let path = String(decoding: bytes[..<start] + text, as: UTF8.self)
    return (max(0, Int(count)), path)
  }

  /// The same, but throws `EEXIST` if `target` exists.
  public static func rename(_ source: String, toNew target: String) throws(Errno) {
    do throws(Errno) {
      _ = try unsafe SystemCall.check(cl_rename_new(source, target))
    } catch {
      // Not every kernel and file system can do it in one step.
      guard error == .invalid || error == .notImplemented else { throw error }
      if (try? FileIdentity(path: target)) != nil { throw .exists }
      try rename(source, to: target)
    }
  }

  /// Replaces `target` by `source`, in one step.
  public static func rename(_ source: String, to target: String) throws(Errno) {
    _ = try unsafe SystemCall.check(cl_rename(source, target))
  }

  /// Removes a file; a missing one is fine.
  public static func remove(_ path: String) { _ = unsafe cl_unlink(path) }

  /// Creates a folder and its parents; an existing one is fine.
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

  /// Whether files can be created in `path`.
  public static func isWritableFolder(_ path: String) -> Bool {
    unsafe cl_is_writable_directory(path) != 0
  }

  /// The folder that holds `path`: `/run/metrics` for `/run/metrics/events.sock`; `nil` for a bare
  /// name.
  public static func parent(of path: String) -> String? {
    let bytes = Array(path.utf8)
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return nil }
    if slash == 0 { return bytes.count > 1 ? "/" : nil }
    return String(decoding: bytes[..<slash], as: UTF8.self)
  }
}
