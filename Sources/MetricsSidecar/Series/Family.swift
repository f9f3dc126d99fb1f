import SidecarPlatform

/// A family: name, type, help, and the positions of its series in the state file.
final class Family {
  let name: [UInt8]
  let kind: MetricType
  let metric: Metric
  /// Escaped, as in text 0.0.4.
  let help: [UInt8]
  /// Upper bounds without +Inf; empty except for histograms.
  let bounds: [Double]
  let options: KindOptions
  /// `le="…"} ` for each bound and for +Inf, or `quantile="…"} ` for each quantile.
  let boundTexts: [[UInt8]]
  /// Distinguishes series whose cells have another meaning: other buckets, another window.
  let shape: UInt32
  /// Which of the rules' forms of this name it has; see `Registry+Forms`.
  var form: UInt8 = 0
  /// The next family of its name, in another form, and whether it comes after one.
  var next: Family?
  var isFurther = false
  /// Its index in `Registry.families`.
  var place = 0
  /// Whether a rule names it, so that it is shown without a series too.
  var isDeclared = false
  /// Whether a client declared it.
  var isDeclaredByClient = false
  /// Whether it matches the rules in force, as far as they name it. A family found by a restart or
  /// a reload waits for its first event to decide.
  var isCurrent = true
  /// First cells of series without labels or with only constant ones: they exist from the start and
  /// stay.
  var constants: Set<Int> = []
  /// Its own time to live in nanoseconds; 0 is forever, `nil` the global one.
  var timeToLive: UInt64?
  /// In the order of their creation; after a restart in the order of their records.
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

  /// The same for series whose records have another form.
  init(_ other: Family, form: UInt8, isCurrent: Bool) {
    name = other.name
    kind = other.kind
    metric = other.metric
    help = other.help
    bounds = other.bounds
    options = other.options
    boundTexts = other.boundTexts
    shape = other.shape
    timeToLive = other.timeToLive
    self.form = form
    self.isCurrent = isCurrent
  }

  /// The number of cells of a series in this family, including the first, which says whether it is
  /// in use.
  var cellCount: Int {
    metric.cellCount(options, bounds: bounds.count)
  }

  /// The approximate bytes of the text lines of a series, given the bytes of its key.
  func textByteCount(key byteCount: Int) -> Int {
    guard kind.hasSuffixes else { return byteCount + 24 }
    // In protobuf a native histogram takes a few bytes per bucket.
    return (boundTexts.count + 2) * (byteCount + 40)
      + (kind == .nativeHistogram ? 8 * cellCount : 0)
  }

  /// The bytes of its head in text.
  var headByteCount: Int {
    let help = help.isEmpty ? 0 : 9 + name.count + help.count
    return help + 9 + name.count + FamilyType(kind).text.utf8CodeUnitCount
  }
}
