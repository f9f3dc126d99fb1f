import SidecarPlatform

/// The protobuf exposition: one `io.prometheus.client.MetricFamily` after the other, each with its
/// length before it as a varint. Field numbers as in the public `metrics.proto`:
/// https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
///
///     85 80 80 80 00   length 5, in five bytes since it is known last
///     0a 01 61         name = 1: "a"
///     18 01            type = 3: GAUGE
enum ProtobufFormat {
  static let lengthByteCount = 5

  /// Starts a family; `unit` and `endMessage` have to follow. Gives where it starts.
  static func beginFamily(
    _ name: [UInt8], _ type: FamilyType, help: [UInt8], to page: inout ByteBuffer
  ) -> Int {
    let start = page.count
    for _ in 0..<lengthByteCount { page.append(UInt8(0)) }
    text(1, name, to: &page)
    if !help.isEmpty { text(2, help, to: &page) }
    page.append(3 << 3)
    page.append(type.rawValue)
    return start
  }

  /// The unit of a family, behind its metrics, if its name has one. Written otherwise, it may not:
  /// `wait.seconds` has none.
  static func unit(_ name: [UInt8], _ names: NameWriter? = nil, to page: inout ByteBuffer) {
    let isTotal = SampleNames.has(name, "_total")
    let short = isTotal ? Array(name.dropLast(6)) : name
    guard let unit = OpenMetricsFormat.unit(of: short) else { return }
    if let written = names?.family(name), !SampleNames.has(written, "_total"),
      OpenMetricsFormat.unit(of: written) == nil
    {
      return
    }
    page.append(5 << 3 | 2)
    page.append(UInt8(truncatingIfNeeded: unit.utf8CodeUnitCount))
    page.append(unit)
  }

  /// Writes a family's length over the five bytes kept for it.
  static func endMessage(from start: Int, in page: inout ByteBuffer) {
    let byteCount = page.count - start - lengthByteCount
    for index in 0..<lengthByteCount {
      page.replace(at: start + index, with: lengthByte(byteCount, index))
    }
  }

  /// One of the five bytes of a length.
  static func lengthByte(_ byteCount: Int, _ index: Int) -> UInt8 {
    let bits = UInt8(truncatingIfNeeded: UInt64(byteCount) >> UInt64(7 * index)) & 0x7f
    return index == lengthByteCount - 1 ? bits : bits | 0x80
  }

  /// One `Metric` of a family that is no histogram: labels of `key`, then the value.
  @_optimize(speed)
  static func metric(
    _ key: RawSpan, _ nameByteCount: Int, _ type: FamilyType, _ value: Double,
    createdMilliseconds: UInt64, exemplars: Exemplars? = nil, of record: Int = 0,
    tag: [UInt8] = [], names: NameWriter? = nil, to page: inout ByteBuffer
  ) {
    let metric = begin(4, &page)
    labels(key, from: nameByteCount, names, to: &page)
    let field: UInt8 =
      switch type {
      case .counter: 3
      case .gauge: 2
      default: 5
      }
    let inner = begin(field, &page)
    double(1, value, to: &page)
    exemplars?.appendProtobuf(2, record + 1, tag, to: &page)
    if type == .counter { created(3, createdMilliseconds, to: &page) }
    end(inner, &page)
    end(metric, &page)
  }

  /// One `Metric` with a `Histogram`; `values` are those of `HistogramCells`, without the first.
  @_optimize(speed)
  static func histogram(
    _ key: RawSpan, _ family: Family, _ values: Span<Double>, createdMilliseconds: UInt64,
    exemplars: Exemplars? = nil, of record: Int = 0, names: NameWriter? = nil,
    to page: inout ByteBuffer
  ) {
    let metric = begin(4, &page)
    labels(key, from: family.name.count, names, to: &page)
    let inner = begin(7, &page)
    var total = 0.0
    for index in HistogramCells.firstBucket - 1..<values.count { total += values[index] }
    page.append(1 << 3)
    varint(whole(total), to: &page)
    double(2, values[HistogramCells.sum - 1], to: &page)
    buckets(values, family, exemplars: exemplars, of: record, to: &page)
    created(15, createdMilliseconds, to: &page)
    end(inner, &page)
    end(metric, &page)
  }

  /// The fixed buckets of a histogram, to +Inf.
  static func buckets(
    _ values: Span<Double>, _ family: Family, exemplars: Exemplars? = nil, of record: Int = 0,
    to page: inout ByteBuffer
  ) {
    var cumulative = 0.0
    for index in 0...family.bounds.count {
      cumulative += values[HistogramCells.firstBucket - 1 + index]
      let bucket = begin(3, &page)
      page.append(1 << 3)
      varint(whole(cumulative), to: &page)
      double(2, index < family.bounds.count ? family.bounds[index] : .infinity, to: &page)
      exemplars?.appendProtobuf(
        3, record + HistogramCells.firstBucket + index, family.options.exemplar, to: &page)
      end(bucket, &page)
    }
  }

  /// One `Metric` with a `Histogram` or `Summary` whose points are bucket bounds with cumulative
  /// counts, or quantiles with values.
  @_optimize(speed)
  static func points(
    _ labels: RawSpan, _ type: FamilyType, _ points: [(at: Double, value: Double)], sum: Double,
    count: Double, createdMilliseconds: UInt64 = 0, native: NativeLine = NativeLine(),
    names: NameWriter? = nil, to page: inout ByteBuffer
  ) {
    let metric = begin(4, &page)
    self.labels(labels, from: 0, names, to: &page)
    let inner = begin(type.isHistogram ? 7 : 4, &page)
    // A histogram of floats tells its counts in other fields.
    var isFloat = type.isHistogram && (native.isFloat || !count.isWhole)
    for point in points where type.isHistogram && !point.value.isWhole { isFloat = true }
    self.count(1, count, isFloat, to: &page)
    double(2, sum, to: &page)
    // A native one needs no classic buckets; +Inf alone is none.
    for point in points where native.fields.isEmpty || points.count > 1 {
      let part = begin(3, &page)
      if type.isHistogram {
        self.count(1, point.value, isFloat, to: &page)
        double(2, point.at, to: &page)
      } else {
        double(1, point.at, to: &page)
        double(2, point.value, to: &page)
      }
      end(part, &page)
    }
    page.append(native.fields)
    created(type.isHistogram ? 15 : 4, createdMilliseconds, to: &page)
    end(inner, &page)
    end(metric, &page)
  }

  /// A count in `field`, or as a float in field 4.
  private static func count(
    _ field: UInt8, _ count: Double, _ isFloat: Bool, to page: inout ByteBuffer
  ) {
    if isFloat { return double(4, count, to: &page) }
    page.append(field << 3)
    varint(whole(count), to: &page)
  }

  /// At most 2^63.
  @_optimize(speed)
  static func whole(_ count: Double) -> UInt64 {
    UInt64(exactly: min(count, 0x1p63).rounded()) ?? 0
  }

  // MARK: Labels

  /// `{a="b",c="d"}` after the name: one `LabelPair` each, without the escapes.
  @_optimize(speed)
  static func labels(
    _ key: RawSpan, from start: Int, _ names: NameWriter?, to page: inout ByteBuffer
  ) {
    var index = start + 1
    var place = 0
    while index < key.byteCount, key.at(index) != UInt8(ascii: "}") {
      let pair = begin(1, &page)
      let nameStart = index
      while key.at(index) != UInt8(ascii: "=") { index += 1 }
      let name = key.extracting(nameStart..<index)
      if let names {
        text(1, names.label(place, name), to: &page)
        place += 1
      } else {
        page.append(1 << 3 | 2)
        varint(UInt64(name.byteCount), to: &page)
        page.append(name)
      }
      index += 2
      let value = begin(2, &page)
      while key.at(index) != UInt8(ascii: "\"") {
        var byte = key.at(index)
        if byte == UInt8(ascii: "\\") {
          index += 1
          byte = key.at(index)
          if byte == UInt8(ascii: "n") { byte = 10 }
        }
        page.append(byte)
        index += 1
      }
      end(value, &page)
      end(pair, &page)
      index += 1
      if index < key.byteCount, key.at(index) == UInt8(ascii: ",") { index += 1 }
    }
  }

  // MARK: Fields

  /// Starts a message or text of a length not known yet: gives where its length stands.
  @_optimize(speed)
  static func begin(_ field: UInt8, _ page: inout ByteBuffer) -> Int {
    page.append(field << 3 | 2)
    page.append(UInt8(0))
    return page.count - 1
  }

  /// Ends it. A length over 127 needs more bytes than were kept, so what follows it moves.
  @_optimize(speed)
  static func end(_ lengthAt: Int, _ page: inout ByteBuffer) {
    let length = page.count - lengthAt - 1
    if length < 0x80 { return page.replace(at: lengthAt, with: UInt8(length)) }
    var extra = 0
    var rest = length >> 7
    while rest > 0 {
      extra += 1
      rest >>= 7
    }
    page.insertZeros(extra, at: lengthAt + 1)
    rest = length
    for index in 0...extra {
      page.replace(at: lengthAt + index, with: UInt8(rest & 0x7f) | (index < extra ? 0x80 : 0))
      rest >>= 7
    }
  }

  @_optimize(speed)
  static func text(_ field: UInt8, _ bytes: [UInt8], to page: inout ByteBuffer) {
    page.append(field << 3 | 2)
    varint(UInt64(bytes.count), to: &page)
    page.append(bytes)
  }

  @_optimize(speed)
  static func double(_ field: UInt8, _ value: Double, to page: inout ByteBuffer) {
    page.append(field << 3 | 1)
    var bits = value.bitPattern
    for _ in 0..<8 {
      page.append(UInt8(truncatingIfNeeded: bits))
      bits >>= 8
    }
  }

  /// A `google.protobuf.Timestamp`; nothing where it is not known.
  @_optimize(speed)
  static func created(_ field: UInt8, _ milliseconds: UInt64, to page: inout ByteBuffer) {
    guard milliseconds > 1 else { return }
    let time = begin(field, &page)
    page.append(1 << 3)
    varint(milliseconds / 1000, to: &page)
    page.append(2 << 3)
    varint(milliseconds % 1000 * 1_000_000, to: &page)
    end(time, &page)
  }

  @_optimize(speed)
  static func varint(_ value: UInt64, to page: inout ByteBuffer) {
    var rest = value
    while rest >= 0x80 {
      page.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    page.append(UInt8(rest))
  }
}
