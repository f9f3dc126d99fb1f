import CSidecarLinux

/// SIGTERM, SIGINT and SIGHUP as a readable descriptor, so that they are events of the loop. Create
/// it once, before any thread starts. Level-triggered: every watcher wakes up until one reads it.
public struct Signals: ~Copyable {
  private let descriptor: Descriptor
  /// To be watched for reading.
  public var raw: Int32 { descriptor.raw }

  /// SIGTERM, SIGINT, SIGHUP.
  public enum Signal: Sendable { case terminate, interrupt, hangup }

  /// Takes over the three signals, and turns a broken pipe into an error instead of a signal.
  public init() throws(Errno) {
    _ = cl_ignore_broken_pipes()
    let numbers: [Int32] = [15, 2, 1]
    let raw = unsafe numbers.withUnsafeBufferPointer { list in
      unsafe cl_signal_descriptor(list.baseAddress, Int32(list.count))
    }
    descriptor = Descriptor(owning: try SystemCall.check(raw))
  }

  /// Blocks the three signals until a `Signals` exists; call it first in the program. `false` lets
  /// them through again, if the program does not create one.
  public static func hold(_ isHeld: Bool = true) { cl_hold_signals(isHeld ? 1 : 0) }

  /// Ends the process, with `line` and code 1, if it is still running this many seconds after
  /// SIGTERM or SIGINT; after the first SIGTERM `lingerSeconds` later.
  public static func endWithin(seconds: Int, lingerSeconds: Int, or line: String) {
    unsafe cl_end_within(Int32(seconds), Int32(lingerSeconds), line)
  }

  /// The next signal waiting, if any.
  public borrowing func next() -> Signal? {
    switch cl_signal_read(descriptor.raw) {
    case 15: .terminate
    case 2: .interrupt
    case 1: .hangup
    default: nil
    }
  }
}
