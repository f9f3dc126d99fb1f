/// Every bound of the HTTP server, with the answer to a request beyond it.
public struct HTTPLimits: Sendable {
  /// The longest request line in bytes: 414 beyond.
  public var requestLineByteCount = 8192
  /// All header fields together in bytes: 431 beyond.
  public var headerByteCount = 16_384
  /// Header fields: 431 beyond.
  public var headerCount = 100
  /// The longest body in bytes, decoded: 413 beyond.
  public var bodyByteCount = 1 << 20
  /// Connections at once; beyond, the one idle or with an unfinished request for longest makes
  /// room, or one that reads nothing of its answer; else only probes are answered, in the places
  /// below.
  public var connections = 10_000
  /// Places beyond `connections` for probes, see `Responder.isProbe`; for two seconds each.
  public var probeConnections = 4
  /// The time for requests in one turn of the loop, in nanoseconds, or for one request if that
  /// takes longer: then the loop's other work has its turn.
  public var turnNanoseconds: UInt64 = 2_000_000
  /// The time for requests of one connection in one turn, likewise: then other connections have
  /// theirs.
  public var visitNanoseconds: UInt64 = 250_000
  /// From a request's first byte to the end of its head: 408 beyond.
  public var headMilliseconds: UInt64 = 10_000
  /// From there to the end of its body: 408 beyond.
  public var bodyMilliseconds: UInt64 = 30_000
  /// Between requests: closed beyond.
  public var idleMilliseconds: UInt64 = 75_000
  /// The same for connections that `Server.take` was given.
  public var takenIdleMilliseconds: UInt64 = 300_000
  /// Without the peer reading any of the answer: closed beyond.
  public var writeMilliseconds: UInt64 = 30_000
  /// Bodies of later answers that clients have not read yet, in bytes over all of them, or twice
  /// the newest one's size if that is more. Beyond this, the clients idle longest are closed first.
  /// Part of `ClientMemory`, whose limit may be lower.
  public var unsentBodyByteCount = 64 << 20
  /// From `stop` to the end, for requests in flight.
  public var stopMilliseconds: UInt64 = 10_000

  /// The defaults above.
  public init() {}
}
