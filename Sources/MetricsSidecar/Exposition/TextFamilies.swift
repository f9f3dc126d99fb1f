import SidecarPlatform

/// Text 0.0.4 as the sidecar's own metrics and pushed groups are written, told again in another
/// format. Each family is `# HELP` where it has one, `# TYPE`, then its samples; a histogram's or
/// summary's lines end with `_count`, and `le` or `quantile` is the last label.
///
/// Samples of a family whose head stands elsewhere on the page may follow without one. A native
/// histogram's buckets stand before its `_count`, in a line that is read for protobuf alone.
///
/// The text may come in pieces of whole lines; a histogram's or summary's lines are in one piece.
final class TextFamilies {
  private let format: PageFormat
  private let filter: NameFilter
  /// Families on the page, where a counter's short name may be one of them; for OpenMetrics.
  private let others: Set<[UInt8]>
  /// How names are to be written; for protobuf.
  private let names: NameWriter?
  private var name: [UInt8] = []
  private var type = FamilyType.untyped
  /// The line `# HELP …` before the family's head; empty where there is none.
  private var help: [UInt8] = []
  private var isIncluded = false
  /// The protobuf family being written.
  private(set) var frame = FamilyFrame()
  private var points: [(at: Double, value: Double)] = []
  private var sum = 0.0
  /// The native histogram whose `_count` comes next.
  private var native = NativeLine()

  init(
    _ format: PageFormat, _ filter: NameFilter, others: Set<[UInt8]> = [],
    names: NameWriter? = nil
  ) {
    self.others = others
    self.names = names
    self.format = format
    self.filter = filter
  }

  /// Samples alone follow, of a protobuf family that somebody else has begun and ends.
  func expectSamples(of family: [UInt8], _ type: FamilyType) {
    name = family
    self.type = type
    isIncluded = true
  }

  /// All of the page, so many bytes, has been taken out.
  func taken(_ byteCount: Int) { frame.taken(byteCount) }

  /// Another slice of the page begins.
  func beginSlice() { frame.beginSlice() }

  func append(_ text: RawSpan, to page: inout ByteBuffer) {
    var start = 0
    while start < text.byteCount {
      var end = start
      while end < text.byteCount, text.at(end) != 10 { end += 1 }
      if end > start { line(text.extracting(start..<end), &page) }
      start = end + 1
    }
  }

  private func line(_ line: RawSpan, _ page: inout ByteBuffer) {
    guard line.at(0) == UInt8(ascii: "#") else { return sample(line, &page) }
    if line.at(1) == NativeLine.mark { return native = NativeLine(line) }
    if line.at(2) == UInt8(ascii: "H") { return help = SeriesKey.array(line) }
    endFamily(&page)
    var space = 7
    while space < line.byteCount, line.at(space) != 32 { space += 1 }
    name = SeriesKey.array(line.extracting(7..<space))
    type = Self.type(line.extracting(space + 1..<line.byteCount))
    isIncluded = filter.includes(name)
    if isIncluded { head(line, &page) }
    help = []
  }

  private func head(_ typeLine: RawSpan, _ page: inout ByteBuffer) {
    switch format {
    case .text004, .text100:
      if !help.isEmpty {
        page.append(help)
        page.append("\n")
      }
      page.append(typeLine)
      page.append("\n")
    case .openMetrics001, .openMetrics100:
      let isCounter =
        type == .counter && SampleNames.has(name, "_total") && name.count > 6
        && !OpenMetricsFormat.isTaken(name, others)
      let word: StaticString =
        switch type {
        case .counter: isCounter ? "counter" : "unknown"
        case .gauge: "gauge"
        case .histogram, .gaugeHistogram: "histogram"
        case .summary: "summary"
        case .untyped: "unknown"
        }
      OpenMetricsFormat.head(
        isCounter ? Array(name.dropLast(6)) : name, word, help: helpText, to: &page)
    case .protobuf:
      beginProtobuf(help: helpText, to: &page)
    }
  }

  private func beginProtobuf(help: [UInt8], to page: inout ByteBuffer) {
    frame.begin(names?.family(name) ?? name, type, help: help, to: &page)
  }

  /// The help without its escapes.
  private var helpText: [UInt8] {
    guard help.count > 7 else { return [] }
    var bytes: [UInt8] = []
    var index = (help[7...].firstIndex(of: 32) ?? help.count) + 1
    while index < help.count {
      var byte = help[index]
      if byte == UInt8(ascii: "\\"), index + 1 < help.count {
        index += 1
        byte = help[index] == UInt8(ascii: "n") ? 10 : help[index]
      }
      bytes.append(byte)
      index += 1
    }
    return bytes
  }

  private func sample(_ line: RawSpan, _ page: inout ByteBuffer) {
    // The value has no space in it, a label's value may.
    var space = line.byteCount
    while space > 1, line.at(space - 1) != 32 { space -= 1 }
    let key = line.extracting(0..<space - 1)
    var nameEnd = 0
    while nameEnd < key.byteCount, key.at(nameEnd) != UInt8(ascii: "{") { nameEnd += 1 }
    let isOwn = isSample(key.extracting(0..<nameEnd))
    guard isOwn ? isIncluded : filter.includes(SeriesKey.array(key.extracting(0..<nameEnd))) else {
      return
    }
    guard format == .protobuf else {
      page.append(line)
      page.append("\n")
      return
    }
    if !isOwn {
      endFamily(&page)
      name = SeriesKey.array(key.extracting(0..<nameEnd))
      type = .untyped
      isIncluded = true
      beginProtobuf(help: [], to: &page)
    }
    let value = Decimal.parse(line.extracting(space..<line.byteCount))
    if type.isHistogram || type == .summary {
      point(key, nameEnd, value, &page)
    } else {
      ProtobufFormat.metric(
        key, nameEnd, type, value, createdMilliseconds: 0, names: names, to: &page)
    }
  }

  /// One of the lines of a histogram or summary: the last of them writes it.
  private func point(
    _ key: RawSpan, _ nameEnd: Int, _ value: Double, _ page: inout ByteBuffer
  ) {
    let suffix = key.extracting(min(name.count, nameEnd)..<nameEnd)
    if suffix.equalsIgnoringCase("_sum") {
      sum = value
    } else if suffix.equalsIgnoringCase("_count") {
      ProtobufFormat.points(
        key.extracting(nameEnd..<key.byteCount), type, points, sum: sum, count: value,
        native: native, names: names, to: &page)
      points.removeAll()
      native = NativeLine()
    } else if key.byteCount > nameEnd + 2 {
      // `…="0.5"}`
      var start = key.byteCount - 2
      while start > nameEnd, key.at(start - 1) != UInt8(ascii: "\"") { start -= 1 }
      points.append((Decimal.parse(key.extracting(start..<key.byteCount - 2)), value))
    }
  }

  /// Ends the last family, at the end of the text.
  func endFamily(_ page: inout ByteBuffer) {
    if frame.isOpen {
      ProtobufFormat.unit(name, names, to: &page)
      frame.end(&page)
    }
    points.removeAll()
  }

  /// Whether a sample of that name belongs to the family whose head was read last.
  private func isSample(_ sample: RawSpan) -> Bool {
    guard sample.byteCount >= name.count else { return false }
    let start = SeriesKey.array(sample.extracting(0..<name.count))
    guard start == name else { return false }
    let suffix = sample.extracting(name.count..<sample.byteCount)
    if suffix.byteCount == 0 { return !type.isHistogram }
    guard type.isHistogram || type == .summary else { return false }
    return suffix.equalsIgnoringCase("_sum") || suffix.equalsIgnoringCase("_count")
      || type.isHistogram && suffix.equalsIgnoringCase("_bucket")
  }

  private static func type(_ word: RawSpan) -> FamilyType {
    if word.equalsIgnoringCase("counter") { return .counter }
    if word.equalsIgnoringCase("gauge") { return .gauge }
    if word.equalsIgnoringCase("histogram") { return .histogram }
    if word.equalsIgnoringCase("gaugehistogram") { return .gaugeHistogram }
    return word.equalsIgnoringCase("summary") ? .summary : .untyped
  }
}
