import SidecarHTTP
import SidecarPlatform

/// What a scrape asks for. Scrapes that ask for the same can share an exposition.
struct ScrapeKind: Equatable {
  var shape: ExpositionShape
  var filter: NameFilter
  var isGzip: Bool
  /// Asks for pushed groups as JSON instead of an exposition.
  var isGroups = false
}

/// One exposition in progress: its snapshot is taken, and each turn writes some bytes of it.
final class ScrapeJob {
  let kind: ScrapeKind
  /// The scrapes that get it.
  var tickets: [Ticket]
  let startedAt: UInt64
  /// The number of the last event in it; see `Linger`.
  var mark: UInt64 = 0
  let body = ResponseBody()
  /// One of these writes it.
  private let writer: ExpositionWriter?
  private let groups: GroupsJSON?
  /// Compresses what is written at once, so that the whole exposition is never in memory.
  private var gzip: Gzip?
  private var plain = ByteBuffer(capacity: 16)
  private var piece = ByteBuffer(capacity: pieceByteCount + 16_384)

  /// Bytes per turn: about a tenth of a millisecond. JSON takes longer, and gets half.
  static let sliceByteCount = 64 << 10
  /// Bytes per piece of the body: large enough that the allocator maps it, and so releases it.
  static let pieceByteCount = 192 << 10

  init(_ kind: ScrapeKind, _ snapshot: Snapshot, startedAt: UInt64) {
    self.kind = kind
    self.startedAt = startedAt
    tickets = []
    gzip = kind.isGzip ? Gzip() : nil
    writer = ExpositionWriter(snapshot, shape: kind.shape, filter: kind.filter)
    groups = nil
  }

  init(_ kind: ScrapeKind, _ groups: GroupsJSON, startedAt: UInt64) {
    self.kind = kind
    self.startedAt = startedAt
    tickets = []
    gzip = nil
    writer = nil
    self.groups = groups
  }

  /// Writes one slice. Returns whether the exposition is complete.
  func writeSlice() -> Bool {
    let isComplete: Bool
    if let writer, kind.isGzip {
      isComplete = writer.write(into: &plain, byteCount: Self.sliceByteCount)
      gzip?.append(plain.bytes, to: &piece)
      plain.removeAll()
      if isComplete { gzip?.finish(&piece) }
    } else {
      isComplete =
        groups?.write(into: &piece, byteCount: Self.sliceByteCount / 2)
        ?? writer?.write(into: &piece, byteCount: Self.sliceByteCount) ?? true
    }
    if isComplete || piece.count >= Self.pieceByteCount { takePiece(isLast: isComplete) }
    return isComplete
  }

  private func takePiece(isLast: Bool) {
    var next = ByteBuffer(capacity: 16)
    swap(&next, &piece)
    body.append(next)
    if isLast { return }
    // The exposition continues, so the next piece will be filled too.
    piece.reserve(Self.pieceByteCount + 16_384)
    piece.touch()
  }

  var head: PostponedHead {
    PostponedHead(status: 200, contentType: contentType, extraFields: fields)
  }

  var contentType: [UInt8] {
    kind.isGroups ? Array("application/json".utf8) : kind.shape.contentType
  }

  var fields: [UInt8] {
    if kind.isGroups { return PushAPI.fields }
    return Array("Vary: Accept, Accept-Encoding\r\n".utf8)
      + (kind.isGzip ? Array("Content-Encoding: gzip\r\n".utf8) : [])
  }
}

/// The exposition being written and the scrapes that wait for the next one.
///
/// What must stay true: the snapshot for a scrape is taken after the scrape arrived, so scrapes
/// that arrive during an exposition wait for the next one; they share it if they ask for the same.
struct ScrapeQueue {
  var current: ScrapeJob?
  /// The scrapes for the next exposition, while the events that it must contain are still being
  /// read.
  var next: (kind: ScrapeKind, tickets: [Ticket])?
  private var waiting: [(ticket: Ticket, kind: ScrapeKind)] = []

  var isIdle: Bool { current == nil && !isWaiting }
  /// Whether scrapes wait for another exposition than the current one.
  var isWaiting: Bool { next != nil || !waiting.isEmpty }

  mutating func wait(_ ticket: Ticket, _ kind: ScrapeKind) { waiting.append((ticket, kind)) }

  /// The scrapes for the next exposition: the first waiting one, and all that ask for the same.
  mutating func takeNext() -> (kind: ScrapeKind, tickets: [Ticket])? {
    guard let kind = waiting.first?.kind else { return nil }
    let tickets = waiting.filter { $0.kind == kind }.map { $0.ticket }
    waiting.removeAll { $0.kind == kind }
    return (kind, tickets)
  }
}
