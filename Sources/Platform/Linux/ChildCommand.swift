import CSidecarLinux

/// A command that this process runs and waits for, with its own standard streams.
public enum ChildCommand {
  /// Why it did not run.
  public enum Failure: Error, Sendable {
    /// No `--` stands before its words.
    case noDashes
    case notStarted(Errno)
  }

  /// Runs the last `operandCount` words of this process's command line, as they are, and hands on what
  /// signals come until it ends. Its exit code; of one that a signal has killed 128 and the signal's
  /// number, as a shell has it. Orphans that became ours are reaped: it may be process 1. Only for a
  /// program that has started no thread.
  public static func run(operandCount: Int) throws(Failure) -> Int32 {
    let child = cl_child_start(Int32(operandCount))
    if child == 0 { throw .noDashes }
    guard child > 0 else { throw .notStarted(Errno(-child)) }
    return cl_child_wait(child)
  }
}
