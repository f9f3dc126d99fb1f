/// Every bound of the sidecar in one place. Each is a flag with this default, a counter of what it
/// refused, and a test.
struct Limits: Sendable {
  /// Series kept, over all families. Beyond it new ones are refused and known ones go on.
  var series = 10_000
  /// Text of all series' lines and their families' heads, in bytes as `Family.textByteCount` counts
  /// them, and as much of pushed ones: so a page has a bound in each format. Beyond it new series are
  /// refused as beyond `series`; those that take what was refused may go an eighth further.
  var expositionByteCount = 10_000 << 10
  /// How long a series outlives its last event, in nanoseconds; 0 is for ever.
  var seriesTimeToLive: UInt64 = 0
  /// How long a session outlives its last frame, in nanoseconds; 0 is for ever.
  var sessionTimeToLive: UInt64 = 0
  /// Series of one family, without the one that takes what was refused.
  var familySeries = Int.max
  /// Families at which events without a rule make no new one.
  var families = 5_000
  /// Frames of the events socket, in bytes.
  var frameByteCount = 1 << 20
  /// Frames that have not ended, of all clients, as far as each is longer than a read takes, in bytes:
  /// otherwise a thousand clients with half a frame each would take a gigabyte.
  var heldByteCount: Int { max(16 << 20, 4 * frameByteCount) }
  /// Datagrams of the statsd socket, in bytes.
  var datagramByteCount = 65_536
  /// One event's line, in bytes.
  var lineByteCount = 8192
  /// Clients connected to the events socket at once.
  var connections = 1024
  /// Sessions remembered; the one that has been silent longest makes room for a new one.
  var sessions = 4096
  /// Labels of one series.
  var labels = 32
  /// A label's name or a family's name, in bytes.
  var nameByteCount = 256
  /// A label's value, in bytes.
  var labelValueByteCount = 1024
  /// Clients that have a part in one series of a gauge that a rule merges.
  var gaugeClients = 32
  /// Exemplars kept, each the last one of a counter or bucket: about 150 bytes.
  var exemplars = 10_000
  /// The state file, in bytes of address space; disk is taken as it is needed.
  var stateByteCount = 256 << 20
  /// Damaged state files kept under another name, of each of the two; the oldest makes room.
  var damagedFiles = 3
  /// HTTP connections at once.
  var httpConnections = 256
  /// Of the clients' memory, what expositions may have that nobody has read yet, in bytes; two of the
  /// newest one's size if that is more.
  var unreadPageByteCount = 16 << 20
  /// What all clients together may hold, in bytes: heads, bodies, half frames, unsent answers, unread
  /// expositions. Beyond it whoever holds most for longest without progress is closed.
  var clientMemoryByteCount = 24 << 20
}
