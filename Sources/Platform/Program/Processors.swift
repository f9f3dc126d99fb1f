import CSidecarLinux

/// The processors that a program can really use: those it may run on, limited by its container's
/// CPU limit.
public enum Processors {
  /// At least 1. A limit of 1.5 processors counts as 2, since one loop cannot use the half.
  public static var count: Int {
    let affinity = max(1, Process.processorCount)
    guard let limit = containerLimit() else { return affinity }
    return max(1, min(affinity, limit))
  }

  /// cgroup v2: `cpu.max` holds `quota period` in microseconds, or `max period` without a limit.
  private static func containerLimit() -> Int? {
    var buffer = ByteBuffer(capacity: 64)
    do throws(Errno) {
      try Files.read("/sys/fs/cgroup/cpu.max", limit: 4096, into: &buffer)
    } catch { return nil }
    return limit(of: buffer.bytes)
  }

  static func limit(of text: RawSpan) -> Int? {
    var numbers = [0, 0]
    var field = 0
    for index in 0..<text.byteCount where field < 2 {
      switch unsafe text.unsafeLoad(fromByteOffset: index, as: UInt8.self) {
      case UInt8(ascii: " "): field += 1
      case UInt8(ascii: "\n"): break
      case let digit where digit >= UInt8(ascii: "0") && digit <= UInt8(ascii: "9"):
        guard numbers[field] < 1_000_000_000 else { return nil }
        numbers[field] = numbers[field] * 10 + Int(digit - UInt8(ascii: "0"))
      default: return nil
      }
    }
    guard numbers[0] > 0, numbers[1] > 0 else { return nil }
    return (numbers[0] + numbers[1] - 1) / numbers[1]
  }
}
