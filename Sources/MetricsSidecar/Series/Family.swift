import SidecarPlatform

/// A family: name, type, help, and where its series lie in the state file.
final class Family {
  let name: [UInt8]
  let kind: Record.Kind
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
    name: [UInt8], kind: Record.Kind, help: String, bounds: [Double],
    options: KindOptions = KindOptions()
  ) {
    self.name = name
    self.kind = kind
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
    for number in bounds + options.shape(kind) { NumberFormat.append(number, to: &words) }
    shape = words.isEmpty ? 0 : Digest.checksum(words.bytes)
  }

  /// The cells a series of this family has, with the first that says whether it is in use.
  var cellCount: Int {
    switch kind {
    case .counter, .gauge, .session, .spelling, .declaration: 2
    case .histogram: HistogramCells.count(bounds: bounds.count)
    case .set: DistinctCells.count(options)
    case .summary: SummaryCells.count(options)
    case .nativeHistogram: NativeHistogramCells.count(options, bounds: bounds.count)
    case .clientGauge: ClientGaugeCells.count(options)
    }
  }

  /// About the bytes of its lines on a text page, of a series whose key has so many.
  func textByteCount(key byteCount: Int) -> Int {
    switch kind {
    case .counter, .gauge, .session, .spelling, .declaration, .set, .clientGauge: byteCount + 24
    case .histogram, .summary: (boundTexts.count + 2) * (byteCount + 40)
    // In protobuf it has a few bytes for each of its buckets.
    case .nativeHistogram: (boundTexts.count + 2) * (byteCount + 40) + 8 * cellCount
    }
  }

  /// The bytes of its head on a text page.
  var headByteCount: Int {
    let help = help.isEmpty ? 0 : 9 + name.count + help.count
    return help + 9 + name.count + FamilyType(kind).text.utf8CodeUnitCount
  }
}

/// The cells of a histogram, after the one that says whether it is in use: the sum, the fraction of a
/// sample that `@rate` has left over, and a count for each bucket (not cumulative), +Inf last.
enum HistogramCells {
  static let sum = 1
  static let carry = 2
  static let firstBucket = 3
  static func count(bounds: Int) -> Int { firstBucket + bounds + 1 }
}
