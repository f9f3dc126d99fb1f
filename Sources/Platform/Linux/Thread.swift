import CSidecarLinux

/// A kernel thread that runs one closure.
public struct Thread: ~Copyable {
  private let handle: UInt64

  // A box carries the closure through C's single pointer; the thread takes it over and frees it.
  private final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Starts a thread at `body`.
  /// - Throws: `EAGAIN` if there can be no more.
  public init(_ body: @escaping @Sendable () -> Void) throws(Errno) {
    let box = unsafe Unmanaged.passRetained(Box(body))
    var handle: UInt64 = 0
    let result = unsafe cl_thread_start(
      { pointer in
        // Sound: `pointer` is the box retained above, released exactly here.
        unsafe Unmanaged<Box>.fromOpaque(pointer!).takeRetainedValue().body()
      }, box.toOpaque(), &handle)
    if result < 0 {
      unsafe box.release()
      throw Errno(-result)
    }
    self.handle = handle
  }

  /// Waits until the closure has returned.
  public consuming func join() { _ = cl_thread_join(handle) }

  /// The handle to join it by later, exactly once.
  public consuming func detachHandle() -> UInt64 { handle }

  /// Waits for the thread whose handle was detached.
  public static func join(_ handle: UInt64) { _ = cl_thread_join(handle) }
}
