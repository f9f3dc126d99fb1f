import SidecarEvents
import SidecarPlatform

/// Lines with additional information: a family's declaration, a gauge's client and time, an event's
/// trace.
extension LineProcessor {
  /// Applies a line that begins with `_family|`, `_series|` or `_remove|`; returns whether it was
  /// one.
  @inline(never)
  func isDeclaration(
    _ bytes: RawSpan, _ source: IntakeCounts.Source
  ) throws(LineError) -> Bool {
    // All words have the same length.
    guard bytes.byteCount >= 8, bytes.at(7) == UInt8(ascii: "|") else { return false }
    let text = bytes.extracting(8..<bytes.byteCount)
    let rejection: Registry.Rejection?
    if bytes.begins("_family") {
      rejection = registry.declare(try Declaration(SeriesKey.array(text)))
    } else if bytes.begins("_series") {
      rejection = registry.makeDeclaredSeries(try declaredEvent(text))
    } else if bytes.begins("_remove") {
      rejection = registry.removePart(try declaredEvent(text))
    } else {
      return false
    }
    if let rejection { refuse(rejection, bytes, source, 0) }
    return true
  }

  /// The text after `_series|` or `_remove|`: `<name>[|#<tags>]`.
  private func declaredEvent(_ text: RawSpan) throws(LineError) -> EventDescription {
    let end = ByteScan.find(UInt8(ascii: "|"), in: text, from: 0, to: text.byteCount)
    var start = min(end + 1, text.byteCount)
    if start < text.byteCount {
      guard text.at(start) == UInt8(ascii: "#") else { throw .badDeclaration }
      start += 1
    }
    let tags = text.extracting(start..<text.byteCount)
    let event = Event(
      name: text.extracting(0..<end), .gauge, tags: tags, .lines, EventValue(number: 0))
    return EventDescription(line: event, [])
  }

  /// A gauge whose line names its container or its time.
  @inline(never)
  func applyGauge(
    _ event: EventLine, _ bytes: RawSpan, _ source: IntakeCounts.Source
  ) throws(LineError) {
    if !event.container.isEmpty {
      registry.owners.container = Digest.hash(bytes.extracting(event.container), seed: 0)
    }
    let seconds = Self.seconds(bytes.extracting(event.time))
    // Up to the year 9999, so that milliseconds are a whole number.
    registry.owners.time = seconds > 0 && seconds < 253_402_300_800 ? UInt64(seconds * 1000) : 0
    defer {
      registry.owners.container = 0
      registry.owners.time = 0
    }
    try applyEach(event, bytes, source)
  }

  /// A time in digits, with a point or without; 0 for anything else. An exponent would cost
  /// microseconds per line, and no clock writes one.
  private static func seconds(_ text: RawSpan) -> Double {
    if text.byteCount > 24 { return 0 }
    for index in 0..<text.byteCount where text.at(index) &- 48 > 9 {
      if text.at(index) != UInt8(ascii: ".") { return 0 }
    }
    return Decimal.parse(text)
  }
}

extension RawSpan {
  fileprivate func begins(_ prefix: StaticString) -> Bool {
    let count = prefix.utf8CodeUnitCount
    guard byteCount >= count else { return false }
    // Sound: a static string's bytes live as long as the program, and `index` is below its length.
    for index in 0..<count where unsafe prefix.utf8Start[index] != at(index) { return false }
    return true
  }
}
