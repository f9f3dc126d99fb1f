import SidecarPlatform

/// The settings for pushing.
struct PushSettings: Sendable {
  var isOn = false
  var isAdmin = false
  /// Whether pushes without a `mode` are added up.
  var aggregates = false
  var gauges = GaugeRule.last
  /// For pushes that name none, in seconds; 0 is forever.
  var timeToLive = 0.0
  var authFile = ""
  var limits = PushLimits()
  /// All flags, for `/api/v1/status`.
  var flags: [(name: String, value: String)] = []

  init() {}

  init(_ options: Options, labels: Int) throws(Options.Mistake) {
    isOn = try options.flag("push")
    isAdmin = try options.flag("push-admin")
    aggregates = try options.flag("push-aggregate")
    guard let rule = GaugeRule(name: options.text("push-gauges")) else {
      throw options.mistake("push-gauges", "is last, sum or max")
    }
    gauges = rule
    if options.text("push-ttl") != "0" {
      let milliseconds = try options.milliseconds("push-ttl", in: 0...1_000_000_000)
      timeToLive = Double(milliseconds) / 1000
    }
    authFile = options.text("push-auth")
    limits.bodyByteCount = try options.byteCount("max-push-size", in: 1024...(64 << 20))
    limits.groups = try options.number("max-push-groups", in: 1...1_000_000)
    limits.series = try options.number("max-push-series", in: 1...10_000_000)
    limits.groupByteCount = try options.byteCount(
      "max-push-group-size", in: (64 << 10)...(256 << 20))
    limits.labels = labels
    flags = Settings.table.map { ($0.name, options.text($0.name)) }
  }
}

/// The limits of pushes, each a flag.
struct PushLimits: Sendable {
  /// Groups kept at once.
  var groups = 10_000
  /// Series kept over all groups.
  var series = 100_000
  /// One group in bytes, with the labels of its path in each series.
  var groupByteCount = 8 << 20
  /// Text of all series' lines, including those of events, in bytes.
  var expositionByteCount = Int.max
  /// A push's body in bytes, before and after it is decompressed.
  var bodyByteCount = 1 << 20
  /// Labels of a series.
  var labels = 32
  /// A family's or a label's name in bytes.
  var nameByteCount = 256
  /// A label's value in bytes.
  var labelValueByteCount = 1024
}
