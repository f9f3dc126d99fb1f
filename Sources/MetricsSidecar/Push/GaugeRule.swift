/// How gauges of an aggregated push are merged with existing ones.
enum GaugeRule: String {
  case last, sum, max

  /// The limit for values: no push, however often it comes, can make a sum infinite, which would be
  /// permanent.
  static let greatest = 1e100

  /// Why a value cannot be added up, as for events; `nil` if it can.
  func mistake(_ type: FamilyType, _ part: SampleNames.Part, _ value: Double) -> String? {
    let isFinite = value.magnitude <= Self.greatest
    switch type {
    case .counter:
      return isFinite && value >= 0
        ? nil : "a counter that is added up is a number from 0 to 1e100"
    case .gauge, .untyped:
      return isFinite || self != .sum ? nil : "a gauge that is added up is finite, up to 1e100"
    case .histogram, .gaugeHistogram, .summary:
      switch part {
      case .sum: return isFinite ? nil : "a sum that is added up is finite, up to 1e100"
      case .bucket, .count:
        return isFinite && value >= 0
          ? nil : "a count that is added up is a number from 0 to 1e100"
      case .whole, .created: return nil
      }
    }
  }
}
