import SidecarPlatform

/// Prometheus text format 0.0.4: `# HELP`, `# TYPE`, then one line per sample. The key of an
/// event's series is the start of its line, so a line is a copy, a number and a newline.
/// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
///
/// Version 1.0.0 differs only in names beyond ASCII.
class TextWriter: FamilyWriter {
  /// The beginning of the names of a family's samples: if quoted, `{"my.name` without its end.
  struct Stem {
    var text: [UInt8] = []
    var isQuoted = false
  }

  /// `nil` where names are plain.
  let names: WrittenNames?
  private(set) var head = FamilyHead([], .untyped, help: [])
  /// The family's written name, without quotes.
  private(set) var written: [UInt8] = []
  private(set) var stem = Stem()

  init(_ names: WrittenNames?) { self.names = names }

  func take(_ head: FamilyHead) {
    self.head = head
    written = names?.family(head.name) ?? head.name
    stem = stem(written)
  }

  final func stem(_ written: [UInt8]) -> Stem { names?.stem(written) ?? Stem(text: written) }

  func begin(seriesByteCount: Int, to page: inout ByteBuffer) {
    if !head.help.isEmpty {
      comment("# HELP ", stem, to: &page)
      page.append(head.help)
      page.append(UInt8(ascii: "\n"))
    }
    comment("# TYPE ", stem, to: &page)
    // Text formats have no gauge histograms, as in the official clients.
    page.append(head.type == .gaugeHistogram ? FamilyType.histogram.text : head.type.text)
    page.append(UInt8(ascii: "\n"))
  }

  func end(to page: inout ByteBuffer) {}

  // MARK: Numbers

  @_optimize(speed)
  func numbers(
    _ part: Snapshot.Part, of snapshot: Snapshot, from series: inout Int,
    to page: inout ByteBuffer, end: Int
  ) {
    let state = snapshot.state
    let count = part.series.count
    var index = series
    if names == nil {
      while index < count, page.count < end {
        let record = part.series[index]
        Self.line(state.key(record), snapshot.value(record), to: &page)
        index += 1
      }
    } else {
      while index < count, page.count < end {
        let record = part.series[index]
        number(
          Labels.inside(state.key(record), head.name.count), snapshot.value(record), to: &page)
        index += 1
      }
    }
    series = index
  }

  func byteCount(
    ofNumbers part: Snapshot.Part, of snapshot: Snapshot, from series: inout Int
  ) -> Int {
    series = part.series.count
    return 0
  }

  func number(_ labels: RawSpan, _ value: Double, to page: inout ByteBuffer) {
    line("", labels, value, to: &page)
  }

  // MARK: Points

  func histogram(_ labels: RawSpan, _ points: PointSeries, to page: inout ByteBuffer) {
    self.points(labels, points, .bucket, to: &page)
    totals(labels, points, to: &page)
  }

  func summary(_ labels: RawSpan, _ points: PointSeries, to page: inout ByteBuffer) {
    self.points(labels, points, .whole, to: &page)
    totals(labels, points, to: &page)
  }

  @_optimize(speed)
  private func points(
    _ labels: RawSpan, _ points: PointSeries, _ part: SampleNames.Part, to page: inout ByteBuffer
  ) {
    for index in points.values.indices {
      point(labels, part, points.texts[index], points.values[index], to: &page)
    }
  }

  /// `name_bucket{labels,le="…"} value`
  @_optimize(speed)
  final func point(
    _ labels: RawSpan, _ part: SampleNames.Part, _ text: [UInt8], _ value: Double,
    to page: inout ByteBuffer
  ) {
    name(stem, part.ending, hasLabels: true, to: &page)
    if labels.byteCount > 0 {
      append(labels, to: &page)
      page.append(UInt8(ascii: ","))
    }
    page.append(text)
    NumberFormat.append(value, to: &page)
    page.append(UInt8(ascii: "\n"))
  }

  final func totals(_ labels: RawSpan, _ points: PointSeries, to page: inout ByteBuffer) {
    if points.hasSumFirst { line("_sum", labels, points.sum, to: &page) }
    line("_count", labels, points.count, to: &page)
    if !points.hasSumFirst { line("_sum", labels, points.sum, to: &page) }
  }

  // MARK: Parts of a line

  final func comment(_ start: StaticString, _ stem: Stem, to page: inout ByteBuffer) {
    page.append(start)
    let text = unsafe stem.text.span.bytes
    if stem.isQuoted {
      page.append(text.extracting(1..<text.byteCount))
      page.append("\" ")
    } else {
      page.append(text)
      page.append(UInt8(ascii: " "))
    }
  }

  private func line(
    _ ending: StaticString, _ labels: RawSpan, _ value: Double, to page: inout ByteBuffer
  ) {
    start(stem, ending, labels, to: &page)
    NumberFormat.append(value, to: &page)
    page.append(UInt8(ascii: "\n"))
  }

  /// The part of a line before its number.
  final func start(
    _ stem: Stem, _ ending: StaticString, _ labels: RawSpan, to page: inout ByteBuffer
  ) {
    let hasLabels = labels.byteCount > 0
    name(stem, ending, hasLabels: hasLabels, to: &page)
    if hasLabels {
      append(labels, to: &page)
      page.append("} ")
    } else {
      page.append(UInt8(ascii: " "))
    }
  }

  @inline(__always)
  private func name(
    _ stem: Stem, _ ending: StaticString, hasLabels: Bool, to page: inout ByteBuffer
  ) {
    page.append(stem.text)
    page.append(ending)
    if stem.isQuoted {
      page.append(UInt8(ascii: "\""))
      page.append(UInt8(ascii: hasLabels ? "," : "}"))
    } else if hasLabels {
      page.append(UInt8(ascii: "{"))
    }
  }

  private func append(_ labels: RawSpan, to page: inout ByteBuffer) {
    guard let names else { return page.append(labels) }
    var at = 0
    var place = 0
    while let label = Labels.next(labels, from: &at) {
      if place > 0 { page.append(UInt8(ascii: ",")) }
      page.append(names.label(place, labels.extracting(label.name)))
      page.append(labels.extracting(label.name.upperBound...label.value.upperBound))
      place += 1
    }
  }

  /// `key value`. A whole number below 10^15, as most are, is written together with its key; the
  /// key is a record's, so all bytes of its last unit are readable.
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
}
