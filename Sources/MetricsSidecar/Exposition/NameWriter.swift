import Platform

/// Writes what is on a page again with the names that the scraper has asked for.
///
/// The formats write plain names; this comes after them, and only for scrapers whose names are
/// others. A family's name is escaped whole, then its samples' suffixes follow, as the official
/// clients do. Under `allow-utf-8` a name that is not plain stands in quotes within the braces:
///
///     # TYPE "my.name" counter
///     {"my.name_total","a.label"="v"} 4.0
struct NameWriter {
  private let spellings: Spellings
  private let escaping: Escaping
  private let format: PageFormat
  /// The family being written: its plain name, and how it is to be written.
  private var family: [UInt8] = []
  private var written: [UInt8] = []
  /// Bytes that OpenMetrics leaves off a counter's name.
  private var cut = 0

  /// `nil` where plain names are what the scraper has asked for.
  init?(_ spellings: Spellings, _ shape: PageShape) {
    switch shape.escaping {
    case nil, .underscores: return nil
    case .dots: break
    case .values, .allowUTF8: if spellings.isEmpty { return nil }
    }
    self.spellings = spellings
    escaping = shape.escaping ?? .underscores
    format = shape.format
  }

  /// `text` is whole lines, or whole families in protobuf.
  mutating func write(_ text: RawSpan, to page: inout ByteBuffer) {
    if format == .protobuf { return families(text, to: &page) }
    var start = 0
    while start < text.byteCount {
      var end = start
      while end < text.byteCount, text.at(end) != 10 { end += 1 }
      let line = text.extracting(start..<end)
      if line.byteCount > 0, line.at(0) == UInt8(ascii: "#") {
        comment(line, to: &page)
      } else {
        sample(line, to: &page)
      }
      start = end + 1
    }
  }

  private mutating func begin(_ name: [UInt8], cut: Int = 0) {
    family = name
    written = self.name(Spellings.family, name)
    self.cut = cut
  }

  private func name(_ mark: UInt8, _ plain: [UInt8]) -> [UInt8] {
    escaping.escaped(
      spellings.isEmpty ? plain : spellings.spelling(mark, plain))
  }

  // MARK: Text

  /// `# TYPE name …`, `# HELP name …`, `# UNIT name …`
  private mutating func comment(_ line: RawSpan, to page: inout ByteBuffer) {
    var end = 7
    while end < line.byteCount, line.at(end) != 32 { end += 1 }
    if end <= line.byteCount, line.byteCount > 7 {
      let kind = line.at(2)
      let token = SeriesKey.array(line.extracting(7..<end))
      let rest = line.extracting(end..<line.byteCount)
      if kind == UInt8(ascii: "T") || !format.isOpenMetrics {
        let isShort = format.isOpenMetrics && rest.equalsIgnoringCase(" counter")
        begin(isShort ? token + Array("_total".utf8) : token, cut: isShort ? 6 : 0)
      }
      let name = Array(written.dropLast(cut))
      // A unit has to be the end of its name: `wait.seconds` has none.
      if kind == UInt8(ascii: "U"), !Self.ends(name, rest) { return }
      page.append(line.extracting(0..<7))
      if needsQuotes(name) { quoted(name, to: &page) } else { page.append(name) }
      page.append(rest)
    } else {
      page.append(line)
    }
    page.append(UInt8(ascii: "\n"))
  }

  private static func ends(_ name: [UInt8], _ unit: RawSpan) -> Bool {
    var ending = SeriesKey.array(unit)
    ending[0] = UInt8(ascii: "_")
    return name.suffix(ending.count) == ending[...]
  }

  private mutating func sample(_ line: RawSpan, to page: inout ByteBuffer) {
    var end = 0
    while end < line.byteCount, line.at(end) != 32, line.at(end) != UInt8(ascii: "{") {
      end += 1
    }
    let token = SeriesKey.array(line.extracting(0..<end))
    var name = written
    let short = family.dropLast(cut)
    if token.starts(with: family), isSuffix(token.dropFirst(family.count)) {
      name += token.dropFirst(family.count)
    } else if cut > 0, token.starts(with: short), isSuffix(token.dropFirst(short.count)) {
      name = Array(written.dropLast(cut)) + token.dropFirst(short.count)
    } else {
      begin(token)
      name = written
    }
    let hasLabels = end < line.byteCount && line.at(end) == UInt8(ascii: "{")
    if needsQuotes(name) {
      page.append(UInt8(ascii: "{"))
      quoted(name, to: &page)
      page.append(hasLabels ? "," : "}")
      if hasLabels { end += 1 }
    } else {
      page.append(name)
    }
    if hasLabels { end = labels(line, from: end, to: &page) }
    page.append(line.extracting(end..<line.byteCount))
    page.append(UInt8(ascii: "\n"))
  }

  private func isSuffix(_ text: ArraySlice<UInt8>) -> Bool {
    text.isEmpty || text.first == UInt8(ascii: "_")
  }

  /// From the opening brace, or right behind it, to behind the closing one.
  private func labels(_ line: RawSpan, from start: Int, to page: inout ByteBuffer) -> Int {
    var index = start
    while index < line.byteCount {
      let byte = line.at(index)
      switch byte {
      case UInt8(ascii: "{"), UInt8(ascii: ","):
        page.append(byte)
        index += 1
      case UInt8(ascii: "}"):
        page.append(byte)
        return index + 1
      default:
        var end = index
        while line.at(end) != UInt8(ascii: "=") { end += 1 }
        let label = name(Spellings.label, SeriesKey.array(line.extracting(index..<end)))
        if needsQuotes(label) { quoted(label, to: &page) } else { page.append(label) }
        index = end + 2
        while line.at(index) != UInt8(ascii: "\"") {
          index += line.at(index) == UInt8(ascii: "\\") ? 2 : 1
        }
        index += 1
        page.append(line.extracting(end..<index))
      }
    }
    return index
  }

  private func needsQuotes(_ name: [UInt8]) -> Bool {
    escaping == .allowUTF8 && !Escaping.isPlain(name)
  }

  private func quoted(_ name: [UInt8], to page: inout ByteBuffer) {
    page.append(UInt8(ascii: "\""))
    for byte in name {
      switch byte {
      case 10: page.append("\\n")
      case UInt8(ascii: "\\"), UInt8(ascii: "\""):
        page.append(UInt8(ascii: "\\"))
        page.append(byte)
      default: page.append(byte)
      }
    }
    page.append(UInt8(ascii: "\""))
  }

  // MARK: Protobuf

  private mutating func families(_ text: RawSpan, to page: inout ByteBuffer) {
    var fields = ProtobufFields(text, 0, text.byteCount)
    while fields.at < text.byteCount {
      let count = Int(truncatingIfNeeded: fields.varint())
      let start = page.count
      for _ in 0..<ProtobufFormat.lengthByteCount { page.append(UInt8(0)) }
      family(text, fields.at, fields.at + count, to: &page)
      ProtobufFormat.endMessage(from: start, in: &page)
      fields.at += count
    }
  }

  private mutating func family(
    _ text: RawSpan, _ start: Int, _ end: Int, to page: inout ByteBuffer
  ) {
    var fields = ProtobufFields(text, start, end)
    while let field = fields.next() {
      switch field.number {
      case 1:
        begin(SeriesKey.array(text.extracting(field.content)))
        ProtobufFormat.text(1, written, to: &page)
      case 4:
        let metric = ProtobufFormat.begin(4, &page)
        self.metric(text, field.content.lowerBound, field.content.upperBound, to: &page)
        ProtobufFormat.end(metric, &page)
      case 5:
        let unit = SeriesKey.array(text.extracting(field.content))
        if written.suffix(unit.count + 1) == [UInt8(ascii: "_")] + unit
          || OpenMetricsFormat.hasSuffix(written, "_total")
        {
          page.append(text.extracting(field.whole))
        }
      default: page.append(text.extracting(field.whole))
      }
    }
  }

  private func metric(_ text: RawSpan, _ start: Int, _ end: Int, to page: inout ByteBuffer) {
    var fields = ProtobufFields(text, start, end)
    while let field = fields.next() {
      guard field.number == 1 else {
        page.append(text.extracting(field.whole))
        continue
      }
      let pair = ProtobufFormat.begin(1, &page)
      var parts = ProtobufFields(text, field.content.lowerBound, field.content.upperBound)
      while let part = parts.next() {
        guard part.number == 1 else {
          page.append(text.extracting(part.whole))
          continue
        }
        ProtobufFormat.text(
          1, name(Spellings.label, SeriesKey.array(text.extracting(part.content))), to: &page)
      }
      ProtobufFormat.end(pair, &page)
    }
  }
}

/// The fields of a message that we have written ourselves.
private struct ProtobufFields: ~Escapable {
  let text: RawSpan
  var at: Int
  let end: Int

  @_lifetime(copy text)
  init(_ text: RawSpan, _ start: Int, _ end: Int) {
    self.text = text
    at = start
    self.end = end
  }

  mutating func varint() -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = text.at(at)
      at += 1
      value |= UInt64(byte & 127) << shift
      if byte < 128 { return value }
      shift += 7
    }
  }

  /// `content` is that of a text or message, `whole` has its tag and length too.
  mutating func next() -> (number: UInt64, content: Range<Int>, whole: Range<Int>)? {
    guard at < end else { return nil }
    let start = at
    let tag = varint()
    var content = at
    switch tag & 7 {
    case 0: _ = varint()
    case 1: at += 8
    case 5: at += 4
    default:
      let count = Int(truncatingIfNeeded: varint())
      content = at
      at += count
    }
    return (tag >> 3, content..<at, start..<at)
  }
}
