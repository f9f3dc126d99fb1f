internal import SidecarPlatform

/// The distribution of values.
public final class Distribution: Instrument, @unchecked Sendable {
  private let waiting: SharedObservations

  init(
    _ name: String, type: StaticString, tags: String, _ changes: Changes?, bounds: [Double]?
  ) {
    waiting = SharedObservations(bounds: bounds)
    super.init(name, type: type, tags: tags, changes)
  }

  /// Adds one value; ignores infinities and NaN.
  public func observe(_ value: Double) {
    guard value.isFinite else { return }
    waiting.add(value)
    mark()
  }

  override func write(into buffer: inout ByteBuffer, end: Int) -> Bool {
    waiting.drain(into: &buffer, end: end, of: self)
  }
}

/// The distribution of durations, which are sent in milliseconds, as in StatsD.
public final class Timing: Instrument, @unchecked Sendable {
  private let waiting: SharedObservations

  init(
    _ name: String, type: StaticString, tags: String, _ changes: Changes?, bounds: [Double]?
  ) {
    waiting = SharedObservations(bounds: bounds)
    super.init(name, type: type, tags: tags, changes)
  }

  /// Adds one duration.
  public func observe(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    observe(milliseconds: Double(seconds) * 1e3 + Double(attoseconds) / 1e15)
  }

  /// The same.
  public func observe(nanoseconds: UInt64) { observe(milliseconds: Double(nanoseconds) / 1e6) }

  private func observe(milliseconds: Double) {
    waiting.add(milliseconds)
    mark()
  }

  override func write(into buffer: inout ByteBuffer, end: Int) -> Bool {
    waiting.drain(into: &buffer, end: end, of: self)
  }
}

/// `Observations` for many threads.
private final class SharedObservations: @unchecked Sendable {
  private let lock = Lock()
  /// Under `lock`.
  private var waiting: Observations

  init(bounds: [Double]?) { waiting = Observations(bounds: bounds) }

  func add(_ value: Double) { lock.holding { waiting.add(value) } }

  func drain(into buffer: inout ByteBuffer, end: Int, of instrument: Instrument) -> Bool {
    lock.holding {
      waiting.drain(
        into: &buffer, end: end, head: instrument.head, type: instrument.type,
        tail: instrument.tail)
      return waiting.isEmpty
    }
  }
}
