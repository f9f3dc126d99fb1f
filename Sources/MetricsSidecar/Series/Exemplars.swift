import SidecarPlatform
import SidecarRules

/// The last event with a trace, for each counter and bucket of families whose rule says
/// `"exemplar": "trace_id"`: OpenMetrics and protobuf show it.
///
/// The tag is removed before the line is looked up, so it never becomes a label, and events of a
/// million traces are one known line. Exemplars are only in this process's memory, in arrays that
/// stop growing at `limit`; an event of a known counter or bucket allocates nothing.
///
/// What must stay true: names and values are printable ASCII, together at most 128 bytes, which is
/// OpenMetrics' limit in characters. None has a quote: the official Python parser refuses an
/// exposition with an escaped one there.
final class Exemplars {
  /// Names of tags, without repeats.
  private let tags: [[UInt8]]
  /// The number of exemplars kept.
  private let limit: Int
  var count: Int { index.count }
  /// Exemplars that had no room.
  private(set) var refused: UInt64 = 0
  /// The tags of the current event without those in `tags`; moved out while in use.
  var scratch: ByteBuffer? = ByteBuffer(capacity: 1024)

  /// From a cell to its position, plus 1.
  private var index = HashIndex()
  private var cells: [UInt32] = []
  private var values: [Double] = []
  private var times: [UInt64] = []
  private var lengths: [UInt8] = []
  private var texts: [UInt8] = []
  /// Positions of released cells, to be reused.
  private var freePlaces: [Int] = []

  static let textByteCount = 128

  /// For exemplars from events of declared families; no tag is removed.
  init(limit: Int) {
    tags = []
    self.limit = limit
  }

  /// `nil` if no rule asks for exemplars.
  init?(_ rules: Rules, limit: Int) {
    var tags: [[UInt8]] = []
    for family in rules.families where !family.options.exemplar.isEmpty {
      if !tags.contains(family.options.exemplar) { tags.append(family.options.exemplar) }
    }
    guard !tags.isEmpty else { return nil }
    self.tags = tags
    self.limit = limit
  }

  // MARK: Tags

  /// Puts the remaining tags of `bytes` into `rest`; returns whether any was removed.
  func strip(_ bytes: RawSpan, into rest: inout ByteBuffer) -> Bool {
    rest.removeAll()
    if tags.isEmpty { return false }
    var isTraced = false
    var start = 0
    while start < bytes.byteCount {
      let end = bytes.end(of: UInt8(ascii: ","), after: start)
      let tag = bytes.extracting(start..<end)
      if tags.contains(where: { Self.value(tag, $0) != nil }) {
        isTraced = true
      } else {
        if !rest.isEmpty { rest.append(UInt8(ascii: ",")) }
        rest.append(tag)
      }
      start = end + 1
    }
    return isTraced
  }

  /// The value of the tag `name` in an event's tags.
  static func find(_ name: [UInt8], in bytes: RawSpan) -> Range<Int>? {
    var start = 0
    while start < bytes.byteCount {
      let end = bytes.end(of: UInt8(ascii: ","), after: start)
      if let value = value(bytes.extracting(start..<end), name) {
        return start + value.lowerBound..<start + value.upperBound
      }
      start = end + 1
    }
    return nil
  }

  /// As in any other tag, a `#` before its name is dropped.
  private static func value(_ tag: RawSpan, _ name: [UInt8]) -> Range<Int>? {
    var start = 0
    while start < tag.byteCount, tag.at(start) == UInt8(ascii: "#") { start += 1 }
    let colon = start + name.count
    guard tag.byteCount > colon, tag.at(colon) == UInt8(ascii: ":") else { return nil }
    for index in name.indices where tag.at(start + index) != name[index] { return nil }
    return colon + 1..<tag.byteCount
  }

  // MARK: Positions

  /// Keeps `value`, seen in the trace `trace`, as the last one of the counter or bucket at `cell`.
  func set(_ cell: Int, _ value: Double, _ trace: RawSpan, nameByteCount: Int, now: UInt64) {
    guard trace.byteCount > 0, trace.byteCount + nameByteCount <= Self.textByteCount else { return }
    for index in 0..<trace.byteCount {
      let byte = trace.at(index)
      if byte < 32 || byte > 126 || byte == UInt8(ascii: "\"") { return }
    }
    guard let place = place(cell) ?? newPlace(cell) else {
      refused += 1
      return
    }
    values[place] = value
    times[place] = now
    lengths[place] = UInt8(trace.byteCount)
    let start = place * Self.textByteCount
    for index in 0..<trace.byteCount { texts[start + index] = trace.at(index) }
  }

  /// The cells are unused, or belong to another series, from now on.
  func forget(_ range: Range<Int>) {
    for cell in range {
      guard let place = place(cell) else { continue }
      index.remove(Self.hash(cell), UInt32(place + 1))
      freePlaces.append(place)
    }
  }

  private static func hash(_ cell: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: HashKey.process.hash(UInt64(cell)))
  }

  private func place(_ cell: Int) -> Int? {
    index.find(Self.hash(cell)) { cells[Int($0) - 1] == UInt32(cell) }.map { Int($0) - 1 }
  }

  private func newPlace(_ cell: Int) -> Int? {
    guard count < limit else { return nil }
    var place = cells.count
    if let free = freePlaces.popLast() {
      place = free
      cells[place] = UInt32(cell)
    } else {
      cells.append(UInt32(cell))
      values.append(0)
      times.append(0)
      lengths.append(0)
      texts.append(contentsOf: repeatElement(0, count: Self.textByteCount))
    }
    index.insert(Self.hash(cell), UInt32(place + 1))
    return place
  }

  // MARK: Expositions

  /// In OpenMetrics, replaces the newline at the end of the page so far:
  ///
  ///     wait_seconds_bucket{le="0.5"} 3.0 # {trace_id="abc"} 0.32 1767225600.25
  func appendText(_ cell: Int, _ tag: [UInt8], to page: inout ByteBuffer) {
    guard let place = place(cell) else { return }
    page.truncate(to: page.count - 1)
    page.append(" # {")
    var isFirst = true
    forEachLabel(place, tag) { name, value in
      if !isFirst { page.append(UInt8(ascii: ",")) }
      isFirst = false
      page.append(name)
      page.append("=\"")
      unsafe Labels.appendEscaped(value.span.bytes, to: &page)
      page.append(UInt8(ascii: "\""))
    }
    page.append("} ")
    NumberFormat.append(values[place], to: &page)
    page.append(UInt8(ascii: " "))
    NumberFormat.append(Double(times[place]) / 1000, to: &page)
    page.append(UInt8(ascii: "\n"))
  }

  /// In protobuf: an `Exemplar` in the field with that number.
  func appendProtobuf(_ field: UInt8, _ cell: Int, _ tag: [UInt8], to page: inout ByteBuffer) {
    guard let place = place(cell) else { return }
    let exemplar = ProtobufFields.begin(field, &page)
    forEachLabel(place, tag) { name, value in
      let label = ProtobufFields.begin(1, &page)
      ProtobufFields.text(1, name, to: &page)
      ProtobufFields.text(2, Array(value), to: &page)
      ProtobufFields.end(label, &page)
    }
    ProtobufFields.double(2, values[place], to: &page)
    ProtobufFields.time(3, times[place], to: &page)
    ProtobufFields.end(exemplar, &page)
  }

  /// The labels of one exemplar: a rule's tag, or those of the event.
  private func forEachLabel(
    _ place: Int, _ tag: [UInt8], _ body: ([UInt8], ArraySlice<UInt8>) -> Void
  ) {
    let start = place * Self.textByteCount
    let text = texts[start..<start + Int(lengths[place])]
    if tag != KindOptions.anyExemplar { return body(Names.label(tag[...]), text) }
    for label in text.split(separator: UInt8(ascii: ",")) {
      let colon = label.firstIndex(of: UInt8(ascii: ":")) ?? label.endIndex
      body(Array(label[..<colon]), label[colon...].dropFirst())
    }
  }

  /// Whether these are labels of an exemplar: names that Prometheus allows, each once.
  static func areLabels(_ bytes: RawSpan) -> Bool {
    var names: [[UInt8]] = []
    var start = 0
    while start < bytes.byteCount {
      let end = bytes.end(of: UInt8(ascii: ","), after: start)
      let label = SeriesKey.array(bytes.extracting(start..<end))
      guard let colon = label.firstIndex(of: UInt8(ascii: ":")), colon > 0, label[0] &- 48 > 9,
        label[..<colon].allSatisfy(Names.isWordByte), !names.contains(Array(label[..<colon]))
      else { return false }
      names.append(Array(label[..<colon]))
      // Longer labels cannot be kept.
      if start > textByteCount { return false }
      start = end + 1
    }
    return !names.isEmpty
  }
}

extension RawSpan {
  /// The position of the next `mark` at or after `start`, or the end.
  fileprivate func end(of mark: UInt8, after start: Int) -> Int {
    var index = start
    while index < byteCount, at(index) != mark { index += 1 }
    return index
  }
}
