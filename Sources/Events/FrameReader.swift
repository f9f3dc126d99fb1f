internal import SidecarPlatform

/// Finds frames in bytes as they arrive, or whole lines if the connection speaks plain text.
///
/// What must stay true: the first four bytes decide which of the two it is, once and for all. A
/// frame's length cannot look like text, since the limit is far below 0x20202020.
package struct FrameReader: Sendable {
  /// What to do next with the received bytes.
  package enum Step: Equatable, Sendable {
    /// No complete frame or line is left: read more and call again with the same bytes and the new
    /// ones.
    case needMore
    /// A frame's content, without its length, ends at `end`, where the next one begins.
    case frame(start: Int, end: Int)
    /// Whole lines up to and including the last line end.
    case lines(start: Int, end: Int)
    /// Skip up to `end`: the rest of a line that was too long.
    case skip(end: Int)
    /// A frame beyond the limit: the connection must end.
    case tooLong
    /// Plain text that begins with an HTTP request: nothing in it is an event.
    case request
  }

  private enum Form { case unknown, framed, plain }

  private var form = Form.unknown
  /// The start of a line that is too long has been handed out; its end has not arrived.
  private var isSkipping = false
  /// Whether the first line of plain text has been checked.
  private var isJudged = false
  private let frameLimit: Int
  private let lineLimit: Int

  /// The limits are in bytes; `frameByteLimit` is at most 256 MiB. With `isPlain` it reads lines
  /// from the first byte on, as in StatsD over TCP.
  package init(
    frameByteLimit: Int = 1 << 20, lineByteLimit: Int = 8192, isPlain: Bool = false
  ) {
    precondition(frameByteLimit <= 1 << 28)
    frameLimit = frameByteLimit
    lineLimit = lineByteLimit
    form = isPlain ? .plain : .unknown
  }

  /// Whether the connection speaks lines; false until that is known.
  package var isPlain: Bool { form == .plain }

  /// What begins at `offset`.
  @inline(__always)
  package mutating func next(_ bytes: RawSpan, from offset: Int) -> Step {
    if form != .framed { return nextOther(bytes, from: offset) }
    let left = bytes.byteCount - offset
    guard left >= Frame.headByteCount else { return .needMore }
    let length = length(bytes, offset)
    guard length <= UInt32(frameLimit) else { return .tooLong }
    let start = offset + Frame.headByteCount
    guard bytes.byteCount - start >= Int(length) else { return .needMore }
    return .frame(start: start, end: start + Int(length))
  }

  @inline(never)
  private mutating func nextOther(_ bytes: RawSpan, from offset: Int) -> Step {
    if form == .unknown {
      guard bytes.byteCount - offset >= Frame.headByteCount else { return .needMore }
      form = Frame.isPlainText(bytes.extracting(offset...)) ? .plain : .framed
      return next(bytes, from: offset)
    }
    if !isJudged, isRequest(bytes, offset) { return .request }
    if isSkipping {
      guard offset < bytes.byteCount else { return .needMore }
      let end = ByteScan.find(0x0a, in: bytes, from: offset, to: bytes.byteCount)
      isSkipping = end == bytes.byteCount
      return .skip(end: min(end + 1, bytes.byteCount))
    }
    var end = bytes.byteCount
    while end > offset, ByteScan.byte(bytes, end - 1) != 0x0a { end -= 1 }
    if end > offset { return .lines(start: offset, end: end) }
    // A line may end in CR LF. A longer line is handed out as far as it has arrived, so that the
    // code that applies lines counts it as too long wherever it was cut.
    guard bytes.byteCount - offset > lineLimit + 1 else { return .needMore }
    isSkipping = true
    return .lines(start: offset, end: bytes.byteCount)
  }

  /// Whether the first line, once it has arrived, is an HTTP request: `POST /jobs:1|c HTTP/1.1`. A
  /// web page can make a visitor's browser send that here, followed by lines of its own. For a line
  /// that is too long, its start decides.
  private mutating func isRequest(_ bytes: RawSpan, _ offset: Int) -> Bool {
    var end = ByteScan.find(0x0a, in: bytes, from: offset, to: bytes.byteCount)
    let isWhole = end < bytes.byteCount
    guard isWhole || end - offset > lineLimit + 1 else { return false }
    isJudged = true
    if end > offset, ByteScan.byte(bytes, end - 1) == 0x0d { end -= 1 }
    var at = offset
    while at < end, ByteScan.byte(bytes, at) &- 65 < 26 { at += 1 }
    guard at > offset, at < end, ByteScan.byte(bytes, at) == UInt8(ascii: " ") else { return false }
    if !isWhole {
      let target = ByteScan.byte(bytes, at + 1)
      return target == UInt8(ascii: "/") || target == UInt8(ascii: "h")
    }
    let version: StaticString = " HTTP/"
    let start = end - version.utf8CodeUnitCount - 3
    guard start > at else { return false }
    let found = bytes.extracting(start..<start + version.utf8CodeUnitCount)
    return found.isEqual(to: version)
  }

  @inline(__always)
  private func length(_ bytes: RawSpan, _ offset: Int) -> UInt32 {
    // Sound: `next` has checked that the four bytes are there.
    unsafe UInt32(
      littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
  }
}
