/// A small generator that replays from its seed (SplitMix64).
public struct Dice: RandomNumberGenerator {
  public var state: UInt64

  public init(_ seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// From 0 up to `bound`, without it.
  public mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  public mutating func chance(percent: Double) -> Bool {
    Double(next() >> 11) / 0x1p53 * 100 < percent
  }
}
