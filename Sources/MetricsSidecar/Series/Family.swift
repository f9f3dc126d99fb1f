import SidecarPlatform

/// A family: name, type, help, and where its series lie in the state file.
final class Family {
  let name: [UInt8]
  let kind: MetricType
  let metric: Metric
  /// Escaped, as text 0.0.4 has it.
  let help: [UInt8]
  /// Upper bounds without +Inf; empty but for histograms.
  let bounds: [Double]
  let options: KindOptions
  /// `le="…"} ` of each bound and of +Inf, or `quantile="…"} ` of each quantile.
  let boundTexts: [[UInt8]]
  /// Tells series apart whose cells mean something else: other buckets, another window.
  let shape: UInt32
  /// Whether a rule names it, so that it is shown without a series too.
  var isDeclared = false
  /// Whether that was a client's declaration.
  var isDeclaredByClient = false
  /// Whether it is as the rules in force have it, as far as they name it. One that a restart or a
  /// reload has found waits for its first event, which says what it is.
  var isCurrent = true
  /// First cells of series whose labels are all constants, or that have none: they are there from the
  /// start and stay.
  var constants: Set<Int> = []
  /// Of its own, in nanoseconds; 0 is for ever, `nil` what all others have.
  var timeToLive: UInt64?
  /// In the order in which they came; a restart finds them in the order of their records.
  var series: [Record] = []
  /// Where refused series add up, once there is one.
  var overflow: Record?

  init(
    name: [UInt8], kind: MetricType, help: String, bounds: [Double],
    options: KindOptions = KindOptions()
  ) {
    self.name = name
    self.kind = kind
    metric = kind.metric
    var escaped = ByteBuffer(capacity: 128)
    let plain = Array(help.utf8)
    unsafe Labels.appendEscapedHelp(plain.span.bytes, to: &escaped)
    self.help = escaped.array
    self.bounds = bounds
    self.options = options
    boundTexts = (kind == .summary ? options.quantiles : bounds + [.infinity]).map {
      PointSeries.text($0, isHistogram: kind != .summary)
    }
    var words = ByteBuffer()
    for number in bounds + metric.shape(options) { NumberFormat.append(number, to: &words) }
    shape = words.isEmpty ? 0 : Digest.checksum(words.bytes)
  }

  /// The cells a series of this family has, with the first that says whether it is in use.
  var cellCount: Int {
    metric.cellCount(options, bounds: bounds.count)
  }

  /// About the bytes of its lines on a text page, of a series whose key has so many.
  func textByteCount(key byteCount: Int) -> Int {
    guard kind.hasSuffixes else { return byteCount + 24 }
    // In protobuf a native histogram has a few bytes for each of its buckets.
    return (boundTexts.count + 2) * (byteCount + 40)
      + (kind == .nativeHistogram ? 8 * cellCount : 0)
  }

  /// The bytes of its head on a text page.
  var headByteCount: Int {
    let help = help.isEmpty ? 0 : 9 + name.count + help.count
    return help + 9 + name.count + FamilyType(kind).text.utf8CodeUnitCount
  }
}
