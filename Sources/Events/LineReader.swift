/// The lines of a frame, a datagram or plain text, one after the other. Skips empty ones; a
/// carriage return before a line end is not part of the line.
///
///     var lines = LineReader(start: start, end: end)
///     while lines.next(bytes) { apply(bytes.extracting(lines.line)) }
package struct LineReader: Sendable {
  @usableFromInline var cursor: Int
  @usableFromInline let end: Int
  @usableFromInline var lineStart = 0
  @usableFromInline var lineEnd = 0

  /// For the bytes from `start` up to `end`.
  @inlinable
  package init(start: Int, end: Int) {
    cursor = start
    self.end = end
  }

  /// The range of the current line.
  @inlinable package var line: Range<Int> { lineStart..<lineEnd }

  /// Moves to the next line; false at the end. `bytes` is the same each time.
  @inlinable @inline(__always)
  package mutating func next(_ bytes: RawSpan) -> Bool {
    precondition(end <= bytes.byteCount)
    while cursor < end {
      lineStart = cursor
      lineEnd = ByteScan.find(0x0a, in: bytes, from: cursor, to: end)
      cursor = lineEnd &+ 1
      if lineEnd > lineStart, ByteScan.byte(bytes, lineEnd &- 1) == 0x0d { lineEnd &-= 1 }
      if lineEnd > lineStart { return true }
    }
    return false
  }
}
