import SidecarPlatform

/// A family: name, type, help, and where its series lie in the state file.
final class Family {
  let name: [UInt8]
  let kind: Record.Kind
  let help: String
  /// `# HELP` and `# TYPE`, as the exposition has them; no HELP where there is no help text.
  let header: [UInt8]
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
    self.help = help
    self.bounds = bounds
    self.options = options
    header = Self.header(name, kind, help)
    boundTexts = (kind == .summary ? options.quantiles : bounds + [.infinity]).map { bound in
      var text = ByteBuffer(capacity: 32)
      text.append(kind == .summary ? "quantile=\"" : "le=\"")
      NumberFormat.append(bound, to: &text)
      text.append("\"} ")
      return text.array
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

  private static func header(_ name: [UInt8], _ kind: Record.Kind, _ help: String) -> [UInt8] {
    var text = ByteBuffer(capacity: 128)
    if !help.isEmpty {
      text.append("# HELP ")
      text.append(name)
      text.append(UInt8(ascii: " "))
      let help = Array(help.utf8)
      unsafe Labels.appendEscapedHelp(help.span.bytes, to: &text)
      text.append(UInt8(ascii: "\n"))
    }
    text.append("# TYPE ")
    text.append(name)
    switch kind {
    // The official Python parsers would have no name left.
    case .counter: text.append(name.elementsEqual("_total".utf8) ? " untyped\n" : " counter\n")
    case .histogram, .nativeHistogram: text.append(" histogram\n")
    case .summary: text.append(" summary\n")
    case .gauge, .set, .clientGauge, .session, .spelling, .declaration: text.append(" gauge\n")
    }
    return text.array
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
