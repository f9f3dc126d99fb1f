import Platform

/// The loop of a program: HTTP connections, their listeners, and the program's own descriptors, on
/// one thread. Each worker thread has a server of its own; nothing here is shared.
///
/// Made, configured and run on the same thread.
public final class Server<R: Responder> {
  public let responder: R
  public let limits: HTTPLimits
  /// What happened since the start, for the program's own metrics.
  public private(set) var counts = ServerCounts()

  /// Creates a loop without listeners. Throws if the kernel has no descriptor for it.
  public init(responder: R, limits: HTTPLimits = HTTPLimits()) throws(Errno) {
    self.responder = responder
    self.limits = limits
  }

  /// Serves HTTP on a TCP address, with `SO_REUSEPORT`; port 0 takes a free one.
  /// Returns the port.
  @discardableResult
  public func listen(host: String, port: UInt16) throws(Errno) -> UInt16 { 0 }

  /// Serves HTTP on a listening stream socket, which the server owns from here on.
  public func listen(on listener: consuming Descriptor) throws(Errno) {}

  /// Calls `Responder.ready(token, …)` when the descriptor is ready; level-triggered. `interest`
  /// may be empty: errors and hang-ups are reported all the same. The descriptor stays yours:
  /// `unwatch` it before you close it. A token belongs to one descriptor at a time.
  public func watch(_ raw: Int32, token: UInt32, _ interest: Poller.Interest) throws(Errno) {}

  /// Changes what a watched descriptor is waited for.
  public func rewatch(_ raw: Int32, token: UInt32, _ interest: Poller.Interest) throws(Errno) {}

  public func unwatch(_ raw: Int32) {}

  /// Runs until `stop` has done its work. May be called once.
  public func run() throws(Errno) {}

  /// Ends gracefully: closes the listeners and what is idle, answers what is in flight with
  /// `Connection: close`, and lets `run` return when all are done or after `graceNanoseconds`.
  /// Watched descriptors are served until then. Call it from within a call of the responder.
  public func stop(graceNanoseconds: UInt64) {}

  /// HTTP connections open now.
  public var connectionCount: Int { 0 }
}

/// What a server counted since its start.
public struct ServerCounts: Equatable, Sendable {
  public var accepted: UInt64 = 0
  public var closed: UInt64 = 0
  /// Closed to make room at the limit of connections.
  public var evicted: UInt64 = 0
  /// Closed because they were slow or silent beyond a time limit.
  public var timedOut: UInt64 = 0
  /// Answered by the server itself: malformed, too large, too slow.
  public var refused: UInt64 = 0

  public init() {}
}
