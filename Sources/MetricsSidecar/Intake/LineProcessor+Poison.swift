import SidecarEvents
import SidecarPlatform

/// Applies one unit at a time: a frame, a datagram, or plain lines as they arrived. Under a
/// supervisor a unit that has killed two workers in a row is skipped: it would kill every new
/// worker.
extension LineProcessor {
  /// The events of a frame, without its `_seq`, from `first` on. Where it stopped: at the end, or
  /// where the time was `sliceEnd`; then it is whole with a call that finds time left.
  @inline(__always)
  @_optimize(speed)
  func frame(
    _ bytes: RawSpan, from first: Int, _ source: IntakeCounts.Source, until sliceEnd: UInt64
  ) -> Int {
    guard InFlight.begin(bytes) else {
      hasEnded = false
      counts.framesPoisoned += 1
      Poison.report(bytes, "frame", log)
      return bytes.byteCount
    }
    let end = all(bytes, from: first, source, until: sliceEnd)
    InFlight.end()
    if end == bytes.byteCount, !hasEnded { counts.framesApplied += 1 }
    return end
  }

  /// A datagram, likewise.
  @inline(__always)
  @_optimize(speed)
  func datagram(
    _ bytes: RawSpan, from first: Int, _ source: IntakeCounts.Source, until sliceEnd: UInt64
  ) -> Int {
    guard InFlight.begin(bytes) else {
      hasEnded = false
      leaveOut(bytes, "datagram", source)
      return bytes.byteCount
    }
    let end =
      source == .spectator && tap == nil
      ? spectatorLines(bytes, from: first, until: sliceEnd)
      : all(bytes, from: first, source, until: sliceEnd)
    InFlight.end()
    return end
  }

  /// Plain lines, likewise. What came in one read is no whole, so after a fault they are applied
  /// one by one.
  @inline(__always)
  @_optimize(speed)
  func plain(
    _ bytes: RawSpan, from first: Int, _ source: IntakeCounts.Source, until sliceEnd: UInt64
  ) -> Int {
    if InFlight.isCareful { return eachLine(bytes, from: first, source, until: sliceEnd) }
    _ = InFlight.begin(bytes)
    let end = all(bytes, from: first, source, until: sliceEnd)
    InFlight.end()
    return end
  }

  @inline(never)
  private func eachLine(
    _ bytes: RawSpan, from first: Int, _ source: IntakeCounts.Source, until sliceEnd: UInt64
  ) -> Int {
    var start = first
    hasEnded = false
    while start < bytes.byteCount, !hasEnded {
      let end = newline(bytes, from: start) ?? bytes.byteCount
      let line = bytes.extracting(start..<end)
      start = end + 1
      guard InFlight.begin(line) else {
        leaveOut(line, "line", source)
        continue
      }
      all(line, source, until: sliceEnd)
      InFlight.end()
    }
    return min(start, bytes.byteCount)
  }

  @inline(never)
  private func leaveOut(_ bytes: RawSpan, _ what: StaticString, _ source: IntakeCounts.Source) {
    counts.linesPoisoned += 1
    refusals.note("poisoned", source.name, bytes)
    Poison.report(bytes, what, log)
  }
}

/// Input that kills each worker that applies it.
enum Poison {
  @inline(never)
  static func report(_ bytes: RawSpan, _ what: StaticString, _ log: Log) {
    log.error(
      joined(
        "A ", what.description, " of ", bytes.byteCount.description,
        " bytes ended two workers in a row, so it is left out. ")
        + "It begins: " + text(bytes, limit: 256))
  }

  /// Untrusted bytes as text for a log: anything but printable ASCII is written in hexadecimal.
  static func text(_ bytes: RawSpan, limit: Int) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for index in 0..<min(limit, bytes.byteCount) {
      let byte = unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
      if byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\\") {
        text.append(byte)
      } else {
        text += [
          UInt8(ascii: "\\"), UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)],
        ]
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
