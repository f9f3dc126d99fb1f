import SidecarEvents
import SidecarPlatform

/// Spectator's lines: counters, timers (seconds), distributions and gauges. Percentile meters are
/// histograms here, like the plain ones.
extension LineProcessor {
  /// Applies the lines of one datagram, as `lines` does.
  func spectatorLines(_ bytes: RawSpan, from first: Int, until sliceEnd: UInt64) -> Int {
    var lines = LineReader(start: first, end: bytes.byteCount)
    hasEnded = false
    registry.loss = nil
    while lines.next(bytes) {
      if lines.line.count > limits.lineByteCount {
        refuse(.tooLong, bytes.extracting(lines.line), .spectator)
      } else {
        spectatorLine(bytes.extracting(lines.line))
        if registry.loss != nil { noteLoss(bytes.extracting(lines.line), .spectator) }
      }
      if isOver(sliceEnd) { return min(lines.line.upperBound + 1, bytes.byteCount) }
    }
    return bytes.byteCount
  }

  private func spectatorLine(_ bytes: RawSpan) {
    let line: SpectatorLine
    do throws(LineError) { line = try SpectatorLine.parse(bytes) } catch {
      return refuse(error, bytes, .spectator)
    }
    let name = bytes.extracting(line.name)
    let now = Clock.monotonicNanoseconds
    let type: EventType
    let value: Double?
    switch line.kind {
    case .counter: (type, value) = (.counter, line.value)
    case .monotonicUnsigned:
      (type, value) = (
        .counter, spectators.increase(name, toUnsigned: line.total, now: now)
      )
    case .monotonicCounter, .monotonicSampled:
      (type, value) = (.counter, spectators.increase(name, to: line.value, now: now))
    case .gauge: (type, value) = (.gauge, line.value)
    case .maximumGauge:
      (type, value) = (.gauge, spectators.maximum(name, line.value, now: now))
    case .ageGauge:
      (type, value) = (
        .gauge, line.value == 0 ? Double(Clock.unixSeconds) : line.value
      )
    case .distribution, .percentileDistribution: (type, value) = (.distribution, line.value)
    case .distinctSketch: (type, value) = (.set, line.value)
    case .timer, .percentileTimer: (type, value) = (.seconds, line.value)
    }
    guard let value else {
      return refuse(.seriesLimit, bytes, .spectator, line.kind.rawValue)
    }
    let event = Event(
      name: name, type, tags: bytes.extracting(0..<0), .spectator, EventValue(number: value))
    if let rejection = registry.apply(event, { EventDescription(spectator: $0) }) {
      refuse(rejection, bytes, .spectator, line.kind.rawValue)
    } else {
      counts.accept(.spectator, line.kind.rawValue)
    }
  }
}
