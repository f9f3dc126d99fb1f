import SidecarPlatform
import SidecarRules

/// A number that is set, or moved by steps.
///
///     1 value
final class Gauge: Metric {
  static let members = [
    MetricMember("minus", of: [.gauge, .clientGauge], "gauges") {
      json, options throws(JSON.Mistake) in
      guard let minus = GaugeMinus(name: try json.text()), minus != .auto else {
        throw json.mistake("\"minus\" is step or value")
      }
      options.minus = minus
    }
  ]

  override func observe(
    _ value: Double, weight: Double, _ move: GaugeMove, _ target: LineTable.Target,
    _ family: Family, in registry: Registry
  ) {
    Self.set(value, move, target, in: registry)
  }

  @inline(__always)
  @_optimize(speed)
  static func set(
    _ value: Double, _ move: GaugeMove, _ target: LineTable.Target, in registry: Registry
  ) {
    if move == .set {
      registry.state.store(Int(target.cell) + 1, value)
    } else {
      step(value, move, target, in: registry)
    }
  }

  @inline(never)
  private static func step(
    _ value: Double, _ move: GaugeMove, _ target: LineTable.Target, in registry: Registry
  ) {
    let cell = Int(target.cell) + 1
    if !move.isStep(target.minus) {
      registry.state.store(cell, value)
    } else if value.magnitude <= Registry.greatestTerm {
      registry.state.add(cell, value)
    } else {
      registry.refusedValues += 1
    }
  }
}
