import SidecarHTTP
import SidecarPlatform

/// What rows of `OwnMetric.table` tell of the sidecar as a whole.
struct SelfMetrics {
  var memory: MemoryBound?
  var connections = 0
  var scrapeSeconds = 0.0
  var supervision: (restarts: UInt64, recovered: UInt64, lost: UInt64)?
  var stateResets: UInt64 = 0
  var reloads = Reloads()
  var openFileLimit = 0
  /// HTTP connections open now, and those that were closed at a limit.
  var http = (count: 0, closed: ClosedConnections())
  var otlp = OTLPCounts()
  /// Requests that a browser sent for a page that has no right to them.
  var foreignOriginCount: UInt64 = 0
  var unknownHostCount: UInt64 = 0
  /// What clients hold of `--max-client-memory`.
  var clientMemoryByteCount = 0
  /// The sockets that there are; the others have no lines.
  var isOpen = [Bool](repeating: false, count: IntakeCounts.Source.allCases.count)
  /// Datagrams that the kernel threw away because the UDP socket's buffer was full.
  var udpDropCount: Int64 = 0
  let startSeconds = Double(Clock.unixNanoseconds) / 1e9
}
