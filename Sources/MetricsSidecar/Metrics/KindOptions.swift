/// What a minus before a gauge's value means.
enum GaugeMinus: UInt8 {
  /// Depends on the socket: a step on UDP, TCP and plain lines, a value's sign on Unix datagrams
  /// and in frames, whose clients speak DogStatsD, which has no steps.
  case auto
  case step, value

  init?(name: String) {
    switch name {
    case "auto": self = .auto
    case "step": self = .step
    case "value": self = .value
    default: return nil
    }
  }
}

/// The meaning of a gauge's value.
enum GaugeMove: UInt8 {
  case set, step
  /// The value has a minus, with this meaning on its socket.
  case minusSet, minusStep

  @inline(__always)
  init(isDelta: Bool, isMinus: Bool) {
    self = isMinus ? (isDelta ? .minusStep : .minusSet) : isDelta ? .step : .set
  }

  /// Whether the gauge moves, if its family has `minus`.
  @inline(__always)
  func isStep(_ minus: GaugeMinus) -> Bool {
    if minus == .auto || self == .set || self == .step {
      return self == .step || self == .minusStep
    }
    return minus == .step
  }
}

/// The options of a family in a rule besides name, type, labels and buckets, or their defaults.
/// Constant once the family is created.
final class KindOptions {
  /// How a gauge of several clients merges their values.
  enum Merge: UInt8 {
    case last, sum, min, max, mostRecent
  }

  /// How long a summary's, a set's or a client's values count. 0: the kind's default.
  var windowMilliseconds: UInt64 = 0
  /// A summary's quantiles, ascending, from 0 to 1.
  var quantiles: [Double] = [0.5, 0.9, 0.99]
  /// The most exponential buckets of a native histogram, or of a part of a summary's window.
  var maxBuckets = 160
  /// Distinct values that a set counts exactly; above, it estimates.
  var exact = 256
  /// A native histogram's initial resolution, and the width of its zero bucket.
  var isNative = false
  var schema = 3
  var zeroThreshold = 0x1p-128
  var merge = Merge.last
  /// Only clients with a live connection, or, without one, with a recent report.
  var isLive = false
  /// The tag that identifies clients; empty: their session, connection or container.
  var clientTag: [UInt8] = []
  var maxClients = 32
  /// A gauge's minus.
  var minus = GaugeMinus.auto
  /// The tag that names an event's trace; empty: no exemplars.
  var exemplar: [UInt8] = []
  /// In place of a tag: the labels from an event of a declared family.
  static let anyExemplar = [UInt8(ascii: "*")]
}
