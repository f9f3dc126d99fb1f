// swift-metrics' backend for metrics-sidecar: copy this file. Where your program starts:
//
//     let client = SessionClient(path: "/run/metrics/events.sock")
//     MetricsSystem.bootstrap(SidecarMetrics(client))
//
// and `client.close()` where it ends. Labels become names and dimensions become labels: the counter
// `hb.requests` is `hb_requests_total` on the sidecar's page, the timer `job.duration` the
// histogram `job_duration_seconds`. `client.declare` gives a family its help text, or buckets of
// its own.
public import CoreMetrics
public import SidecarEvents

/// Has the metrics of swift-metrics count in a sidecar, over all processes, exactly once.
public struct SidecarMetrics: MetricsFactory {
  private let client: SessionClient

  public init(_ client: SessionClient) { self.client = client }

  public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    Whole(counter: client.counter(label, tags: dimensions))
  }

  public func makeFloatingPointCounter(
    label: String, dimensions: [(String, String)]
  ) -> any FloatingPointCounterHandler {
    Fractional(counter: client.floatingPointCounter(label, tags: dimensions))
  }

  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    Level(gauge: client.gauge(label, tags: dimensions))
  }

  /// A `Recorder` observes a distribution; a `Gauge`, which does not aggregate, sets a level.
  public func makeRecorder(
    label: String, dimensions: [(String, String)], aggregate: Bool
  ) -> any RecorderHandler {
    aggregate
      ? Values(distribution: client.distribution(label, tags: dimensions))
      : Level(gauge: client.gauge(label, tags: dimensions))
  }

  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    Durations(timing: client.timing(label, tags: dimensions))
  }

  public func destroyCounter(_ handler: any CounterHandler) { remove((handler as? Whole)?.counter) }
  public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
    remove((handler as? Fractional)?.counter)
  }
  public func destroyMeter(_ handler: any MeterHandler) { remove((handler as? Level)?.gauge) }
  public func destroyRecorder(_ handler: any RecorderHandler) {
    remove((handler as? Values)?.distribution ?? (handler as? Level)?.gauge)
  }
  public func destroyTimer(_ handler: any TimerHandler) { remove((handler as? Durations)?.timing) }

  private func remove(_ instrument: Instrument?) {
    if let instrument { client.remove(instrument) }
  }
}

private final class Whole: CounterHandler {
  let counter: SidecarEvents.Counter
  init(counter: SidecarEvents.Counter) { self.counter = counter }
  func increment(by amount: Int64) { if amount > 0 { counter.add(UInt64(amount)) } }
  /// What the sidecar has counted never falls.
  func reset() {}
}

private final class Fractional: FloatingPointCounterHandler {
  let counter: SidecarEvents.FloatingPointCounter
  init(counter: SidecarEvents.FloatingPointCounter) { self.counter = counter }
  func increment(by amount: Double) { counter.add(amount) }
  func reset() {}
}

private final class Level: MeterHandler, RecorderHandler {
  let gauge: SidecarEvents.Gauge
  init(gauge: SidecarEvents.Gauge) { self.gauge = gauge }
  func set(_ value: Int64) { gauge.set(Double(value)) }
  func set(_ value: Double) { gauge.set(value) }
  func increment(by amount: Double) { if amount > 0 { gauge.add(amount) } }
  func decrement(by amount: Double) { if amount > 0 { gauge.add(-amount) } }
  func record(_ value: Int64) { gauge.set(Double(value)) }
  func record(_ value: Double) { gauge.set(value) }
}

private final class Values: RecorderHandler {
  let distribution: SidecarEvents.Distribution
  init(distribution: SidecarEvents.Distribution) { self.distribution = distribution }
  func record(_ value: Int64) { distribution.observe(Double(value)) }
  func record(_ value: Double) { distribution.observe(value) }
}

private final class Durations: TimerHandler {
  let timing: SidecarEvents.Timing
  init(timing: SidecarEvents.Timing) { self.timing = timing }
  func recordNanoseconds(_ duration: Int64) {
    timing.observe(nanoseconds: UInt64(max(0, duration)))
  }
}
