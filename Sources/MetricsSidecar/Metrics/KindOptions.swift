/// What a minus before a gauge's value means.
enum GaugeMinus: UInt8 {
  /// As the way in has it: a step on UDP, TCP and plain lines, a value's sign on Unix datagrams and in
  /// frames, whose clients speak DogStatsD. It has no steps.
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

/// How a gauge's value is meant.
enum GaugeMove: UInt8 {
  case set, step
  /// The value has a minus, and the way in has this for it.
  case minusSet, minusStep

  @inline(__always)
  init(isDelta: Bool, isMinus: Bool) {
    self = isMinus ? (isDelta ? .minusStep : .minusSet) : isDelta ? .step : .set
  }

  /// Whether the gauge moves, where its family has `minus`.
  @inline(__always)
  func isStep(_ minus: GaugeMinus) -> Bool {
    if minus == .auto || self == .set || self == .step {
      return self == .step || self == .minusStep
    }
    return minus == .step
  }
}

/// What a rule says of a family besides its name, type, labels and buckets; defaults where it says
/// nothing. Not changed once the family is made.
final class KindOptions {
  /// Whose value a gauge of several clients has.
  enum Merge: UInt8 {
    case last, sum, min, max, mostRecent
  }

  /// How long a summary's, a set's or a client's values count. 0: as its kind has it.
  var windowMilliseconds: UInt64 = 0
  /// A summary's, rising, from 0 to 1.
  var quantiles: [Double] = [0.5, 0.9, 0.99]
  /// Exponential buckets of a native histogram, or of a part of a summary's window.
  var maxBuckets = 160
  /// Distinct values that a set tells apart; above, it estimates.
  var exact = 256
  /// A native histogram's: resolution at the start, and up to where a value is zero.
  var isNative = false
  var schema = 3
  var zeroThreshold = 0x1p-128
  var merge = Merge.last
  /// Only clients whose connection lives, and those without one that have reported lately.
  var isLive = false
  /// The tag that tells clients apart; empty: their session, connection or container.
  var clientTag: [UInt8] = []
  var maxClients = 32
  /// A gauge's.
  var minus = GaugeMinus.auto
  /// The tag that names an event's trace; empty: no exemplars.
  var exemplar: [UInt8] = []
  /// In place of a tag: labels as an event of a declared family has them.
  static let anyExemplar = [UInt8(ascii: "*")]
}
