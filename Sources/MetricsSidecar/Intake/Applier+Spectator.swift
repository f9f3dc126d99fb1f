import SidecarEvents
import SidecarPlatform

/// Spectator's lines: counters, timers (seconds), distributions and gauges. Percentile meters are
/// histograms here, as the plain ones are.
extension Applier {
  /// The bit that tells such a line's type from StatsD's: its tags are in its name.
  static let spectatorBit: UInt8 = 0x80

  /// Applies the lines of one datagram; the last newline may be missing.
  func spectatorLines(_ bytes: RawSpan) {
    var lines = LineReader(start: 0, end: bytes.byteCount)
    while lines.next(bytes) {
      if lines.line.count > limits.lineByteCount {
        counts.reject(.tooLong)
        continue
      }
      spectatorLine(bytes.extracting(lines.line))
    }
  }

  private func spectatorLine(_ bytes: RawSpan) {
    let line: SpectatorLine
    do throws(LineError) { line = try SpectatorLine.parse(bytes) } catch {
      return counts.reject(error)
    }
    let name = bytes.extracting(line.name)
    let now = Clock.monotonicNanoseconds
    let type: UInt8
    let value: Double?
    switch line.kind {
    case .counter: (type, value) = (UInt8(ascii: "c"), line.value)
    case .monotonicUnsigned:
      (type, value) = (
        UInt8(ascii: "c"), spectators.increase(name, toUnsigned: line.total, now: now)
      )
    case .monotonicCounter, .monotonicSampled:
      (type, value) = (UInt8(ascii: "c"), spectators.increase(name, to: line.value, now: now))
    case .gauge: (type, value) = (UInt8(ascii: "g"), line.value)
    case .maximumGauge:
      (type, value) = (UInt8(ascii: "g"), spectators.maximum(name, line.value, now: now))
    case .ageGauge:
      (type, value) = (
        UInt8(ascii: "g"), line.value == 0 ? Double(Clock.unixSeconds) : line.value
      )
    case .distribution, .percentileDistribution: (type, value) = (UInt8(ascii: "d"), line.value)
    case .distinctSketch: (type, value) = (UInt8(ascii: "s"), line.value)
    case .timer, .percentileTimer: (type, value) = (UInt8(ascii: "t"), line.value)
    }
    guard let value else { return counts.reject(.seriesLimit) }
    let rejection = registry.apply(
      name: name, type: type | Self.spectatorBit, tags: bytes.extracting(0..<0), value: value,
      weight: 1, isDelta: false)
    if let rejection {
      counts.reject(rejection)
    } else {
      counts.accept(.spectator, line.kind.rawValue)
    }
  }
}
