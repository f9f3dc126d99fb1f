import CSidecarLinux

/// A command that this process runs and waits for, with its own standard streams.
public enum ChildCommand {
  /// Why it did not run.
  public enum Failure: Error, Sendable {
    /// There is no `--` before its words.
    case noDashes
    case notStarted(Errno)
  }

  /// Runs the last `operandCount` words of this process's command line unchanged, and forwards
  /// signals until the command ends. Returns its exit code, or 128 plus the signal's number if a
  /// signal killed it, as a shell does. Reaps orphans, since this may be process 1. Only for a
  /// program that has started no thread.
  public static func run(operandCount: Int) throws(Failure) -> Int32 {
    let child = cl_child_start(Int32(operandCount))
    if child == 0 { throw .noDashes }
    guard child > 0 else { throw .notStarted(Errno(-child)) }
    return cl_child_wait(child)
  }
}
