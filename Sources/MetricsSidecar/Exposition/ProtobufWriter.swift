import SidecarPlatform

/// The protobuf exposition: one `io.prometheus.client.MetricFamily` after the other, each with its
/// length before it as a varint. Field numbers as in the public `metrics.proto`:
/// https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
///
///     85 80 80 80 00   length 5, always in five bytes
///     0a 01 61         name = 1: "a"
///     18 01            type = 3: GAUGE
///
/// What must stay true: a series takes the same bytes as when its family was measured. So its
/// exemplars, which may change meanwhile, are copied then.
final class ProtobufWriter: FamilyWriter {
  private let names: WrittenNames?
  private var head = FamilyHead([], .untyped, help: [])
  private var written: [UInt8] = []
  private var unit: StaticString?
  private var isMeasuring = true
  /// The family's exemplars from when it was measured, in writing order, each after its length in
  /// two bytes; and how many bytes are written.
  private var exemplars = ByteBuffer(capacity: 16)
  private var exemplarsAt = 0
  private var scratch = ByteBuffer(capacity: 16)

  private static let lengthByteCount = 5
  /// Series measured per call.
  private static let measuredCount = 4096

  init(_ names: WrittenNames?) { self.names = names }

  func take(_ head: FamilyHead) {
    self.head = head
    written = names?.family(head.name) ?? head.name
    unit = Self.unit(head.name, written, isPlain: names == nil)
    isMeasuring = true
    exemplars.removeAll()
    exemplarsAt = 0
  }

  /// The unit of a family, if its name has one. An original name may have none, such as
  /// `wait.seconds`.
  private static func unit(
    _ name: [UInt8], _ written: [UInt8], isPlain: Bool
  ) -> StaticString? {
    let short = SampleNames.base(name, SampleNames.total) ?? name
    guard let unit = SampleNames.unit(of: short) else { return nil }
    let isEnding =
      isPlain || SampleNames.has(written, SampleNames.total)
      || SampleNames.unit(of: written) != nil
    return isEnding ? unit : nil
  }

  func begin(seriesByteCount: Int, to page: inout ByteBuffer) {
    isMeasuring = false
    scratch.removeAll()
    ProtobufFields.text(1, written, to: &scratch)
    let help = head.help
    if !help.isEmpty {
      let place = ProtobufFields.begin(2, &scratch)
      unsafe Labels.appendUnescaped(help.span.bytes, to: &scratch)
      ProtobufFields.end(place, &scratch)
    }
    let unitByteCount = unit.map { 2 + $0.utf8CodeUnitCount } ?? 0
    let length = scratch.count + 2 + seriesByteCount + unitByteCount
    for index in 0..<Self.lengthByteCount {
      let bits = UInt8(truncatingIfNeeded: UInt64(length) >> UInt64(7 * index)) & 0x7f
      page.append(index == Self.lengthByteCount - 1 ? bits : bits | 0x80)
    }
    page.append(scratch.bytes)
    page.append(3 << 3)
    page.append(head.type.rawValue)
    scratch.removeAll()
  }

  func end(to page: inout ByteBuffer) {
    guard let unit else { return }
    page.append(5 << 3 | 2)
    page.append(UInt8(truncatingIfNeeded: unit.utf8CodeUnitCount))
    page.append(unit)
  }

  // MARK: Numbers

  private var valueField: UInt8 {
    switch head.type {
    case .counter: 3
    case .gauge: 2
    default: 5
    }
  }

  @_optimize(speed)
  func numbers(
    _ part: Snapshot.Part, of snapshot: Snapshot, from series: inout Int,
    to page: inout ByteBuffer, end: Int
  ) {
    let state = snapshot.state
    let count = part.series.count
    var index = series
    let exemplars = snapshot.exemplars(part.family)
    let isFast = names == nil && exemplars == nil
    let layout = ProtobufNumber(head.name.count, field: valueField)
    while index < count, page.count < end {
      let record = part.series[index]
      let key = state.key(record)
      let created = head.type == .counter ? snapshot.createdMilliseconds(record) : 0
      if !isFast || !layout.append(key, snapshot.value(record), created, to: &page) {
        metric(
          Labels.inside(key, head.name.count), snapshot.value(record), created, exemplars,
          record.headCell + 1, part.family.options.exemplar, to: &page)
      }
      index += 1
    }
    series = index
  }

  @_optimize(speed)
  func byteCount(
    ofNumbers part: Snapshot.Part, of snapshot: Snapshot, from series: inout Int
  ) -> Int {
    let state = snapshot.state
    let end = min(part.series.count, series + Self.measuredCount)
    let layout = ProtobufNumber(head.name.count, field: valueField)
    let isFast = names == nil && snapshot.exemplars(part.family) == nil
    var sum = 0
    while series < end {
      let record = part.series[series]
      let created = head.type == .counter ? snapshot.createdMilliseconds(record) : 0
      let byteCount =
        isFast ? layout.byteCount(state.key(record), created) : 0
      if byteCount > 0 {
        sum += byteCount
        series += 1
      } else {
        scratch.removeAll()
        numbers(part, of: snapshot, from: &series, to: &scratch, end: 1)
        sum += scratch.count
      }
    }
    return sum
  }

  func number(_ labels: RawSpan, _ value: Double, to page: inout ByteBuffer) {
    metric(labels, value, 0, nil, 0, [], to: &page)
  }

  private func metric(
    _ labels: RawSpan, _ value: Double, _ createdMilliseconds: UInt64, _ exemplars: Exemplars?,
    _ cell: Int, _ tag: [UInt8], to page: inout ByteBuffer
  ) {
    let metric = ProtobufFields.begin(4, &page)
    self.labels(labels, to: &page)
    let inner = ProtobufFields.begin(valueField, &page)
    ProtobufFields.double(1, value, to: &page)
    if let exemplars { exemplar(2, cell, exemplars, tag, to: &page) }
    ProtobufFields.time(3, createdMilliseconds, to: &page)
    ProtobufFields.end(inner, &page)
    ProtobufFields.end(metric, &page)
  }

  // MARK: Points

  func summary(_ labels: RawSpan, _ points: PointSeries, to page: inout ByteBuffer) {
    let metric = ProtobufFields.begin(4, &page)
    self.labels(labels, to: &page)
    let inner = ProtobufFields.begin(4, &page)
    ProtobufFields.count(1, points.count, isFloat: false, to: &page)
    ProtobufFields.double(2, points.sum, to: &page)
    for index in points.values.indices {
      let quantile = ProtobufFields.begin(3, &page)
      ProtobufFields.double(1, points.bounds[index], to: &page)
      ProtobufFields.double(2, points.values[index], to: &page)
      ProtobufFields.end(quantile, &page)
    }
    ProtobufFields.time(4, points.createdMilliseconds, to: &page)
    ProtobufFields.end(inner, &page)
    ProtobufFields.end(metric, &page)
  }

  /// A histogram with its exponential buckets: runs of neighbours (spans), and in each bucket the
  /// difference to the one before. For buckets 3, 4 and 7 with 5, 2 and 2 samples:
  ///
  ///     62 04 08 06 10 02   positive_span = 12: offset 3, length 2
  ///     62 04 08 04 10 01   positive_span = 12: offset 2 from the end of the last, length 1
  ///     68 0a 68 05 68 00   positive_delta = 13: 5, -3, 0
  ///
  /// A native one needs no classic buckets: +Inf alone does not count as one.
  @_optimize(speed)
  func histogram(_ labels: RawSpan, _ points: PointSeries, to page: inout ByteBuffer) {
    let metric = ProtobufFields.begin(4, &page)
    self.labels(labels, to: &page)
    let inner = ProtobufFields.begin(7, &page)
    let isNativeFloat = points.native?.isFloat(count: points.count) ?? false
    let isFloat = points.isFloat || isNativeFloat
    ProtobufFields.count(1, points.count, isFloat: isFloat, to: &page)
    ProtobufFields.double(2, points.sum, to: &page)
    for index in points.values.indices where points.native == nil || points.values.count > 1 {
      let bucket = ProtobufFields.begin(3, &page)
      ProtobufFields.count(1, points.values[index], isFloat: isFloat, to: &page)
      ProtobufFields.double(2, points.bounds[index], to: &page)
      if let exemplars = points.exemplars {
        exemplar(3, points.bucketCell + index, exemplars, points.exemplarTag, to: &page)
      }
      ProtobufFields.end(bucket, &page)
    }
    points.native?.appendFields(isFloat: isNativeFloat, to: &page)
    ProtobufFields.time(15, points.createdMilliseconds, to: &page)
    if let exemplars = points.exemplars, !points.nativeCells.isEmpty {
      for cell in points.nativeCells {
        exemplar(16, cell, exemplars, points.exemplarTag, to: &page)
      }
      exemplar(16, points.zerosCell, exemplars, points.exemplarTag, to: &page)
    }
    ProtobufFields.end(inner, &page)
    ProtobufFields.end(metric, &page)
  }

  // MARK: Parts of a metric

  /// One `LabelPair` each, without the escapes.
  private func labels(_ labels: RawSpan, to page: inout ByteBuffer) {
    var at = 0
    var place = 0
    while let label = Labels.next(labels, from: &at) {
      let pair = ProtobufFields.begin(1, &page)
      let name = ProtobufFields.begin(1, &page)
      if let names {
        page.append(names.label(place, labels.extracting(label.name)))
      } else {
        page.append(labels.extracting(label.name))
      }
      ProtobufFields.end(name, &page)
      let value = ProtobufFields.begin(2, &page)
      Labels.appendUnescaped(labels.extracting(label.value), to: &page)
      ProtobufFields.end(value, &page)
      ProtobufFields.end(pair, &page)
      place += 1
    }
  }

  private func exemplar(
    _ field: UInt8, _ cell: Int, _ source: Exemplars, _ tag: [UInt8], to page: inout ByteBuffer
  ) {
    if isMeasuring {
      let start = exemplars.count
      exemplars.append(UInt8(0))
      exemplars.append(UInt8(0))
      source.appendProtobuf(field, cell, tag, to: &exemplars)
      let byteCount = exemplars.count - start - 2
      exemplars.replace(at: start, with: UInt8(truncatingIfNeeded: byteCount))
      exemplars.replace(at: start + 1, with: UInt8(truncatingIfNeeded: byteCount >> 8))
      exemplars.copy(start + 2..<exemplars.count, to: &page)
    } else {
      let start = exemplarsAt + 2
      let low = exemplars.bytes.at(exemplarsAt)
      exemplarsAt = start + Int(low) + Int(exemplars.bytes.at(exemplarsAt + 1)) << 8
      exemplars.copy(start..<exemplarsAt, to: &page)
    }
  }
}
