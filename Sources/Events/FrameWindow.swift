internal import SidecarPlatform

/// Unacknowledged frames, one after the other as they are sent, each with its number.
///
/// What must stay true: a frame stays until it is acknowledged and the kernel has accepted all of
/// it; a stream with half a frame gets the other half.
struct FrameWindow: ~Copyable {
  private static var capacity: Int { 1024 }
  /// Room for a session's opening, too (`FrameWindow+Opening.swift`).
  static var ringCount: Int { capacity + 64 }

  var bytes = ByteBuffer(capacity: 4096)
  var sizes = [Int32](repeating: 0, count: ringCount)
  private(set) var first = 0
  var count = 0
  /// The number of the first frame here.
  private var firstNumber: UInt64 = 1
  /// Bytes that the current connection has accepted.
  private var sentByteCount = 0

  var isEmpty: Bool { count == 0 }
  var hasRoom: Bool { count < Self.capacity }
  var byteCount: Int { bytes.count }
  var unsent: RawSpan {
    @_lifetime(borrow self)
    get { bytes.bytes.extracting(sentByteCount..<bytes.count) }
  }

  /// Adds the next frame; `body` appends its lines.
  mutating func append(_ body: (inout ByteBuffer) -> Void) {
    precondition(count < Self.ringCount)
    let start = Frame.begin(&bytes)
    bytes.append("_seq|")
    Decimal.append(firstNumber + UInt64(count), to: &bytes)
    body(&bytes)
    Frame.end(start, &bytes)
    sizes[(first + count) % Self.ringCount] = Int32(bytes.count - start)
    count += 1
  }

  /// Adds the next frame with as much of `pending` as fits.
  mutating func append<Source: LineSource>(_ pending: inout Source, limit: Int) {
    append { buffer in pending.drain(into: &buffer, limit: limit) }
  }

  mutating func sent(_ byteCount: Int) { sentByteCount += byteCount }

  /// A new connection has accepted nothing yet.
  mutating func rewind() { sentByteCount = 0 }

  /// Everything up to `number` is applied.
  mutating func acknowledge(_ number: UInt64) {
    while count > 0, firstNumber <= number, Int(sizes[first]) <= sentByteCount {
      let size = Int(sizes[first])
      bytes.removeFirst(size)
      sentByteCount -= size
      first = (first + 1) % Self.ringCount
      firstNumber += 1
      count -= 1
    }
    if count == 0 { bytes.shrink(to: 16_384) }
  }

  /// Numbers the frames from 1 again, for a new session.
  mutating func renumber() {
    var old = ByteBuffer(capacity: 16)
    swap(&old, &bytes)
    let total = count
    let start = first
    count = 0
    first = 0
    firstNumber = 1
    sentByteCount = 0
    var offset = 0
    let oldSizes = sizes
    for index in 0..<total {
      let size = Int(oldSizes[(start + index) % Self.ringCount])
      // After `_seq|<n>`: the newline and the events.
      var at = offset + Frame.headByteCount
      let end = offset + size
      while at < end, unsafe old.bytes[unchecked: at] != 10 { at += 1 }
      let lines = at..<end
      append { buffer in buffer.append(old.bytes.extracting(lines)) }
      offset = end
    }
  }
}
