import SidecarPlatform

/// Tells which connection waits for an answer. One whose client has gone is of no use any more, and
/// harmless.
public struct Ticket: Equatable, Sendable {
  let slot: Int
  let generation: UInt32
  /// The responder's own; the server does not look at it.
  public var note: UInt64 = 0
}

/// A body in pieces, sent as they are, so that a large one is never copied. It may be the answer to
/// several requests at once; it does not change once it is.
public final class ResponseBody {
  /// Holds a buffer where an array can have it.
  final class Piece {
    var bytes: ByteBuffer
    init(_ bytes: consuming ByteBuffer) { self.bytes = bytes }

    func send(from offset: Int, atMost limit: Int, to socket: borrowing Descriptor) -> IOResult {
      Self.send(bytes, offset, limit, socket)
    }

    private static func send(
      _ bytes: borrowing ByteBuffer, _ offset: Int, _ limit: Int, _ socket: borrowing Descriptor
    ) -> IOResult {
      socket.send(bytes.bytes.extracting(offset..<min(bytes.count, offset + limit)))
    }
  }

  private(set) var pieces: [Piece] = []
  /// Pieces at the front that nobody needs any more.
  private(set) var droppedCount = 0
  /// Of all pieces together.
  public private(set) var byteCount = 0
  /// Of those that are still there.
  private(set) var heldByteCount = 0
  /// In the order in which bodies were given to answers; 0 before that.
  var number = 0
  /// Clients that it is being sent to.
  var readerCount = 0
  /// What is charged for it, once for all its readers.
  var chargedByteCount = 0

  /// An empty body.
  public init() {}

  /// Takes `bytes` over as the last piece. Not once the body is being sent.
  public func append(_ bytes: consuming ByteBuffer) {
    guard !bytes.isEmpty else { return }
    byteCount += bytes.count
    heldByteCount += bytes.count
    pieces.append(Piece(bytes))
  }

  /// Replaces one byte of what is there. Not once the body is being sent.
  public func replace(at offset: Int, with byte: UInt8) {
    var end = byteCount
    for piece in pieces.reversed() {
      end -= piece.bytes.count
      if offset >= end { return piece.bytes.replace(at: offset - end, with: byte) }
    }
  }

  /// Whether pieces are left.
  public var isEmpty: Bool { droppedCount == pieces.count }

  /// Has `body` read the first piece that is left, and gives its memory back.
  public func takeFirst(_ body: (borrowing ByteBuffer) -> Void) {
    body(pieces[droppedCount].bytes)
    drop(upTo: droppedCount + 1)
  }

  /// Gives the memory of the pieces before `index` back.
  func drop(upTo index: Int) {
    while droppedCount < index {
      heldByteCount -= pieces[droppedCount].bytes.count
      pieces[droppedCount].bytes = ByteBuffer(capacity: 0)
      droppedCount += 1
    }
  }
}

extension ResponseBody {
  /// For a small body that is answered at once.
  public func copy(to buffer: inout ByteBuffer) {
    for piece in pieces { Self.copy(piece.bytes, to: &buffer) }
  }

  private static func copy(_ bytes: borrowing ByteBuffer, to buffer: inout ByteBuffer) {
    buffer.append(bytes.bytes)
  }
}

/// What stands before the body of an answer that comes later.
public struct PostponedHead {
  var status: Int
  var contentType: [UInt8]
  var extraFields: [UInt8]

  /// `extraFields` are whole lines, each with its CRLF.
  public init(status: Int, contentType: [UInt8], extraFields: [UInt8] = []) {
    self.status = status
    self.contentType = contentType
    self.extraFields = extraFields
  }
}

/// How far a body has been sent to one client.
///
/// What must stay true: the last one who sends a body gives its pieces back as they are sent. All at
/// once at the end would be a turn of their own for a large one.
struct SendingBody {
  private(set) var body: ResponseBody
  private var piece = 0
  private var offset = 0

  init(_ body: ResponseBody) { self.body = body }

  var isSent: Bool { piece == body.pieces.count }

  /// Sends until the kernel takes no more, or `limit` bytes in one turn, so that one client with a
  /// large buffer does not hold up the others. How many bytes; `nil` if it cannot be sent any more.
  mutating func send(to socket: borrowing Descriptor, limit: Int) -> Int? {
    var rest = limit
    while !isSent, rest > 0 {
      switch body.pieces[piece].send(from: offset, atMost: rest, to: socket) {
      case .bytes(let count):
        offset += count
        rest -= count
        if offset == body.pieces[piece].bytes.count {
          piece += 1
          offset = 0
          if isKnownUniquelyReferenced(&body) { body.drop(upTo: piece) }
        }
      case .wouldBlock: return limit - rest
      case .closed, .failed: return nil
      }
    }
    return limit - rest
  }
}
