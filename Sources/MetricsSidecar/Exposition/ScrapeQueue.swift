import SidecarHTTP
import SidecarPlatform

/// What a scrape asks for. Scrapes that ask for the same can share a page.
struct ScrapeKind: Equatable {
  var shape: ExpositionShape
  var filter: NameFilter
  var isGzip: Bool
  /// Pushed groups as JSON are asked for instead of a page.
  var isGroups = false
}

/// One page on its way: its snapshot is taken, some bytes of it are written each turn.
final class ScrapeJob {
  let kind: ScrapeKind
  /// Who gets it.
  var tickets: [Ticket]
  let startedAt: UInt64
  /// The number of the last event on the page; see `Linger`.
  var mark: UInt64 = 0
  let body = ResponseBody()
  /// One of these writes it.
  private let writer: ExpositionWriter?
  private let groups: GroupsJSON?
  /// What is written is compressed at once, so that the whole page is never in memory.
  private var gzip: Gzip?
  private var plain = ByteBuffer(capacity: 16)
  private var piece = ByteBuffer(capacity: pieceByteCount + 16_384)

  /// Of one turn: about a tenth of a millisecond. JSON takes longer, and gets half.
  static let sliceByteCount = 64 << 10
  /// Of one piece of the body: large enough that the allocator maps it, and so gives it back.
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

  /// Writes one slice. Whether the page is complete.
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
    // The page goes on, so the next piece will be filled too.
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

/// The page being written and the scrapes that wait for the next one.
///
/// What must stay true: a scrape gets a page whose snapshot was taken after it came, so those that
/// come while a page is written wait for one of their own; they share it where they ask for the same.
struct ScrapeQueue {
  var current: ScrapeJob?
  /// Those that the next page is for, while what it has to see is still being read.
  var next: (kind: ScrapeKind, tickets: [Ticket])?
  private var waiting: [(ticket: Ticket, kind: ScrapeKind)] = []

  var isIdle: Bool { current == nil && next == nil && waiting.isEmpty }

  mutating func wait(_ ticket: Ticket, _ kind: ScrapeKind) { waiting.append((ticket, kind)) }

  /// The scrapes that the next page is for: the first that waits, and all that ask for the same.
  mutating func takeNext() -> (kind: ScrapeKind, tickets: [Ticket])? {
    guard let kind = waiting.first?.kind else { return nil }
    let tickets = waiting.filter { $0.kind == kind }.map { $0.ticket }
    waiting.removeAll { $0.kind == kind }
    return (kind, tickets)
  }
}
