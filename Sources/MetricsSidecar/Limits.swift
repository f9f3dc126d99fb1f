/// Every bound of the sidecar in one place. Each has a flag with this default, a counter of what it
/// refused, and a test.
///
/// What must stay true: the work of a turn and the memory of all clients together are bounded, and
/// a limit is checked before the work that it bounds. At the defaults, anonymous and shared memory
/// add up to less than the chart's 64 MiB:
///
///     24 MiB   clients, over HTTP and the events socket: unfinished requests and frames, answers
///              and expositions that nobody has read yet
///     10 MiB   the exposition being written: a kibibyte a series
///      8 MiB   10,000 series with their labels, the table of known lines, exemplars, sessions
///      6 MiB   a push: its body, that decompressed, what it says
///      4 MiB   datagrams on their way, kept where the next worker finds them
///      3 MiB   a turn's answers, what a read takes, a buffer for the next body, 1,280 connections
///              at rest
///
/// The state file and that of pushed groups are mapped from disk and not included: the kernel
/// writes their pages back when it needs room. On a volume in memory, add their size to the 64 MiB.
struct Limits: Sendable {
  /// Series kept, over all families. Beyond it new ones are refused and known ones continue.
  var series = 10_000
  /// Text of all series' lines and their families' heads, in bytes as `Family.textByteCount` counts
  /// them: so the events' part of an exposition is bounded in each format. Beyond it new series are
  /// refused as beyond `series`; overflow series may exceed it by an eighth. Pushed series count
  /// too: a push that would exceed it is refused, but a pushed series never causes an event to be
  /// refused.
  var expositionByteCount = 10_000 << 10
  /// How long a series outlives its last event, in nanoseconds; 0 is forever.
  var seriesTimeToLive: UInt64 = 0
  /// How long a session outlives its last frame, in nanoseconds; 0 is forever.
  var sessionTimeToLive: UInt64 = 0
  /// Series of one family, without its overflow series.
  var familySeries = Int.max
  /// Families; beyond it events without a rule create none.
  var families = 5_000
  /// Frames of the events socket, in bytes.
  var frameByteCount = 1 << 20
  /// The table of known lines, in bytes: 4 MiB for 10,000 series, two lines of 170 bytes each, and
  /// 140 bytes for each stream of OTLP. A line that does not fit is resolved by the rules each
  /// time, some ten times the work, and counts all the same.
  var knownLineByteCount: Int {
    max(4 << 20, 400 * series + (otlpByteCount == 0 ? 0 : 140 * otlpStreams))
  }
  /// Known lines: two for each series, and one for each stream of OTLP.
  var knownLines: Int { 2 * series + (otlpByteCount == 0 ? 0 : otlpStreams) }
  /// A request of OTLP, in bytes, before and after it is decompressed; 0 if OTLP is off.
  var otlpByteCount = 0
  /// Points of one request: what has none or a word each is no request that a client sends.
  var otlpPoints: Int { otlpByteCount / 64 }
  /// What one request takes beside its body: decompressed, rewritten from JSON, and its points.
  var otlpScratchByteCount: Int { 3 * otlpByteCount }
  /// The part of `clientMemoryByteCount` that is kept for this.
  var reservedByteCount: Int { min(otlpScratchByteCount, clientMemoryByteCount / 2) }
  /// OTLP streams: writers of cumulative series, each with about 200 bytes in the state file.
  /// Beyond this, one that was silent for ten minutes makes room; otherwise points of new ones are
  /// refused.
  var otlpStreams = 40_000
  /// The size of clients' declarations of families, in bytes, with help texts and bounds as
  /// exposed. Beyond it a new one is refused as if there were no room for a family.
  var declarationByteCount: Int { max(4 << 20, 800 * families) }
  /// Datagrams of the statsd socket, in bytes.
  var datagramByteCount = 65_536
  /// One event's line, in bytes.
  var lineByteCount = 8192
  /// Clients connected to the events socket at once. The client that has been silent longest makes
  /// room for a new one, if it has been silent for a while; owners of a gauge and clients with half
  /// a frame go last.
  var connections = 1024
  /// The same for lines over TCP, so that these cannot use up the other clients' places.
  var tcpConnections = 256
  /// Sessions remembered; the session silent longest makes room for a new one.
  var sessions = 4096
  /// Labels of one series.
  var labels = 32
  /// A label's name or a family's name, in bytes.
  var nameByteCount = 256
  /// A label's value, in bytes.
  var labelValueByteCount = 1024
  /// Clients that report one series of a gauge that a rule merges.
  var gaugeClients = 32
  /// Exemplars kept, each the last one of a counter or bucket: about 150 bytes.
  var exemplars = 10_000
  /// The memory for values of earlier scrapes, for the page's plots, in bytes; 0 for none.
  var historyByteCount = 256 << 10
  /// The state file, in bytes of address space; disk space is allocated as needed.
  var stateByteCount = 256 << 20
  /// Damaged state files kept under another name, of each of the two; the oldest makes room.
  var damagedFiles = 3
  /// HTTP connections at once.
  var httpConnections = 256
  /// Readers of expositions that `--linger` remembers. A reader that came only once, or no longer
  /// comes, makes room for a new one; otherwise the sidecar does not wait for the new one.
  var readers: Int { min(httpConnections, 1024) }
  /// The part of the clients' memory for expositions that are not read yet, in bytes; twice the
  /// newest one's size if that is more.
  var unreadPageByteCount = 16 << 20
  /// What all clients together may hold, in bytes: heads, bodies, half frames, unsent answers,
  /// unread expositions. Beyond it the client that has held the most for longest without progress
  /// is closed.
  var clientMemoryByteCount = 24 << 20
}
