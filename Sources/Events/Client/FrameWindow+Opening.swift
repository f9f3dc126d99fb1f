internal import SidecarPlatform

/// The opening of a new session from a client with declarations.
extension FrameWindow {
  /// The most bytes of an opening: 16 frames, or a few more if lines do not fill them.
  static var openingByteCount: Int { 4 << 20 }
  private static var openingFrameByteCount: Int { 256 << 10 }

  /// Inserts whole lines, each preceded by its newline, before all frames; `renumber` must follow.
  mutating func prepend(_ lines: RawSpan) {
    precondition(lines.byteCount <= Self.openingByteCount)
    var front = FrameWindow()
    var start = 0
    while start < lines.byteCount {
      var end = min(start + Self.openingFrameByteCount, lines.byteCount)
      while end < lines.byteCount, unsafe lines[unchecked: end] != 10 { end += 1 }
      let part = start..<end
      front.append { buffer in buffer.append(lines.extracting(part)) }
      start = end
    }
    for index in 0..<count {
      front.sizes[front.count] = sizes[(first + index) % Self.ringCount]
      front.count += 1
    }
    front.bytes.append(bytes.bytes)
    self = front
  }
}
