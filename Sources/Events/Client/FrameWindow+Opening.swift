internal import SidecarPlatform

/// What a new session of a client with declarations begins with.
extension FrameWindow {
  /// Bytes that a session may begin with: 16 frames, or a few more for lines that fill none.
  static var openingByteCount: Int { 4 << 20 }
  private static var openingFrameByteCount: Int { 256 << 10 }

  /// Puts whole lines, each with its newline before it, before all frames; `renumber` has to follow.
  mutating func prepend(_ lines: RawSpan) {
    precondition(lines.byteCount <= Self.openingByteCount)
    var front = FrameWindow()
    var start = 0
    while start < lines.byteCount {
      var end = min(start + Self.openingFrameByteCount, lines.byteCount)
      while end < lines.byteCount, lines[byte: end] != 10 { end += 1 }
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
