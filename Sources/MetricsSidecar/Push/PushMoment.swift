import SidecarPlatform

/// A moment on both clocks, in seconds: times that people read are of the one that may be set, times
/// to live of the one that never goes back.
struct PushMoment {
  var unix: Double
  var steady: Double

  static var now: PushMoment {
    PushMoment(
      unix: Double(Clock.unixNanoseconds) / 1e9, steady: Double(Clock.monotonicNanoseconds) / 1e9)
  }
}
