import SidecarPlatform

/// The head of a family.
struct FamilyHead {
  let name: [UInt8]
  let type: FamilyType
  /// Escaped, as in text 0.0.4.
  let help: [UInt8]
  /// Whether OpenMetrics can name the counter without `_total`.
  let hasShortName: Bool

  init(_ name: [UInt8], _ type: FamilyType, help: [UInt8], hasShortName: Bool = false) {
    self.name = name
    // The official Python parsers would be left with no name for a counter called `_total`.
    let isNameless = type == .counter && name.elementsEqual("_total".utf8)
    self.type = isNameless ? .untyped : type
    self.help = help
    self.hasShortName = hasShortName && type == .counter
  }
}

/// Writes families in one format: events' families, pushed ones and the sidecar's own alike. It
/// writes one after the other, some series per call, and escapes names as it writes them.
///
/// For each family, `take` comes first. If the format puts the length before the family, the series
/// are written once just to measure them, then `begin` gets the length, and they are written again,
/// identical to the byte. Labels are in the text format, `a="1",b="2"`, without braces.
protocol FamilyWriter: AnyObject {
  /// The family that follows.
  func take(_ head: FamilyHead)

  /// Appends its head; its series take this many bytes.
  func begin(seriesByteCount: Int, to page: inout ByteBuffer)

  /// Appends series with one number each, from `series` on, until the page has `end` bytes.
  func numbers(
    _ part: Snapshot.Part, of snapshot: Snapshot, from series: inout Int,
    to page: inout ByteBuffer, end: Int)

  /// The bytes that `numbers` will append for the next series, some thousands of them.
  func byteCount(
    ofNumbers part: Snapshot.Part, of snapshot: Snapshot, from series: inout Int
  ) -> Int

  func number(_ labels: RawSpan, _ value: Double, to page: inout ByteBuffer)

  /// A histogram with classic buckets, exponential ones, or both.
  func histogram(_ labels: RawSpan, _ points: PointSeries, to page: inout ByteBuffer)

  func summary(_ labels: RawSpan, _ points: PointSeries, to page: inout ByteBuffer)

  func end(to page: inout ByteBuffer)
}

/// One series of a histogram or summary as input of a writer; refilled for each.
final class PointSeries {
  /// Upper bounds, +Inf last, or quantiles.
  private(set) var bounds: [Double] = []
  /// `le="0.5"} ` or `quantile="0.5"} ` for each.
  private(set) var texts: [[UInt8]] = []
  private var isHistogram = false
  /// Cumulative counts, or the quantiles' values.
  var values: [Double] = []
  var sum = 0.0
  var count = 0.0
  /// Whether protobuf must write the counts as floats.
  var isFloat = false
  var native: NativeHistogram?
  /// In Unix milliseconds; below 2 if unknown.
  var createdMilliseconds: UInt64 = 0
  /// Pushed series have the sum before the count, those of events after it.
  var hasSumFirst = false
  /// The exemplars of the first bucket's cell, of the following ones, and of some more cells.
  var exemplars: Exemplars?
  var exemplarTag: [UInt8] = []
  var bucketCell = 0
  var nativeCells = 0..<0
  var zerosCell = 0

  /// Begins a series of events.
  func begin(_ family: Family, createdMilliseconds: UInt64, _ exemplars: Exemplars?) {
    if family.boundTexts.count != texts.count || family.boundTexts != texts {
      texts = family.boundTexts
      isHistogram = family.kind != .summary
      bounds = isHistogram ? family.bounds + [.infinity] : family.options.quantiles
    }
    values.removeAll(keepingCapacity: true)
    self.createdMilliseconds = createdMilliseconds
    self.exemplars = exemplars
    exemplarTag = family.options.exemplar
    isFloat = false
    native = nil
    hasSumFirst = false
    nativeCells = 0..<0
  }

  /// Begins a pushed series.
  func begin(_ metric: GroupBytes.MetricRecord, of group: RawSpan, _ type: FamilyType) {
    var areSame = bounds.count == metric.pointCount && isHistogram == type.isHistogram
    for point in 0..<metric.pointCount where areSame {
      areSame = bounds[point].bitPattern == group.double(at: metric.bound(point)).bitPattern
    }
    if !areSame {
      isHistogram = type.isHistogram
      bounds = (0..<metric.pointCount).map { group.double(at: metric.bound($0)) }
      texts = bounds.map { Self.text($0, isHistogram: isHistogram) }
    }
    values.removeAll(keepingCapacity: true)
    for point in 0..<metric.pointCount {
      values.append(group.double(at: metric.pointValue(point)))
    }
    sum = group.double(at: metric.value)
    count = group.double(at: metric.count)
    isFloat = type.isHistogram && !(count.isWhole && values.allSatisfy { $0.isWhole })
    native = nil
    createdMilliseconds = 0
    hasSumFirst = true
    exemplars = nil
  }

  static func text(_ bound: Double, isHistogram: Bool) -> [UInt8] {
    var text = ByteBuffer(capacity: 32)
    text.append(isHistogram ? "le=\"" : "quantile=\"")
    NumberFormat.append(bound, to: &text)
    text.append("\"} ")
    return text.array
  }

  /// Whether OpenMetrics allows sum and count: the sum is a number not below 0, no bucket is below
  /// 0, and the count is that of all buckets.
  var hasSoundSum: Bool {
    guard sum >= 0, count >= 0, count.isFinite, count.rounded(.towardZero) == count else {
      return false
    }
    guard isHistogram, let first = bounds.first, let last = values.last else { return true }
    return first >= 0 && last == count
  }
}
