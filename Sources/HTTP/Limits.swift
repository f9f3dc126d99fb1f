/// What a client may ask of the server before it is refused, in bytes, counts and nanoseconds.
///
/// Every limit has an answer of its own, so that a client learns which one it met.
public struct HTTPLimits: Sendable {
  /// Longest request line; a longer one is answered 414 (RFC 9112 §3).
  public var requestLineByteCount = 8 * 1024
  /// Longest head, request line included; a longer one is answered 431 (RFC 6585 §5).
  public var headByteCount = 16 * 1024
  /// Most field lines in a head; more are answered 431.
  public var fieldCount = 100
  /// Longest body, decoded; a longer one is answered 413.
  public var bodyByteCount = 1024 * 1024
  /// Most connections at a time. One more closes the one that has been idle longest, and waits in
  /// the kernel's queue while none is idle.
  public var connectionCount = 4096
  /// Most bytes of answers that one connection may collect in a turn before its further requests
  /// wait, so that a deep pipeline does not hold up the others.
  public var outputByteCountPerTurn = 256 * 1024

  /// From the first byte of a request, or from accepting, to the end of its head: then 408.
  public var headNanoseconds: UInt64 = 10_000_000_000
  /// From the end of a head to the end of its body: then 408.
  public var bodyNanoseconds: UInt64 = 30_000_000_000
  /// Between two requests: then the connection is closed.
  public var idleNanoseconds: UInt64 = 75_000_000_000
  /// How long a client may take nothing of an answer that waits for it.
  public var writeStallNanoseconds: UInt64 = 30_000_000_000
  /// How long a refused client's remaining bytes are read and dropped, so that it gets to see the
  /// answer instead of a reset (RFC 9112 §9.6).
  public var lingerNanoseconds: UInt64 = 2_000_000_000

  public init() {}
}
