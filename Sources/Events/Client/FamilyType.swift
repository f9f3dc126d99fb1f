/// What a family is, as `SessionClient.declare` says it.
public enum FamilyType: Sendable {
  case counter
  /// A level; `merge` says what becomes of those that several processes report.
  case gauge(merge: GaugeMerge = .last)
  /// Buckets up to each of `bounds`, which rise, up to 200; those of the official clients if there
  /// are none.
  case histogram(bounds: [Double] = [])
  /// Sum and count.
  case summary

  var word: StaticString {
    switch self {
    case .counter: "counter"
    case .gauge: "gauge"
    case .histogram: "histogram"
    case .summary: "summary"
    }
  }
}

/// What is shown of a gauge that several clients report. The live forms leave out clients that are
/// gone.
public enum GaugeMerge: String, Sendable {
  /// What anybody said last.
  case last = ""
  case sum, min, max
  case liveSum = "livesum"
  case liveMin = "livemin"
  case liveMax = "livemax"
  /// Each client has a label of its own, such as `pid`, which you give as a tag.
  case all
  case liveAll = "liveall"
}
