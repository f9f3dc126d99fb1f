import SidecarPlatform
import SidecarRules

/// Incoming lines for `metrics-sidecar tail`: each viewer asks a few times a second for new ones,
/// and gets them as text for its terminal.
///
/// What must stay true: without viewers this object does not exist, and a frame or datagram costs
/// one check for it. A viewer keeps `lineLimit` lines between two requests and counts the rest, and
/// comparing names takes a fifth of the time at most, so neither memory nor work grows with a flood
/// that it does not read. A viewer that has not asked for `leaseNanoseconds` is dropped.
final class Tap {
  final class Viewer {
    let id: UInt64
    /// The names it looks at; `nil` for all.
    let name: Pattern?
    let isOfRefusals: Bool
    /// Its terminal's columns; 0 for text without colours.
    var columns = 0
    fileprivate var until: UInt64 = 0
    fileprivate var lines = ByteBuffer(capacity: 4096)
    fileprivate var count = 0
    fileprivate var leftOut: UInt64 = 0
    /// Reasons whose meaning it has already shown.
    fileprivate var told: [StaticString] = []

    init(id: UInt64, name: Pattern?, isOfRefusals: Bool) {
      self.id = id
      self.name = name
      self.isOfRefusals = isOfRefusals
    }
  }

  static let viewerLimit = 8
  static let lineLimit = 250
  private static let leaseNanoseconds: UInt64 = 5_000_000_000

  private(set) var viewers: [Viewer] = []
  private let refusals: Refusals
  /// The steps that names may be compared for, and since when this is so. A step takes up to 5 ns.
  private var credit = creditLimit
  private var creditedAt: UInt64 = 0

  private static let creditLimit = 1_000_000
  private static let creditNanoseconds: UInt64 = 25
  /// Of a comparison, beside those of the pattern.
  private static let comparisonSteps = 64

  init(_ refusals: Refusals) { self.refusals = refusals }

  /// Whether a viewer is left: reads the clock once per frame.
  func isWatched(now: UInt64) -> Bool {
    let more = (now &- min(now, creditedAt)) / Self.creditNanoseconds
    credit = min(Self.creditLimit, credit + Int(min(more, UInt64(Self.creditLimit))))
    creditedAt = now
    while let index = viewers.firstIndex(where: { $0.until < now }) { viewers.remove(at: index) }
    return !viewers.isEmpty
  }

  /// The viewer with that number, created if it is new; `nil` if there are too many.
  func viewer(
    _ id: UInt64, name: String, isOfRefusals: Bool, columns: Int, now: UInt64
  ) -> Viewer? {
    _ = isWatched(now: now)
    for viewer in viewers where viewer.id == id {
      viewer.until = now + Self.leaseNanoseconds
      viewer.columns = columns
      return viewer
    }
    guard viewers.count < Self.viewerLimit else { return nil }
    let viewer = Viewer(
      id: id, name: name == "*" ? nil : Pattern(name), isOfRefusals: isOfRefusals)
    viewer.until = now + Self.leaseNanoseconds
    viewer.columns = columns
    viewers.append(viewer)
    if isOfRefusals { tellPast(viewer) }
    return viewer
  }

  /// The last refusals, oldest first, so that the viewer sees reasons at once.
  private func tellPast(_ viewer: Viewer) {
    for age in (0..<10).reversed() {
      refusals.with(age: age) { entry, line in
        show(line, entry.socket, entry.reason, entry.time, to: viewer)
      }
    }
  }

  /// Shows a line that was counted, or refused for a reason.
  func show(_ line: RawSpan, _ socket: StaticString, _ reason: StaticString = "ok") {
    let isRefused = reason.utf8CodeUnitCount > 2
    for viewer in viewers where isRefused || !viewer.isOfRefusals {
      show(line, socket, reason, Clock.unixNanoseconds, to: viewer)
    }
  }

  /// `TIME SOCKET ok|REASON LINE`, and a line with the meaning of the reason at its first
  /// occurrence.
  private func show(
    _ line: RawSpan, _ socket: StaticString, _ reason: StaticString, _ time: UInt64,
    to viewer: Viewer
  ) {
    if let name = viewer.name {
      guard credit > 0 else { return viewer.leftOut &+= 1 }
      guard matches(line, name, socket) else { return }
    }
    guard viewer.count < Self.lineLimit else { return viewer.leftOut &+= 1 }
    viewer.count += 1
    let isRefused = reason.utf8CodeUnitCount > 2
    let words = isRefused ? RefusalWords.words(reason) : ""
    let isTold = viewer.told.contains { Refusals.isSame($0, reason) }
    let hasColours = viewer.columns > 0
    if hasColours, isRefused {
      viewer.lines.append(RefusalWords.isCounted(reason) ? "\u{1B}[33m" : "\u{1B}[31m")
    }
    let start = viewer.lines.count
    CivilTime.append(unixNanoseconds: time, to: &viewer.lines)
    viewer.lines.append(" ")
    viewer.lines.append(socket)
    viewer.lines.append(" ")
    viewer.lines.append(reason)
    viewer.lines.append(" ")
    let used = viewer.lines.count - start
    VisibleText.append(
      line, columns: hasColours ? max(10, viewer.columns - used) : 4 * Refusals.lineByteLimit,
      to: &viewer.lines)
    viewer.lines.append(hasColours && isRefused ? "\u{1B}[0m\n" : "\n")
    if !isRefused || isTold { return }
    viewer.told.append(reason)
    viewer.lines.append(hasColours ? "\u{1B}[36m# " : "# ")
    viewer.lines.append(reason)
    viewer.lines.append(": ")
    viewer.lines.append(words)
    viewer.lines.append(hasColours ? "\u{1B}[0m\n" : "\n")
  }

  /// Whether the line's event has a matching name: the text before the colon, with or without its
  /// tags.
  private func matches(_ line: RawSpan, _ name: Pattern, _ socket: StaticString) -> Bool {
    var work = Self.comparisonSteps
    defer { credit -= work }
    var start = 0
    // In spectator's lines the name follows the type.
    if Refusals.isSame(socket, "spectator") { start = line.index(of: ":", from: 0) + 1 }
    guard start <= line.byteCount else { return false }
    let text = SeriesKey.array(line.extracting(start..<line.index(of: ":", from: start)))
    if name.captures(text[...], &work) != nil { return true }
    for (index, byte) in text.enumerated() {
      switch byte {
      case UInt8(ascii: ","), UInt8(ascii: "#"), UInt8(ascii: "["), UInt8(ascii: ";"):
        return name.captures(text[..<index], &work) != nil
      default: break
      }
    }
    return false
  }
}

extension Tap.Viewer {
  /// Appends the lines since the last call.
  func take(into page: inout ByteBuffer) {
    page.append(lines.bytes)
    lines.removeAll()
    lines.shrink(to: 4096)
    count = 0
    if leftOut == 0 { return }
    page.append("# ")
    Decimal.append(leftOut, to: &page)
    page.append(" more lines came than are shown here\n")
    leftOut = 0
  }
}

extension LineProcessor {
  /// Applies the lines of one batch; costs one extra check without viewers.
  @inline(__always)
  @_optimize(speed)
  @discardableResult
  func all(
    _ bytes: RawSpan, from first: Int = 0, _ source: IntakeCounts.Source,
    until sliceEnd: UInt64 = .max
  ) -> Int {
    tap == nil
      ? lines(bytes, from: first, source, until: sliceEnd)
      : tapped(bytes, from: first, source, until: sliceEnd)
  }

  /// The same line by line, each shown with its result.
  @inline(never)
  func tapped(
    _ bytes: RawSpan, from first: Int, _ source: IntakeCounts.Source, until sliceEnd: UInt64
  ) -> Int {
    if tap?.isWatched(now: Clock.monotonicNanoseconds) != true { tap = nil }
    var start = first
    hasEnded = false
    while start < bytes.byteCount {
      // As a whole once no viewer is left.
      let end = tap == nil ? bytes.byteCount : newline(bytes, from: start) ?? bytes.byteCount
      let line = bytes.extracting(start..<end)
      start = end + 1
      let before = refusals.count
      let stop =
        source == .spectator
        ? spectatorLines(line, from: 0, until: sliceEnd)
        : lines(line, from: 0, source, until: sliceEnd)
      // Of those that nobody looks at.
      if stop < line.byteCount { return end - line.byteCount + stop }
      if line.byteCount > 0, refusals.count == before { tap?.show(line, source.name) }
      if hasEnded || isOver(sliceEnd) { break }
    }
    return min(start, bytes.byteCount)
  }
}

/// Untrusted bytes for a terminal: anything that could move its cursor or change its colours is
/// written in hexadecimal, and so is invalid UTF-8.
enum VisibleText {
  static func append(_ text: RawSpan, columns: Int, to buffer: inout ByteBuffer) {
    let bytes = SeriesKey.array(text.extracting(0..<min(Refusals.lineByteLimit, text.byteCount)))
    let isText = String(validating: bytes, as: UTF8.self) != nil
    var used = 0
    var last: UInt8 = 0
    for (index, byte) in bytes.enumerated() {
      // U+0080 to U+009F are two-byte controls, recognised by the second byte.
      let isControl =
        byte < 0x20 || byte == 0x7f || byte >= 0x80 && (!isText || last == 0xc2 && byte < 0xa0)
        || byte == 0xc2 && index + 1 < bytes.count && bytes[index + 1] < 0xa0
      last = byte
      used += isControl ? 4 : byte & 0xc0 == 0x80 ? 0 : 1
      if used >= columns, index + 1 < bytes.count { return buffer.append("…") }
      if isControl {
        buffer.append("\\x")
        buffer.appendHex(byte)
      } else {
        buffer.append(byte)
      }
    }
    if text.byteCount > bytes.count { buffer.append("…") }
  }
}

extension RawSpan {
  /// The position of a mark at or after `start`, or the end.
  func index(of mark: Unicode.Scalar, from start: Int) -> Int {
    var index = start
    while index < byteCount, at(index) != UInt8(ascii: mark) { index += 1 }
    return index
  }
}
