import SidecarPlatform
import SidecarRules

/// What a batch is made of.
extension PushBatch {
  /// A range of `bytes`, of which there are less than 4 GiB. A push may be 150,000 families of a
  /// metric each, so what is kept of either is small.
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

  struct Family {
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

  struct Metric {
    var labelPlace: Place
    var familyIndex: Int32
    var nextIndex: Int32 = -1
    /// The value, or the sum of a histogram or summary.
    var value = 0.0
    /// Its `SeriesHash`.
    let hash: UInt64
    /// What labels of the body gave way to the grouping key's; see `mergeLabels`.
    var origin: UInt32
    /// Its `Points`; -1 for a number.
    var points: Int32 = -1

    var labels: Range<Int> { labelPlace.range }
    var family: Int { Int(familyIndex) }
    /// The family's next one; -1 at the end.
    var next: Int { Int(nextIndex) }
  }

  /// What a histogram or summary has beside its sum.
  struct Points {
    /// The number of observations; NaN where it is not told.
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

  func name(of family: Family) -> String { bytes.text(family.name) }

  /// Whether it is one of the two families that every group has of itself; a pushed one is dropped.
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
