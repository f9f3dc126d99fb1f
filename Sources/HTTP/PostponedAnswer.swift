import SidecarPlatform

/// Identifies a connection that waits for an answer. After the client has gone, a ticket is useless
/// but harmless.
public struct Ticket: Equatable, Sendable {
  let slot: Int
  let generation: UInt32
  /// The responder's own number; the server ignores it.
  public var note: UInt64 = 0
}

/// A body in pieces, which are sent in place, so that a large one is never copied. It may answer
/// several requests at once; it does not change after that.
public final class ResponseBody {
  /// Holds a buffer so that an array can contain it.
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
  /// Pieces at the front that no client needs any more.
  private(set) var droppedCount = 0
  /// The bytes of all pieces together.
  public private(set) var byteCount = 0
  /// The bytes of the remaining pieces.
  private(set) var heldByteCount = 0
  /// Its number in the order in which bodies were assigned to answers; 0 before that.
  var number = 0
  /// The number of clients that are receiving it.
  var readerCount = 0
  /// The bytes charged for it, once for all its readers.
  var chargedByteCount = 0

  /// An empty body.
  public init() {}

  /// Appends `bytes` as the last piece. Not allowed once the body is being sent.
  public func append(_ bytes: consuming ByteBuffer) {
    guard !bytes.isEmpty else { return }
    byteCount += bytes.count
    heldByteCount += bytes.count
    pieces.append(Piece(bytes))
  }

  /// Replaces one existing byte. Not allowed once the body is being sent.
  public func replace(at offset: Int, with byte: UInt8) {
    var end = byteCount
    for piece in pieces.reversed() {
      end -= piece.bytes.count
      if offset >= end { return piece.bytes.replace(at: offset - end, with: byte) }
    }
  }

  /// Whether pieces are left.
  public var isEmpty: Bool { droppedCount == pieces.count }

  /// Lets `body` read the first remaining piece, and releases its memory.
  public func takeFirst(_ body: (borrowing ByteBuffer) -> Void) {
    body(pieces[droppedCount].bytes)
    drop(upTo: droppedCount + 1)
  }

  /// Releases the memory of the pieces before `index`.
  func drop(upTo index: Int) {
    while droppedCount < index {
      heldByteCount -= pieces[droppedCount].bytes.count
      pieces[droppedCount].bytes = ByteBuffer(capacity: 0)
      droppedCount += 1
    }
  }
}

extension ResponseBody {
  /// For a small body that is sent at once.
  public func copy(to buffer: inout ByteBuffer) {
    for piece in pieces { Self.copy(piece.bytes, to: &buffer) }
  }

  private static func copy(_ bytes: borrowing ByteBuffer, to buffer: inout ByteBuffer) {
    buffer.append(bytes.bytes)
  }
}

/// The head of an answer that comes later.
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
/// What must stay true: the last reader of a body releases its pieces as they are sent. Releasing
/// all of a large one at the end would take a whole turn.
struct SendingBody {
  private(set) var body: ResponseBody
  private var piece = 0
  private var offset = 0

  init(_ body: ResponseBody) { self.body = body }

  var isSent: Bool { piece == body.pieces.count }

  /// Sends until the kernel accepts no more, or `limit` bytes in one turn, so that one client with
  /// a large buffer does not hold up the others. Returns how many bytes; `nil` if the connection is
  /// broken.
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
