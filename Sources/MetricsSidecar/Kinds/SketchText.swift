import SidecarPlatform

/// Lines of the kinds that are more than a number or some buckets, in text 0.0.4 and OpenMetrics.
enum SketchText {
  /// All lines of one series but `_created`. `values` are its record's cells without the first.
  /// OpenMetrics takes no sum and no quantile below 0.
  static func append(
    _ key: RawSpan, _ family: Family, _ values: Span<Double>, now: UInt64,
    isOpenMetrics: Bool = false, mayHaveSum: Bool = true,
    exemplars: Exemplars? = nil, of record: Int = 0, to page: inout ByteBuffer
  ) {
    // Histograms and summaries have their sum in the same place.
    let hasSum = mayHaveSum && !(isOpenMetrics && values[SummaryCells.sum - 1] < 0)
    switch family.kind {
    case .nativeHistogram:
      // Its exponential buckets are for protobuf alone, as with the official clients.
      let classic = NativeHistogramCells.classic(values, family)
      TextFormat.histogram(
        key, family, classic.span, hasSum: hasSum, exemplars: exemplars,
        of: NativeHistogramCells.classicRecord(record, family.options), to: &page)
    case .summary:
      let quantiles = SummaryCells.quantiles(values, now: now, family.options)
      for index in 0..<quantiles.count where !(isOpenMetrics && quantiles[index] < 0) {
        TextFormat.labelled(key, family, "", index, quantiles[index], to: &page)
      }
      guard hasSum else { return }
      let count = family.name.count
      TextFormat.line(key, count, "_count", values[SummaryCells.samples - 1], to: &page)
      TextFormat.line(key, count, "_sum", values[SummaryCells.sum - 1], to: &page)
    default:
      if let value = value(values, now: now, family) { TextFormat.line(key, value, to: &page) }
    }
  }

  /// What a kind that is shown as a gauge has.
  static func value(_ values: Span<Double>, now: UInt64, _ family: Family) -> Double? {
    family.kind == .set
      ? DistinctCells.estimate(values, now: now, family.options)
      : ClientGaugeCells.value(values, now: now, family.options)
  }
}

extension Record.Kind {
  var isSketched: Bool {
    switch self {
    case .set, .summary, .nativeHistogram, .clientGauge: true
    default: false
    }
  }
}
