import CSidecarLinux

/// Owns a file descriptor and closes it once, when its life ends.
public struct Descriptor: ~Copyable {
  /// The kernel's number for it, valid as long as this value lives; -1 once released.
  public private(set) var raw: Int32

  /// Takes ownership of `raw`, which nothing else may close.
  public init(owning raw: Int32) { self.raw = raw }

  deinit { if raw >= 0 { _ = cl_close(raw) } }

  /// Gives the number up without closing it; the caller owns it from here on.
  public consuming func release() -> Int32 {
    let released = raw
    raw = -1
    return released
  }

  /// Reads at most `capacity` bytes and appends them to `buffer`. The corresponding C function is
  /// `recv`, which does not block.
  public borrowing func receive(into buffer: inout ByteBuffer, capacity: Int) -> IOResult {
    Socket.receive(raw, into: &buffer, capacity: capacity)
  }

  /// Sends what it can of `bytes`. The corresponding C function is `send`, which does not block.
  public borrowing func send(_ bytes: RawSpan) -> IOResult { Socket.send(raw, bytes) }
}
