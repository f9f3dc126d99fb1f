import SidecarPlatform
import SidecarRules

/// The parts of a batch.
extension PushBatch {
  /// A range of `bytes`, which are less than 4 GiB. A push may have 150,000 families with one
  /// metric each, so both are kept small.
  struct Place {
    private var start: UInt32 = 0
    private var count: UInt32 = 0

    init() {}

    init(_ range: Range<Int>) {
      start = UInt32(range.lowerBound)
      count = UInt32(range.count)
    }

    var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
  }

  struct PushedFamily {
    var namePlace: Place
    var helpPlace = Place()
    var type = FamilyType.untyped
    var hasHelp = false
    var hasType = false
    var first: Int32 = -1
    var last: Int32 = -1
    var count: Int32 = 0
    /// Its `SeriesHash`.
    let hash: UInt64

    var name: Range<Int> { namePlace.range }
    /// Escaped as in the text format.
    var help: Range<Int> { helpPlace.range }
    var firstMetric: Int { Int(first) }
    var metricCount: Int { Int(count) }
  }

  struct PushedMetric {
    var labelPlace: Place
    var familyIndex: Int32
    var nextIndex: Int32 = -1
    /// The value, or the sum of a histogram or summary.
    var value = 0.0
    /// Its `SeriesHash`.
    let hash: UInt64
    /// A digest of the body's labels that the grouping key's replaced; see `mergeLabels`.
    var origin: UInt32
    /// Its `Points`; -1 for a number.
    var points: Int32 = -1

    var labels: Range<Int> { labelPlace.range }
    var family: Int { Int(familyIndex) }
    /// The family's next metric; -1 at the end.
    var next: Int { Int(nextIndex) }
  }

  /// The values of a histogram or summary besides its sum.
  struct Points {
    /// The number of observations; NaN if it is missing.
    var count = Double.nan
    var first = -1
    var last = -1
    var pointCount = 0
    var metric: Int
    var isSorted = true
    /// The bytes of a `NativeHistogram`.
    var native = 0..<0
  }

  /// A bucket with its cumulative count, or a quantile with its value.
  struct Point {
    var bound: Double
    var value: Double
    var nextIndex: Int32 = -1
    var next: Int { Int(nextIndex) }
  }
}

extension PushBatch {
  func copy(_ range: Range<Int>, to buffer: inout ByteBuffer) {
    bytes.copy(range, to: &buffer)
  }

  func name(of family: PushedFamily) -> String { bytes.text(family.name) }

  /// Whether it is one of the two families that describe every group; a pushed one is dropped.
  func isPushTime(_ index: Int) -> Bool {
    let name = families[index].name
    guard name.count == 17 || name.count == 25 else { return false }
    return Names.isPushTime(array(name))
  }
}

extension ByteBuffer {
  func copy(_ range: Range<Int>, to other: inout ByteBuffer) {
    other.append(bytes.extracting(range))
  }

  func array(_ range: Range<Int>) -> [UInt8] { SeriesKey.array(bytes.extracting(range)) }

  func isEqual(_ range: Range<Int>, _ other: RawSpan) -> Bool {
    ByteCompare.equal(bytes.extracting(range), other)
  }
}
