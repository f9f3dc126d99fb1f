import CSidecarLinux

/// What a program knows about its own process.
public enum Process {
  /// The arguments after the program's name.
  public static var arguments: [String] {
    var list: [String] = []
    var index: Int32 = 1
    while index < cl_argument_count(), let text = unsafe cl_argument(index) {
      unsafe list.append(String(cString: text))
      index += 1
    }
    return list
  }

  /// The value of a variable, `nil` if it is not set.
  public static func environment(_ name: String) -> String? {
    guard let text = unsafe cl_environment(name) else { return nil }
    return unsafe String(cString: text)
  }

  /// The names of all variables that begin with `prefix`, without it.
  public static func environment(behind prefix: String) -> [String] {
    var list: [String] = []
    var index: Int32 = 0
    var length: Int32 = 0
    while let name = unsafe cl_environment_behind(prefix, &index, &length) {
      let bytes = unsafe UnsafeRawBufferPointer(start: name, count: Int(length))
      unsafe list.append(String(decoding: bytes, as: UTF8.self))
    }
    return list
  }

  /// The number of this process.
  public static var id: Int { Int(cl_process_id()) }

  /// The processors that this process may run on.
  public static var processorCount: Int { Int(cl_processor_count()) }

  /// The most descriptors it may have open; raises the soft limit to the hard one.
  public static var openFileLimit: Int { Int(clamping: cl_open_file_limit()) }

  /// Bytes of a page of memory.
  public static var pageSize: Int { Int(cl_page_size()) }

  /// User and system time of all threads.
  public static var cpuNanoseconds: UInt64 { cl_process_cpu_nanoseconds() }

  /// The lowest memory limit of this process's control groups, cgroup v2 or v1, in bytes; 0 for no
  /// limit.
  public static var memoryLimit: Int64 { cl_memory_limit() }

  /// Open descriptors: all of `limit` if none is left to look with, 0 if /proc is not mounted.
  public static func openFileCount(limit: Int) -> Int {
    let count = cl_count_open_files()
    return Errno(-count) == .tooManyFiles ? limit : max(0, Int(count))
  }

  /// Fills `bytes` with random bytes from the kernel.
  private static func fillRandom(_ bytes: inout [UInt8]) throws(Errno) {
    let result = unsafe bytes.withUnsafeMutableBytes { memory in
      unsafe cl_random(memory.baseAddress, memory.count)
    }
    if result < 0 { throw Errno(-result) }
  }

  /// 128 random bits: an identity that no other process will draw.
  public static func randomIdentity() throws(Errno) -> (UInt64, UInt64) {
    var bytes = [UInt8](repeating: 0, count: 16)
    try fillRandom(&bytes)
    var halves: (UInt64, UInt64) = (0, 0)
    for index in 0..<8 {
      halves.0 = halves.0 << 8 | UInt64(bytes[index])
      halves.1 = halves.1 << 8 | UInt64(bytes[index + 8])
    }
    return halves
  }

  /// Identifies the current boot of the machine.
  public static var bootIdentity: BootIdentity {
    var text = ByteBuffer(capacity: 64)
    do throws(Errno) {
      try Files.read("/proc/sys/kernel/random/boot_id", limit: 64, into: &text)
    } catch { return .unknown }
    var halves: (UInt64, UInt64) = (0, 0)
    var count = 0
    for byte in text.array {
      guard let digit = byte.hexDigit else { continue }
      if count < 16 {
        halves.0 = halves.0 << 4 | UInt64(digit)
      } else {
        halves.1 = halves.1 << 4 | UInt64(digit)
      }
      count += 1
    }
    return count == 32 ? BootIdentity(high: halves.0, low: halves.1) : .unknown
  }

  /// Ends the process at once.
  public static func exit(_ code: ExitCode) -> Never { cl_exit(code.rawValue) }

  /// Ends the process with another process's exit code.
  public static func exit(rawCode: Int32) -> Never { cl_exit(rawCode) }

  /// Sleeps; a signal may end the sleep early.
  public static func sleep(milliseconds: Int) { _ = cl_sleep_milliseconds(Int64(milliseconds)) }

  /// The command `sleep SECONDS` of both programs, 0 to 3600.
  public static func sleep(seconds text: String) throws(Options.Mistake) {
    guard let seconds = Int(text), (0...3600).contains(seconds) else {
      throw Options.Mistake(
        joined("sleep takes a whole number of seconds from 0 to 3600, not '", text, "'"))
    }
    sleep(milliseconds: seconds * 1000)
  }

  /// Writes to standard output (1) or standard error (2), whole unless that is closed.
  public static func write(_ text: String, to descriptor: Int32 = 1) {
    var buffer = ByteBuffer(capacity: text.utf8.count)
    buffer.append(text)
    write(buffer.bytes, to: descriptor)
  }

  /// The same for bytes.
  public static func write(_ bytes: RawSpan, to descriptor: Int32 = 1) {
    var done = 0
    while done < bytes.byteCount {
      let rest = bytes.extracting(done..<bytes.byteCount)
      let result = unsafe rest.withUnsafeBytes { memory in
        unsafe cl_write(descriptor, memory.baseAddress, memory.count)
      }
      if result <= 0 { return }
      done += Int(result)
    }
  }
}

/// The 128 random bits that the kernel draws at each boot, or `unknown`: 0.
public struct BootIdentity: Equatable, Sendable {
  /// The first 16 digits of its text, then the last 16.
  public let high, low: UInt64

  /// Any.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// For a kernel that does not say.
  public static var unknown: BootIdentity { BootIdentity(high: 0, low: 0) }
}

/// Exit codes by name.
public enum ExitCode: Int32, Sendable {
  case success = 0
  /// Something outside was in the way: an address in use, a path that is not writable.
  case failure = 1
  /// The command line was wrong.
  case usage = 2
  /// Done, except for what standard error reports.
  case incomplete = 3
}
