import SidecarPlatform

/// A moment on both clocks, in seconds: times for people use the wall clock, times to live the one
/// that never goes back.
struct PushMoment {
  var unix: Double
  var steady: Double

  static var now: PushMoment {
    PushMoment(
      unix: Double(Clock.unixNanoseconds) / 1e9, steady: Double(Clock.monotonicNanoseconds) / 1e9)
  }
}
