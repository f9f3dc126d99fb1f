/// The type of a family, for `SessionClient.declare`.
public enum FamilyType: Sendable {
  case counter
  /// A level; `merge` says how the values of several processes become one.
  case gauge(merge: GaugeMerge = .last)
  /// Buckets up to each of `bounds`, at most 200 in ascending order; without bounds, those of the
  /// official clients.
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

/// What a gauge that several clients report shows. The live forms ignore clients that are gone.
public enum GaugeMerge: String, Sendable {
  /// The last value from any client.
  case last = ""
  case sum, min, max
  case liveSum = "livesum"
  case liveMin = "livemin"
  case liveMax = "livemax"
  /// Each client has a label of its own, such as `pid`, which you give as a tag.
  case all
  case liveAll = "liveall"
}
