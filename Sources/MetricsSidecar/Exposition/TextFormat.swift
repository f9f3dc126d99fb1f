import SidecarPlatform

/// Prometheus text format 0.0.4: `# HELP`, `# TYPE`, then a line a series. A series' key is its
/// line's start, so a line is a copy, a number and a newline.
/// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
///
/// Version 1.0.0 differs in names beyond ASCII only. OpenMetrics has the same lines under other
/// heads; see `OpenMetricsFormat`.
enum TextFormat {
  /// The whole page of a registry at once, without the self-metrics.
  static func append(_ registry: Registry, to page: inout ByteBuffer) {
    let writer = PageWriter(
      Snapshot(registry, filter: NameFilter()), shape: PageShape(), filter: NameFilter())
    while !writer.write(into: &page, byteCount: 1 << 20) {}
  }

  /// `key value`. A whole number below 10^15, as most are, is written at once with its key, which is
  /// that of a record: all bytes of its last unit can be read.
  @inline(__always)
  @_optimize(speed)
  static func line(_ key: RawSpan, _ value: Double, to page: inout ByteBuffer) {
    guard value >= 0, value < 1e15, value.sign == .plus, Double(Int64(value)) == value else {
      return oddLine(key, value, to: &page)
    }
    let keyByteCount = key.byteCount
    unsafe page.appendUnsafe(capacity: keyByteCount &+ 52) { memory in
      // Sound: the key, a blank, at most 15 digits, and three bytes more; the key's last unit is
      // copied whole. `memcpy` would cost more than the copy.
      let start = memory.baseAddress!
      unsafe key.withUnsafeBytes {
        guard let source = $0.baseAddress else { return }
        var at = 0
        while at < keyByteCount {
          for half in 0..<2 {
            unsafe (start + at + half &* 16).storeBytes(
              of: source.loadUnaligned(fromByteOffset: at &+ half &* 16, as: SIMD2<UInt64>.self),
              as: SIMD2<UInt64>.self)
          }
          at &+= StateFile.cellByteCount
        }
      }
      var at = unsafe start + keyByteCount
      unsafe at.storeBytes(of: UInt8(ascii: " "), as: UInt8.self)
      unsafe at += 1
      var rest = UInt64(value)
      var digits = 1
      var power: UInt64 = 10
      while rest >= power {
        digits &+= 1
        power &*= 10
      }
      for place in (0..<digits).reversed() {
        let tenth = rest / 10
        unsafe at.storeBytes(
          of: UInt8(truncatingIfNeeded: rest &- tenth &* 10) &+ 48, toByteOffset: place,
          as: UInt8.self)
        rest = tenth
      }
      unsafe at += digits
      unsafe at.storeBytes(of: UInt8(ascii: "."), as: UInt8.self)
      unsafe at.storeBytes(of: UInt8(ascii: "0"), toByteOffset: 1, as: UInt8.self)
      unsafe at.storeBytes(of: UInt8(ascii: "\n"), toByteOffset: 2, as: UInt8.self)
      return unsafe (at + 3) - UnsafeMutableRawPointer(start)
    }
  }

  @inline(never)
  private static func oddLine(_ key: RawSpan, _ value: Double, to page: inout ByteBuffer) {
    page.append(key)
    page.append(UInt8(ascii: " "))
    NumberFormat.append(value, to: &page)
    page.append(UInt8(ascii: "\n"))
  }

  /// `name_suffix{labels} value`, where `key` is `name{labels}`.
  @_optimize(speed)
  static func line(
    _ key: RawSpan, _ nameByteCount: Int, _ suffix: StaticString, _ value: Double,
    to page: inout ByteBuffer
  ) {
    page.append(key.extracting(0..<nameByteCount))
    page.append(suffix)
    page.append(key.extracting(nameByteCount..<key.byteCount))
    page.append(UInt8(ascii: " "))
    NumberFormat.append(value, to: &page)
    page.append(UInt8(ascii: "\n"))
  }

  /// `name_suffix{labels,le="…"} value`, with the family's bound or quantile at `index`.
  @inline(never)
  static func labelled(
    _ key: RawSpan, _ family: Family, _ suffix: StaticString, _ index: Int, _ value: Double,
    to page: inout ByteBuffer
  ) {
    page.append(family.name)
    page.append(suffix)
    let start = family.name.count
    if key.byteCount == start {
      page.append(UInt8(ascii: "{"))
    } else {
      page.append(key.extracting(start..<key.byteCount - 1))
      page.append(UInt8(ascii: ","))
    }
    page.append(family.boundTexts[index])
    NumberFormat.append(value, to: &page)
    page.append(UInt8(ascii: "\n"))
  }

  /// `_bucket` lines rise to `le="+Inf"`, which is `_count`; then `_sum`. `values` are those of
  /// `HistogramCells`, without the first; `record` is where that lies, for OpenMetrics' exemplars.
  @_optimize(speed)
  static func histogram(
    _ key: RawSpan, _ family: Family, _ values: Span<Double>, hasSum: Bool,
    exemplars: Exemplars? = nil, of record: Int = 0, to page: inout ByteBuffer
  ) {
    let nameByteCount = family.name.count
    var cumulative = 0.0
    for index in 0..<family.boundTexts.count {
      cumulative += values[HistogramCells.firstBucket - 1 + index]
      labelled(key, family, "_bucket", index, cumulative, to: &page)
      exemplars?.appendText(
        record + HistogramCells.firstBucket + index, family.options.exemplar, to: &page)
    }
    guard hasSum else { return }
    line(key, nameByteCount, "_count", cumulative, to: &page)
    line(key, nameByteCount, "_sum", values[HistogramCells.sum - 1], to: &page)
  }
}
