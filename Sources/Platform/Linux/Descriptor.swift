import CSidecarLinux

/// Owns a file descriptor and closes it once, when its life ends.
public struct Descriptor: ~Copyable {
  /// The number the kernel knows it by, valid as long as this value lives; -1 once released.
  public private(set) var raw: Int32

  /// Takes over `raw`, which nothing else may close.
  public init(owning raw: Int32) { self.raw = raw }

  deinit { if raw >= 0 { _ = cl_close(raw) } }

  /// Gives the number up without closing it; the caller owns it from here on.
  public consuming func release() -> Int32 {
    let released = raw
    raw = -1
    return released
  }

  /// Reads into the free end of `buffer`, at most `capacity` bytes.
  /// The corresponding C function is `recv`, which does not block.
  public borrowing func receive(into buffer: inout ByteBuffer, capacity: Int) -> IOResult {
    Socket.receive(raw, into: &buffer, capacity: capacity)
  }

  /// Sends what it can of `bytes`. The corresponding C function is `send`, which does not block.
  public borrowing func send(_ bytes: RawSpan) -> IOResult { Socket.send(raw, bytes) }
}
