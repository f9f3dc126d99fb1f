package import SidecarPlatform

/// The identity of one run of a client: 16 random bytes, written as 32 hexadecimal digits.
package struct SessionID: Hashable, Sendable {
  /// The first 16 digits.
  package var high: UInt64
  /// The last 16 digits.
  package var low: UInt64

  /// Any two halves are a valid identity.
  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }
}

/// The lines that make counting exact, for both ends.
///
///     client  _session|<32 hex digits>      server  _ack|<last applied>
///     client  _seq|<n>⏎ events …            server  _ack|<n>
package enum SessionLine {
  case session(SessionID)
  case sequence(UInt64)
  case acknowledgement(UInt64)

  /// What `line` says about the session; `nil` for an event or a malformed line.
  @inline(__always)
  package static func parse(_ line: RawSpan) -> SessionLine? {
    guard line.byteCount > 5, line.at(0) == UInt8(ascii: "_") else { return nil }
    if starts(line, "_seq|") { return number(line, 5).map { .sequence($0) } }
    if starts(line, "_ack|") { return number(line, 5).map { .acknowledgement($0) } }
    guard starts(line, "_session|"), line.byteCount == 41 else { return nil }
    var halves: (UInt64, UInt64) = (0, 0)
    for index in 9..<41 {
      guard let digit = line.at(index).hexDigit.map(UInt64.init) else { return nil }
      if index < 25 { halves.0 = halves.0 << 4 | digit } else { halves.1 = halves.1 << 4 | digit }
    }
    return .session(SessionID(high: halves.0, low: halves.1))
  }

  @inline(__always)
  private static func starts(_ line: RawSpan, _ prefix: StaticString) -> Bool {
    guard line.byteCount > prefix.utf8CodeUnitCount else { return false }
    for index in 0..<prefix.utf8CodeUnitCount
    where unsafe line.at(index) != prefix.utf8Start[index] { return false }
    return true
  }

  @inline(__always)
  private static func number(_ line: RawSpan, _ start: Int) -> UInt64? {
    guard line.byteCount > start, line.byteCount - start <= 19 else { return nil }
    var value: UInt64 = 0
    for index in start..<line.byteCount {
      let byte = line.at(index)
      guard byte >= 48, byte <= 57 else { return nil }
      value = value * 10 + UInt64(byte - 48)
    }
    return value
  }

  /// Appends a frame with `_ack|<number>`.
  package static func appendAcknowledgement(_ number: UInt64, to buffer: inout ByteBuffer) {
    let start = Frame.begin(&buffer)
    buffer.append("_ack|")
    Decimal.append(number, to: &buffer)
    Frame.end(start, &buffer)
  }

  /// Appends a frame with `_session|<id>`.
  package static func appendSession(_ id: SessionID, to buffer: inout ByteBuffer) {
    let start = Frame.begin(&buffer)
    buffer.append("_session|")
    for half in [id.high, id.low] {
      for step in 0..<8 {
        buffer.appendHex(UInt8(truncatingIfNeeded: half >> UInt64(56 - step * 8)))
      }
    }
    Frame.end(start, &buffer)
  }
}
