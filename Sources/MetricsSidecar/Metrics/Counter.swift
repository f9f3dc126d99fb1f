import SidecarPlatform

/// A sum that never falls.
///
///     1 sum
final class Counter: Metric {
  /// Timings add their values up.
  override func takes(_ event: MetricType) -> Bool { event == .counter || event == .histogram }

  override func observe(
    _ value: Double, weight: Double, _ move: GaugeMove, _ target: LineTable.Target,
    _ family: Family, in registry: Registry
  ) {
    Self.add(value * weight, Int(target.cell), in: registry)
  }

  /// Timings, and values times a rule's scale, may be negative.
  @inline(__always)
  @_optimize(speed)
  static func add(_ amount: Double, _ record: Int, in registry: Registry) {
    if amount < 0 {
      registry.refusedValues += 1
    } else {
      registry.state.add(record + 1, amount)
    }
  }

  override func add(
    _ samples: Distribution, sum: Double, factor: Double, _ record: Int, _ family: Family,
    in registry: Registry
  ) -> Registry.Rejection? {
    Self.add(sum, record, in: registry)
    return nil
  }

  override func join(
    _ source: Int, to record: Int, isLater: Bool, _ family: Family, in state: StateFile
  ) {
    addCells(1..<2, of: source, to: record, in: state)
  }

  override func forEachExemplar(
    of value: Double, _ record: Int, _ family: Family, _ body: (Int) -> Void
  ) {
    body(record + 1)
  }
}
