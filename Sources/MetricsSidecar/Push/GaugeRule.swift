/// How gauges of an aggregated push meet those that are there.
enum GaugeRule: String {
  case last, sum, max

  /// What may be added: no push, however often it comes, makes a sum infinite, which it would stay.
  static let greatest = 1e100

  /// Why a value cannot be added up, as with events; `nil` where it can.
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
