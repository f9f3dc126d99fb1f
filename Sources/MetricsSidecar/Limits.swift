/// Every bound of the sidecar in one place. Each is a flag with this default, a counter of what it
/// refused, and a test.
///
/// What must stay true: the work of a turn and the memory of all clients together are bounded, and a
/// limit is checked before the work that it bounds. At the defaults anonymous and shared memory come to
/// less than the 64 MiB that the chart gives:
///
///     24 MiB   clients, over HTTP and the events socket: unfinished requests and frames, answers
///              and expositions that nobody has read yet
///     10 MiB   the exposition being written: a kibibyte a series
///      8 MiB   10,000 series with their labels, the table of known lines, exemplars, sessions
///      6 MiB   a push: its body, that decompressed, what it says
///      4 MiB   datagrams on their way, kept where the next worker finds them
///      3 MiB   a turn's answers, what a read takes, 1,280 connections at rest
///
/// The state file and that of pushed groups are mapped from disk and not part of it: the kernel writes
/// their pages back when it needs room. In a volume of memory they are, so such a volume has its size
/// beside the 64 MiB.
struct Limits: Sendable {
  /// Series kept, over all families. Beyond it new ones are refused and known ones go on.
  var series = 10_000
  /// Text of all series' lines and their families' heads, in bytes as `Family.textByteCount` counts
  /// them: so what events bring to a page has a bound in each format. Beyond it new series are refused
  /// as beyond `series`; those that take what was refused may go an eighth further. Pushed series count
  /// too: a push that would go beyond is refused, events never are for what was pushed.
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
  /// The table of known lines, in bytes: 4 MiB for 10,000 series, two lines of 170 bytes each. What
  /// does not fit is looked up in the rules each time it comes, some ten times the work, and counts
  /// all the same.
  var knownLineByteCount: Int {
    max(4 << 20, 400 * series) + (otlpByteCount == 0 ? 0 : 220 * otlpStreams)
  }
  /// Known lines: two for each series, and one for each stream of OTLP.
  var knownLines: Int { 2 * series + (otlpByteCount == 0 ? 0 : otlpStreams) }
  /// A request of OTLP, in bytes, before and after it is decompressed; 0 where there is no OTLP.
  var otlpByteCount = 0
  /// Points of one request: what has none or a word each is no request that a client sends.
  var otlpPoints: Int { otlpByteCount / 64 }
  /// OTLP streams: writers of cumulative series, each with about 200 bytes in the state file.
  /// Beyond this, one that was silent for ten minutes makes room; otherwise points of new ones are
  /// refused.
  var otlpStreams = 40_000
  /// What clients' declarations of families take, in bytes, with help texts and bounds as a page has
  /// them. Beyond it a new one is refused as if there were no room for a family.
  var declarationByteCount: Int { max(4 << 20, 800 * families) }
  /// Datagrams of the statsd socket, in bytes.
  var datagramByteCount = 65_536
  /// One event's line, in bytes.
  var lineByteCount = 8192
  /// Clients connected to the events socket at once. The one that was silent longest makes room for a
  /// new one, if it was for a while; those that own a gauge or have half a frame here go last.
  var connections = 1024
  /// The same for lines over TCP, which so cannot take the places of others.
  var tcpConnections = 256
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
  /// What is kept of earlier scrapes for the page's plots, in bytes; 0 for nothing.
  var historyByteCount = 256 << 10
  /// The state file, in bytes of address space; disk is taken as it is needed.
  var stateByteCount = 256 << 20
  /// Damaged state files kept under another name, of each of the two; the oldest makes room.
  var damagedFiles = 3
  /// HTTP connections at once.
  var httpConnections = 256
  /// Readers of expositions that `--linger` knows apart. One that came once makes room for a new one, or
  /// one that comes no more; else the new one is not waited for.
  var readers: Int { min(httpConnections, 1024) }
  /// Of the clients' memory, what expositions may have that nobody has read yet, in bytes; two of the
  /// newest one's size if that is more.
  var unreadPageByteCount = 16 << 20
  /// What all clients together may hold, in bytes: heads, bodies, half frames, unsent answers, unread
  /// expositions. Beyond it whoever holds most for longest without progress is closed.
  var clientMemoryByteCount = 24 << 20
}
