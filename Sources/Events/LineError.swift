/// What can be wrong with one line. It is counted under `reason` and does not affect other lines.
package enum LineError: Int, Error, Equatable, Sendable, CaseIterable {
  case noName, noValue, noType, unknownType, badValue, negativeCount, badRate, tooLong
  /// A `_family|`, `_series|` or `_remove|` line that cannot be read.
  case badDeclaration
  /// An event or a service check of DogStatsD: accepted, but not kept.
  case ignored

  /// The label of `metrics_sidecar_events_rejected_total`.
  package var reason: StaticString {
    switch self {
    case .noName: "no_name"
    case .noValue: "no_value"
    case .noType: "no_type"
    case .unknownType: "unknown_type"
    case .badValue: "bad_value"
    case .negativeCount: "negative_count"
    case .badRate: "bad_rate"
    case .tooLong: "line_too_long"
    case .badDeclaration: "bad_declaration"
    case .ignored: "ignored"
    }
  }
}
