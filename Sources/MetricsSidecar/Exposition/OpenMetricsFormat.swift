import SidecarPlatform

/// OpenMetrics 1.0: the lines of text 0.0.4 under other heads, and `# EOF`.
/// https://prometheus.io/docs/specs/om/open_metrics_spec/
///
/// A counter's family has no `_total`, its sample has:
///
///     # TYPE jobs_done counter
///     # HELP jobs_done Jobs that were done
///     jobs_done_total{queue="mail"} 4.0
///     jobs_done_created{queue="mail"} 1767225600.25
///
/// The last line only with `--created-lines`: a Prometheus that does not read it as a start time
/// stores it as one more series.
///
/// A counter that is not called `_total`, or whose short name is another family's or a sample's of
/// one (`wait_count` beside a histogram `wait`), is of type `unknown`, so that one family never spoils
/// the page.
enum OpenMetricsFormat {
  static let end: StaticString = "# EOF\n"

  static func canBeCounter(_ name: [UInt8], _ registry: Registry) -> Bool {
    let families = registry.familyIndex
    return SampleNames.short(
      name, isFamily: { families[$0] != nil },
      hasSamples: { families[$0].map { registry.families[$0].kind.hasSuffixes } ?? false }) != nil
  }

  /// Whether the short name of a counter called `name`, or a sample of it, may be another family's of
  /// `names` or a sample of one.
  static func isTaken(_ name: [UInt8], _ names: Set<[UInt8]>) -> Bool {
    !names.isEmpty
      && SampleNames.short(
        name, isFamily: { names.contains($0) }, hasSamples: { names.contains($0) }) == nil
  }

  /// Adds the names that `# TYPE` lines of text 0.0.4 have.
  static func addFamilyNames(in text: RawSpan, to names: inout Set<[UInt8]>) {
    var start = 0
    while start < text.byteCount {
      var end = start
      while end < text.byteCount, text.at(end) != 10 { end += 1 }
      if end - start > 7, text.at(start) == UInt8(ascii: "#"),
        text.at(start + 2) == UInt8(ascii: "T")
      {
        var nameEnd = start + 7
        while nameEnd < end, text.at(nameEnd) != 32 { nameEnd += 1 }
        names.insert(SeriesKey.array(text.extracting(start + 7..<nameEnd)))
      }
      start = end + 1
    }
  }

  static func head(_ family: Family, isCounter: Bool, to page: inout ByteBuffer) {
    let type: StaticString =
      switch family.kind {
      case .counter: isCounter ? "counter" : "unknown"
      case .histogram, .nativeHistogram: "histogram"
      case .summary: "summary"
      default: "gauge"
      }
    let name = isCounter ? Array(family.name.dropLast(6)) : family.name
    head(name, type, help: Array(family.help.utf8), to: &page)
  }

  /// `help` is as it was written, without escapes.
  static func head(
    _ name: [UInt8], _ type: StaticString, help: [UInt8], to page: inout ByteBuffer
  ) {
    line("# TYPE ", name, to: &page)
    page.append(type)
    page.append("\n")
    if let unit = unit(of: name) {
      line("# UNIT ", name, to: &page)
      page.append(unit)
      page.append("\n")
    }
    guard !help.isEmpty else { return }
    line("# HELP ", name, to: &page)
    var escaped = ByteBuffer(capacity: help.count + 16)
    unsafe Labels.appendEscaped(help.span.bytes, to: &escaped)
    page.append(escaped.bytes)
    page.append("\n")
  }

  /// When the series was made, in seconds; nothing below 2 ms, which stands for an unknown time. `nameByteCount` is that
  /// of the family's name without `_total`, `suffixByteCount` of what follows it in `key`.
  @_optimize(speed)
  static func created(
    _ milliseconds: UInt64, _ key: RawSpan, _ nameByteCount: Int, _ suffixByteCount: Int,
    to page: inout ByteBuffer
  ) {
    guard milliseconds > 1 else { return }
    page.append(key.extracting(0..<nameByteCount))
    page.append("_created" as StaticString)
    page.append(key.extracting(nameByteCount + suffixByteCount..<key.byteCount))
    page.append(UInt8(ascii: " "))
    seconds(milliseconds, to: &page)
    page.append(UInt8(ascii: "\n"))
  }

  /// So many milliseconds in seconds: what `NumberFormat` writes of the quotient, without dividing.
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

  /// The base units that names end with.
  static func unit(of name: [UInt8]) -> StaticString? {
    let units: [StaticString] = [
      "seconds", "bytes", "ratio", "meters", "grams", "joules", "volts", "amperes", "celsius",
    ]
    for unit in units
    where name.count > unit.utf8CodeUnitCount + 1 && SampleNames.has(name, unit)
      && name[name.count - unit.utf8CodeUnitCount - 1] == UInt8(ascii: "_")
    {
      return unit
    }
    return nil
  }

  private static func line(_ start: StaticString, _ name: [UInt8], to page: inout ByteBuffer) {
    page.append(start)
    page.append(name)
    page.append(" ")
  }
}
