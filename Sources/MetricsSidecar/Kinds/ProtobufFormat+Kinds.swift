import SidecarPlatform

extension ProtobufFormat {
  /// One `Metric` of a kind that is more than a number or some buckets. `values` are its record's
  /// cells without the first.
  static func sketch(
    _ key: RawSpan, _ family: Family, _ values: Span<Double>, now: UInt64,
    createdMilliseconds: UInt64, exemplars: Exemplars? = nil, of record: Int = 0,
    names: NameWriter? = nil, to page: inout ByteBuffer
  ) {
    let nameByteCount = family.name.count
    switch family.kind {
    case .nativeHistogram:
      native(key, family, values, createdMilliseconds, exemplars, record, names, to: &page)
    case .summary:
      let quantiles = SummaryCells.quantiles(values, now: now, family.options)
      var list: [(at: Double, value: Double)] = []
      for index in 0..<quantiles.count {
        list.append((family.options.quantiles[index], quantiles[index]))
      }
      points(
        key.extracting(nameByteCount..<key.byteCount), .summary, list,
        sum: values[SummaryCells.sum - 1], count: values[SummaryCells.samples - 1],
        createdMilliseconds: createdMilliseconds, names: names, to: &page)
    default:
      guard let value = SketchText.value(values, now: now, family) else { return }
      metric(
        key, nameByteCount, .gauge, value, createdMilliseconds: 0, names: names, to: &page)
    }
  }

  /// A histogram with its exponential buckets: runs of neighbours (spans), and in each bucket the
  /// difference to the one before. For buckets 3, 4 and 7 with 5, 2 and 2 samples:
  ///
  ///     62 04 08 06 10 02   positive_span = 12: offset 3, length 2
  ///     62 04 08 04 10 01   positive_span = 12: offset 2 from the end of the last, length 1
  ///     68 0a 68 05 68 00   positive_delta = 13: 5, -3, 0
  ///
  /// Fixed buckets only where the rule gives some; +Inf is the count.
  private static func native(
    _ key: RawSpan, _ family: Family, _ values: Span<Double>, _ createdMilliseconds: UInt64,
    _ exemplars: Exemplars?, _ record: Int, _ names: NameWriter?, to page: inout ByteBuffer
  ) {
    let options = family.options
    let metric = begin(4, &page)
    labels(key, from: family.name.count, names, to: &page)
    let inner = begin(7, &page)
    let control = NativeHistogramCells.control - 1
    var sorted = SortedBuckets()
    sorted.add(values, control: control, capacity: NativeHistogramCells.capacity(options))
    sorted.sort()
    // What the buckets hold, which have a limit: readers refuse another number.
    let zeros = whole(values[NativeHistogramCells.zeros - 1])
    page.append(1 << 3)
    varint(zeros + sorted.total, to: &page)
    double(2, values[NativeHistogramCells.sum - 1], to: &page)
    let classic = NativeHistogramCells.classic(values, family)
    if !family.bounds.isEmpty {
      buckets(
        classic.span, family, exemplars: exemplars,
        of: NativeHistogramCells.classicRecord(record, options), to: &page)
    }
    let head = values[control].bitPattern
    page.append(5 << 3)
    zigzag(Int64(head == 0 ? options.schema : BucketTable.schema(head)), to: &page)
    double(6, options.zeroThreshold, to: &page)
    page.append(7 << 3)
    varint(zeros, to: &page)
    side(sorted, sign: -1, spans: 9, deltas: 10, to: &page)
    side(sorted, sign: 1, spans: 12, deltas: 13, to: &page)
    // Without a bucket and with a threshold of 0, an empty span says that it is a native one.
    if head == 0, options.zeroThreshold == 0 { span(12, offset: 0, length: 0, to: &page) }
    created(15, createdMilliseconds, to: &page)
    if let exemplars {
      let first = record + NativeHistogramCells.control + 1
      for cell in first..<first + NativeHistogramCells.exemplarCount {
        exemplars.appendProtobuf(16, cell, options.exemplar, to: &page)
      }
      exemplars.appendProtobuf(
        16, record + NativeHistogramCells.zeros, options.exemplar, to: &page)
    }
    end(inner, &page)
    end(metric, &page)
  }

  /// The buckets below or above 0, from the smallest magnitude on.
  private static func side(
    _ sorted: SortedBuckets, sign: Int, spans: UInt8, deltas: UInt8, to page: inout ByteBuffer
  ) {
    let first = sign > 0 ? sorted.firstAbove : sorted.firstZero - 1
    let end = sign > 0 ? sorted.count : -1
    var start = first
    var last: UInt64 = 0
    while start != end {
      var next = start + sign
      while next != end, sorted[next].index == sorted[next - sign].index + 1 { next += sign }
      let before = start == first ? 0 : sorted[start - sign].index + 1
      span(spans, offset: sorted[start].index - before, length: abs(next - start), to: &page)
      while start != next {
        let count = sorted[start].count
        page.append(deltas << 3)
        zigzag(Int64(count) - Int64(last), to: &page)
        last = count
        start += sign
      }
    }
  }

  static func span(
    _ field: UInt8, offset: Int, length: Int, to page: inout ByteBuffer
  ) {
    let span = begin(field, &page)
    page.append(1 << 3)
    zigzag(Int64(offset), to: &page)
    page.append(2 << 3)
    varint(UInt64(length), to: &page)
    end(span, &page)
  }

  /// A `sint32` or `sint64`.
  static func zigzag(_ value: Int64, to page: inout ByteBuffer) {
    varint(UInt64(bitPattern: value << 1 ^ value >> 63), to: &page)
  }
}
