import SidecarPlatform

/// OpenMetrics 1.0: the lines of text 0.0.4 with different heads, and `# EOF`.
/// https://prometheus.io/docs/specs/om/open_metrics_spec/
///
/// A counter's family has no `_total`, its sample has:
///
///     # TYPE jobs_done counter
///     # HELP jobs_done Jobs that were done
///     jobs_done_total{queue="mail"} 4.0
///     jobs_done_created{queue="mail"} 1767225600.25
///
/// The last line appears only with `--created-lines`: a Prometheus that does not read it as a start
/// time stores it as another series.
///
/// Omits what it cannot express: counters below 0, sums that are below 0 or do not match their
/// count, quantiles below 0 or outside 0 to 1.
final class OpenMetricsWriter: TextWriter {
  private let hasCreatedLines: Bool
  /// The family's name in its head.
  private var short = Stem()

  static let lastLine: StaticString = "# EOF\n"

  init(_ names: WrittenNames?, hasCreatedLines: Bool) {
    self.hasCreatedLines = hasCreatedLines
    super.init(names)
  }

  override func take(_ head: FamilyHead) {
    super.take(head)
    short = head.hasShortName ? stem(Self.withoutTotal(written)) : stem
  }

  private static func withoutTotal(_ name: [UInt8]) -> [UInt8] {
    Array(name.dropLast(SampleNames.total.utf8CodeUnitCount))
  }

  override func begin(seriesByteCount: Int, to page: inout ByteBuffer) {
    comment("# TYPE ", short, to: &page)
    switch head.type {
    case .counter where !head.hasShortName, .untyped: page.append("unknown")
    case .gaugeHistogram: page.append(FamilyType.histogram.text)
    default: page.append(head.type.text)
    }
    page.append(UInt8(ascii: "\n"))
    // A unit has to be the end of its name: `wait.seconds` has none.
    let plain = head.hasShortName ? Self.withoutTotal(head.name) : head.name
    if let unit = SampleNames.unit(of: plain),
      names == nil || SampleNames.endsInUnit(short.text, unit)
    {
      comment("# UNIT ", short, to: &page)
      page.append(unit)
      page.append(UInt8(ascii: "\n"))
    }
    let help = head.help
    guard !help.isEmpty else { return }
    comment("# HELP ", short, to: &page)
    unsafe Labels.appendQuotedHelp(help.span.bytes, to: &page)
    page.append(UInt8(ascii: "\n"))
  }

  @_optimize(speed)
  override func numbers(
    _ part: Snapshot.Part, of snapshot: Snapshot, from series: inout Int,
    to page: inout ByteBuffer, end: Int
  ) {
    guard head.hasShortName else {
      return super.numbers(part, of: snapshot, from: &series, to: &page, end: end)
    }
    let state = snapshot.state
    let exemplars = snapshot.exemplars(part.family)
    let nameByteCount = head.name.count
    let count = part.series.count
    var index = series
    while index < count, page.count < end {
      let record = part.series[index]
      index += 1
      let value = snapshot.value(record)
      // Negative timings can bring a counter below 0.
      guard value >= 0 else { continue }
      let key = state.key(record)
      if names == nil {
        Self.line(key, value, to: &page)
      } else {
        number(Labels.inside(key, nameByteCount), value, to: &page)
      }
      exemplars?.appendText(record.headCell + 1, part.family.options.exemplar, to: &page)
      if hasCreatedLines {
        created(
          snapshot.createdMilliseconds(record), Labels.inside(key, nameByteCount), to: &page)
      }
    }
    series = index
  }

  override func histogram(_ labels: RawSpan, _ points: PointSeries, to page: inout ByteBuffer) {
    for index in points.values.indices {
      point(labels, .bucket, points.texts[index], points.values[index], to: &page)
      points.exemplars?.appendText(points.bucketCell + index, points.exemplarTag, to: &page)
    }
    end(labels, points, to: &page)
  }

  override func summary(_ labels: RawSpan, _ points: PointSeries, to page: inout ByteBuffer) {
    for index in points.values.indices {
      let value = points.values[index]
      guard points.bounds[index] >= 0, points.bounds[index] <= 1, !(value < 0) else { continue }
      point(labels, .whole, points.texts[index], value, to: &page)
    }
    end(labels, points, to: &page)
  }

  private func end(_ labels: RawSpan, _ points: PointSeries, to page: inout ByteBuffer) {
    if points.hasSoundSum { totals(labels, points, to: &page) }
    if hasCreatedLines { created(points.createdMilliseconds, labels, to: &page) }
  }

  /// The creation time of the series, in seconds; nothing below 2 ms, which means an unknown time.
  @_optimize(speed)
  private func created(_ milliseconds: UInt64, _ labels: RawSpan, to page: inout ByteBuffer) {
    guard milliseconds > 1 else { return }
    start(short, SampleNames.Part.created.ending, labels, to: &page)
    Self.seconds(milliseconds, to: &page)
    page.append(UInt8(ascii: "\n"))
  }

  /// Milliseconds in seconds: what `NumberFormat` would write for the quotient, without dividing.
  @_optimize(speed)
  static func seconds(_ milliseconds: UInt64, to page: inout ByteBuffer) {
    Decimal.append(milliseconds / 1000, to: &page)
    page.append(UInt8(ascii: "."))
    var rest = milliseconds % 1000
    repeat {
      page.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / 100))
      rest = rest % 100 * 10
    } while rest > 0
  }
}
