import CSidecarLinux

/// Wakes a thread that sleeps in `wait`, from any other. A call before the sleep ends it, too.
public final class Wake: Sendable {
  /// Valid as long as this object lives.
  private let raw: Int32

  /// What ended a sleep.
  public struct Cause: Sendable {
    /// A call of `callAsFunction`.
    public let isCalled: Bool
    /// The events that the descriptor is ready for.
    public let interest: Poller.Interest
  }

  /// The corresponding C function is `eventfd`.
  public init() throws(Errno) { raw = try SystemCall.check(cl_wake_create()) }

  deinit { _ = cl_close(raw) }

  /// Ends the sleep.
  public func callAsFunction() { cl_wake(raw) }

  /// Sleeps until a call, the end of the time, or until `descriptor` (-1 for none) has hung up or,
  /// on request, accepts bytes. `timeoutMilliseconds` -1 waits without end.
  public func wait(
    watching descriptor: Int32, wantsWritable: Bool, timeoutMilliseconds: Int32
  ) -> Cause {
    let bits = UInt32(
      bitPattern: cl_wake_wait(raw, descriptor, wantsWritable ? 1 : 0, timeoutMilliseconds))
    return Cause(isCalled: bits & 1 != 0, interest: Poller.Interest(rawValue: bits >> 1))
  }
}
