import SidecarHTTP
import SidecarPlatform

/// The values in `OwnMetric.table` that concern the sidecar as a whole.
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
  /// Requests that a browser sent for a page without the right to make them.
  var foreignOriginCount: UInt64 = 0
  var unknownHostCount: UInt64 = 0
  /// The part of `--max-client-memory` that clients hold.
  var clientMemoryByteCount = 0
  /// The existing sockets; the others have no lines.
  var isOpen = [Bool](repeating: false, count: IntakeCounts.Source.allCases.count)
  /// Datagrams that the kernel dropped because the UDP socket's buffer was full.
  var udpDropCount: Int64 = 0
  let startSeconds = Double(Clock.unixNanoseconds) / 1e9
}
