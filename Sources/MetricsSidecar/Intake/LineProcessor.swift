import SidecarEvents
import SidecarPlatform

/// From bytes to numbers: parses lines, applies them, and counts the results. All sockets share
/// one; nothing takes effect before `Registry.commit`.
final class LineProcessor {
  let registry: Registry
  let limits: Limits
  var log = Log()
  let refusals = Refusals()
  /// The viewers of incoming lines; `nil` while there are none.
  var tap: Tap?
  var counts = IntakeCounts()
  var spectators: SpectatorSources
  /// The spellings of tags in names.
  var dialects = TagDialects.all
  /// `--gauge-minus`.
  var gaugeMinus = GaugeMinus.auto
  /// Whether a gauge's minus is a step in the current lines.
  private var minusIsStep = false
  /// Steps until the next look at the clock.
  private var left = 16 * lineWork
  /// Whether that look has found the time to be over. Who goes on says that it is not any more.
  var hasEnded = false
  /// What connections read into; taken out meanwhile, so never `nil` between two calls.
  var scratch: ByteBuffer? = ByteBuffer(capacity: 4 * 65_536)

  init(registry: Registry, limits: Limits) {
    self.registry = registry
    self.limits = limits
    spectators = SpectatorSources(
      limit: limits.series, timeToLive: limits.seriesTimeToLive)
  }

  /// Sets whether the following lines come from a StatsD or a DogStatsD client.
  func begin(isStatsD: Bool) {
    minusIsStep = gaugeMinus == .auto ? isStatsD : gaugeMinus == .step
  }

  /// The next newline at or after `start`.
  @inline(__always)
  @_optimize(speed)
  func newline(_ bytes: RawSpan, from start: Int) -> Int? {
    let index = ByteScan.find(UInt8(ascii: "\n"), in: bytes, from: start, to: bytes.byteCount)
    return index < bytes.byteCount ? index : nil
  }

  /// Applies the lines of a frame or a datagram; the last newline may be missing. Returns where it
  /// stopped: at the end, or after a line at which the time was `sliceEnd`.
  @discardableResult
  @_optimize(speed)
  func lines(
    _ bytes: RawSpan, from first: Int, _ source: IntakeCounts.Source, until sliceEnd: UInt64 = .max
  ) -> Int {
    var start = first
    hasEnded = false
    // What others may have left there.
    registry.loss = nil
    while start < bytes.byteCount {
      let before = start
      start = plainLines(bytes, from: start, source)
      if start >= bytes.byteCount { break }
      if start &- before >= Self.runByteCount {
        left = 0
        if isOver(sliceEnd) { break }
        continue
      }
      let end = newline(bytes, from: start) ?? bytes.byteCount
      line(bytes.extracting(start..<end), source)
      if registry.loss != nil { noteLoss(bytes.extracting(start..<end), source) }
      start = end + 1
      if isOver(sliceEnd) { break }
    }
    return min(start, bytes.byteCount)
  }

  /// Whether the time is `sliceEnd` behind a line that was not known. Asks the clock after some 30
  /// microseconds of such lines, whatever they took the rules; those of one datagram and the next
  /// are counted together.
  @inline(__always)
  func isOver(_ sliceEnd: UInt64) -> Bool {
    left &-= Self.lineWork &+ registry.ruleWork
    registry.ruleWork = 0
    return left <= 0 && isOverByClock(sliceEnd)
  }

  @inline(never)
  private func isOverByClock(_ sliceEnd: UInt64) -> Bool {
    left = 16 * Self.lineWork
    hasEnded = sliceEnd != .max && Clock.monotonicNanoseconds >= sliceEnd
    return hasEnded
  }

  /// What a line costs that is not known, in steps of rules.
  private static let lineWork = 512
  /// Known lines between two looks at the clock, in bytes: some 10 microseconds of them, and more
  /// where each feeds many families.
  private static let runByteCount = 8192

  /// Applies lines as long as they are plain and known; returns where the first other one starts.
  @inline(__always)
  @_optimize(speed)
  private func plainLines(
    _ bytes: RawSpan, from first: Int, _ source: IntakeCounts.Source
  ) -> Int {
    unsafe bytes.withUnsafeBytes { buffer in
      let bytes = unsafe LineBytes(buffer)
      let limit = limits.lineByteCount
      let key = registry.lines.key
      let runEnd = min(bytes.count, first &+ Self.runByteCount)
      var start = first
      // Lines of one type come in runs, which are counted at their end.
      var type: UInt8 = 0
      var count: UInt64 = 0
      while start < runEnd, var line = PlainLine(bytes, from: start, key),
        line.end &- start <= limit, registry.apply(&line)
      {
        if line.type != type {
          counts.accept(source, type, count)
          type = line.type
          count = 0
        }
        count &+= 1
        if registry.loss != nil {
          // Sound: the line lies within `buffer`.
          unsafe noteLoss(
            RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: buffer[start..<line.end])),
            source)
        }
        start = line.end &+ 1
      }
      counts.accept(source, type, count)
      return start
    }
  }

  /// Applies one line. An error is counted and does not affect other lines.
  @inline(never)
  @_optimize(speed)
  func line(_ bytes: RawSpan, _ source: IntakeCounts.Source) {
    var bytes = bytes
    // Windows clients and `nc` end lines with CR LF.
    if bytes.byteCount > 0,
      unsafe bytes.unsafeLoad(fromByteOffset: bytes.byteCount - 1, as: UInt8.self) == 13
    {
      bytes = bytes.extracting(0..<bytes.byteCount - 1)
    }
    if bytes.byteCount == 0 { return }
    if bytes.byteCount > limits.lineByteCount { return refuse(.tooLong, bytes, source) }
    do throws(LineError) {
      if bytes.at(0) == UInt8(ascii: "_"), try isDeclaration(bytes, source) { return }
      let event = try EventLine.parse(bytes)
      try apply(event, bytes, source)
    } catch {
      if error == .unknownType || error == .badRate, samples(bytes, source) { return }
      refuse(error, bytes, source)
    }
  }

  @inline(__always)
  @_optimize(speed)
  func apply(
    _ event: EventLine, _ bytes: RawSpan, _ source: IntakeCounts.Source
  ) throws(LineError) {
    if event.kind == .gauge, !event.container.isEmpty || !event.time.isEmpty {
      return try applyGauge(event, bytes, source)
    }
    let only = event.onlyValue
    if !only.isNaN { return apply(event, bytes, EventValue(number: only), source) }
    try applyEach(event, bytes, source)
  }

  @inline(never)
  @_optimize(speed)
  func applyEach(
    _ event: EventLine, _ bytes: RawSpan, _ source: IntakeCounts.Source
  ) throws(LineError) {
    if event.hasTagLikeField { suspect(.tagLikeField, bytes, source) }
    var index = event.values.lowerBound
    guard let first = try event.nextValue(bytes, &index) else { return }
    if index >= event.values.upperBound { return apply(event, bytes, read(first), source) }
    let feed = registry.feed(of: event.event(bytes, EventValue(number: 0)), describe)
    if let suspicion = feed.suspicion { suspect(suspicion, bytes, source) }
    try applyEach(event, bytes, to: feed, of: bytes, source)
  }

  /// Adds the values of `line`, part of `whole`, to their common targets.
  @_optimize(speed)
  func applyEach(
    _ event: EventLine, _ line: RawSpan, to feed: Registry.Feed, of whole: RawSpan,
    _ source: IntakeCounts.Source
  ) throws(LineError) {
    var index = event.values.lowerBound
    while let value = try event.nextValue(line, &index) {
      count(registry.add(event.event(line, read(value)), to: feed), event, whole, source)
    }
  }

  @inline(__always)
  private func read(_ value: EventLine.Value) -> EventValue {
    let isStep = value.isDelta && (minusIsStep || !value.isMinus)
    return EventValue(
      number: value.number, move: GaugeMove(isDelta: isStep, isMinus: value.isMinus))
  }

  @inline(__always)
  @_optimize(speed)
  private func apply(
    _ event: EventLine, _ bytes: RawSpan, _ value: EventValue, _ source: IntakeCounts.Source
  ) {
    count(registry.apply(event.event(bytes, value), describe), event, bytes, source)
  }

  func describe(_ event: Event) -> EventDescription { EventDescription(line: event, dialects) }

  @inline(__always)
  @_optimize(speed)
  private func count(
    _ rejection: Registry.Rejection?, _ event: EventLine, _ bytes: RawSpan,
    _ source: IntakeCounts.Source
  ) {
    if let rejection {
      refuse(rejection, bytes, source, event.kind.rawValue)
    } else {
      counts.accept(source, event.kind.rawValue)
    }
  }
}
