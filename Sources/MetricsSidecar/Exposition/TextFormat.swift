import Platform

/// Prometheus text format 0.0.4: `# HELP`, `# TYPE`, then a line a series. A series' key is its
/// line's start, so a line is a copy, a number and a newline.
/// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
enum TextFormat {
  static func append(_ registry: Registry, to page: inout ByteBuffer) {
    for family in registry.families where !family.series.isEmpty || !family.labels.isEmpty {
      append(family, registry.state, to: &page)
    }
  }

  private static func append(_ family: Family, _ state: StateFile, to page: inout ByteBuffer) {
    page.append(family.header)
    for record in family.series {
      if family.kind == .histogram {
        appendHistogram(record, family, state, to: &page)
      } else {
        page.append(state.key(record))
        page.append(UInt8(ascii: " "))
        NumberFormat.append(state.number(record.firstCell + 1), to: &page)
        page.append(UInt8(ascii: "\n"))
      }
    }
  }

  /// `_bucket` lines rise to `le="+Inf"`, which is `_count`; then `_sum`.
  private static func appendHistogram(
    _ record: Record, _ family: Family, _ state: StateFile, to page: inout ByteBuffer
  ) {
    let key = state.key(record)
    let nameByteCount = family.name.count
    let labels = key.extracting(nameByteCount..<key.byteCount)
    let cells = record.firstCell
    var cumulative = 0.0
    for index in 0..<family.boundTexts.count {
      cumulative += state.number(cells + HistogramCells.firstBucket + index)
      page.append(family.name)
      page.append("_bucket")
      if labels.byteCount == 0 {
        page.append(UInt8(ascii: "{"))
      } else {
        page.append(labels.extracting(0..<(labels.byteCount - 1)))
        page.append(UInt8(ascii: ","))
      }
      page.append(family.boundTexts[index])
      NumberFormat.append(cumulative, to: &page)
      page.append(UInt8(ascii: "\n"))
    }
    append(family.name, "_count", labels, cumulative, to: &page)
    append(family.name, "_sum", labels, state.number(cells + HistogramCells.sum), to: &page)
  }

  private static func append(
    _ name: [UInt8], _ suffix: StaticString, _ labels: RawSpan, _ value: Double,
    to page: inout ByteBuffer
  ) {
    page.append(name)
    page.append(suffix)
    page.append(labels)
    page.append(UInt8(ascii: " "))
    NumberFormat.append(value, to: &page)
    page.append(UInt8(ascii: "\n"))
  }
}
