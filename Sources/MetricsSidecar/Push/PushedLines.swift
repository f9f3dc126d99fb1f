import SidecarPlatform

/// The lines of one pushed family, in text 0.0.4 or, where a page is OpenMetrics, as that has them.
///
/// Clients push what OpenMetrics has no lines for. There, a counter some series of which are NaN or
/// below 0 is of type `unknown`; a histogram whose buckets are no rising whole counts is left out; a sum
/// that is NaN or below 0, or does not go with its count, is left out with the count; and so is a
/// quantile that is below 0 or of no number from 0 to 1.
struct PushedLines: ~Copyable {
  private let name: [UInt8]
  private let format: PageFormat
  private let isOdd: Bool
  /// Keys under which events would have its series.
  var series: OtherSeries

  /// `isOdd`: whether it is a counter that OpenMetrics does not call so.
  init(_ name: [UInt8], _ format: PageFormat, isOdd: Bool) {
    self.name = name
    self.format = format
    self.isOdd = isOdd || name.elementsEqual("_total".utf8)
    series = OtherSeries(name)
  }

  /// A counter called `_total` has no name left for the official Python parsers.
  func head(_ help: RawSpan, _ type: FamilyType, to page: inout ByteBuffer) {
    if help.byteCount > 0 {
      page.append("# HELP ")
      page.append(name)
      page.append(UInt8(ascii: " "))
      page.append(help)
      page.append(UInt8(ascii: "\n"))
    }
    page.append("# TYPE ")
    page.append(name)
    page.append(UInt8(ascii: " "))
    switch type {
    // Text formats know no gauge histograms, as with the official clients.
    case .gaugeHistogram: page.append(format == .protobuf ? "gaugehistogram" : "histogram")
    case .counter where isOdd: page.append(FamilyType.untyped.text)
    default: page.append(type.text)
    }
    page.append(UInt8(ascii: "\n"))
  }

  /// Whether the page has no line of a series.
  func leavesOut(_ metric: GroupBytes.Metric, of group: RawSpan, _ type: FamilyType) -> Bool {
    format.isOpenMetrics && type.isHistogram && !GroupBytes.hasWholeCounts(metric, of: group)
  }

  func append(
    _ metric: GroupBytes.Metric, of group: RawSpan, _ type: FamilyType, to page: inout ByteBuffer
  ) {
    let labels = group.extracting(metric.labels)
    guard type.hasPoints else {
      return line("", labels, group.double(at: metric.value), to: &page)
    }
    let isOpenMetrics = format.isOpenMetrics
    for point in 0..<metric.pointCount {
      let bound = group.double(at: metric.bound(point))
      let value = group.double(at: metric.pointValue(point))
      if isOpenMetrics, type == .summary, !(bound >= 0 && bound <= 1) || value < 0 { continue }
      page.append(name)
      if type.isHistogram { page.append("_bucket") }
      page.append(UInt8(ascii: "{"))
      page.append(labels)
      page.append(type.isHistogram ? ",le=\"" : ",quantile=\"")
      NumberFormat.append(bound, to: &page)
      page.append("\"} ")
      NumberFormat.append(value, to: &page)
      page.append(UInt8(ascii: "\n"))
    }
    if isOpenMetrics, !GroupBytes.hasSoundSum(metric, of: group, type) { return }
    line("_sum", labels, group.double(at: metric.value), to: &page)
    let count = group.double(at: metric.count)
    if format == .protobuf, let native = NativeHistogram(group, metric.native) {
      NativeLine.append(native, count, to: &page)
    }
    line("_count", labels, count, to: &page)
  }

  private func line(
    _ suffix: StaticString, _ labels: RawSpan, _ value: Double, to page: inout ByteBuffer
  ) {
    page.append(name)
    page.append(suffix)
    page.append(UInt8(ascii: "{"))
    page.append(labels)
    page.append("} ")
    NumberFormat.append(value, to: &page)
    page.append(UInt8(ascii: "\n"))
  }
}

/// What OpenMetrics takes of histograms and summaries.
extension GroupBytes {
  /// Whether a histogram's buckets are whole counts that do not fall.
  static func hasWholeCounts(_ metric: Metric, of group: RawSpan) -> Bool {
    var last = 0.0
    for point in 0..<metric.pointCount {
      let value = group.double(at: metric.pointValue(point))
      guard value >= last, isWhole(value) else { return false }
      last = value
    }
    return true
  }

  /// Whether sum and count may be told: the sum is a number from 0 on, no bucket is below 0, and the
  /// count is that of all buckets.
  static func hasSoundSum(_ metric: Metric, of group: RawSpan, _ type: FamilyType) -> Bool {
    let count = group.double(at: metric.count)
    guard group.double(at: metric.value) >= 0, count >= 0, isWhole(count) else { return false }
    guard type.isHistogram, metric.pointCount > 0 else { return true }
    return group.double(at: metric.bound(0)) >= 0
      && group.double(at: metric.pointValue(metric.pointCount - 1)) == count
  }

  private static func isWhole(_ value: Double) -> Bool {
    value.isFinite && value.rounded(.towardZero) == value
  }
}
