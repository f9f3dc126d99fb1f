import SidecarPlatform

/// Writes names as the scraper has asked for them.
///
/// Text formats write plain names, and a slice of their lines is written again here, so only for
/// scrapers whose names are others; protobuf asks for each name as it writes it. A family's name is
/// escaped whole, then its samples' suffixes follow, as the official clients do. Under `allow-utf-8` a
/// name that is not plain stands in quotes within the braces:
///
///     # TYPE "my.name" counter
///     {"my.name_total","a.label"="v"} 4.0
///
/// What must stay true: a line whose names the line before had allocates nothing.
final class NameWriter {
  private let spellings: Spellings
  private let escaping: Escaping
  private let format: PageFormat
  /// The family whose lines are written.
  private var family = Stem()
  /// A counter's name without what OpenMetrics leaves off; empty where nothing is.
  private var short = Stem()
  /// The labels of the last line, by their places in it.
  private var labels: [(plain: [UInt8], written: [UInt8])] = []

  /// A name that suffixes may follow.
  private struct Stem {
    var plain: [UInt8] = []
    /// With the opening brace and quote where it has some; the end of the quotes is missing.
    var written: [UInt8] = []
    var isQuoted = false

    /// Where the suffix in `token` starts, if it is a sample's name of this family.
    @inline(__always)
    func suffix(of token: RawSpan) -> Int? {
      let count = plain.count
      guard count > 0, token.byteCount >= count,
        token.byteCount == count || token.at(count) == UInt8(ascii: "_"),
        unsafe ByteCompare.equal(plain.span.bytes, token.extracting(0..<count))
      else { return nil }
      return count
    }
  }

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

  /// A family's name, without quotes.
  func family(_ plain: [UInt8]) -> [UInt8] { name(Spellings.family, plain) }

  /// The label at `place` of a line, in quotes where a text format needs them.
  @_optimize(speed)
  func label(_ place: Int, _ plain: RawSpan) -> [UInt8] {
    if place < labels.count {
      let known = labels[place]
      if unsafe ByteCompare.equal(known.plain.span.bytes, plain) { return known.written }
    }
    let bytes = SeriesKey.array(plain)
    var written = name(Spellings.label, bytes)
    if format != .protobuf, needsQuotes(written, isLabel: true) {
      written = [Self.quote] + Self.escaped(written) + [Self.quote]
    }
    if place < labels.count {
      labels[place] = (bytes, written)
    } else {
      labels.append((bytes, written))
    }
    return written
  }

  /// No two names of one page become one, and no label gets Prometheus's own `__` at its start.
  private func name(_ mark: UInt8, _ plain: [UInt8]) -> [UInt8] {
    let spelled = spellings.isEmpty ? plain : spellings.spelling(mark, plain)
    let isLabel = mark == Spellings.label
    guard escaping == .dots else { return escaping.escaped(spelled, isLabel: isLabel) }
    // `a--b` and `a__b` would both be `a____b`.
    let written = escaping.escaped(
      Escaping.isOneToOne(spelled, plain) ? spelled : plain, isLabel: isLabel)
    return isLabel && written.starts(with: "__".utf8)
      ? Array("exported_".utf8) + written : written
  }

  // MARK: Text

  /// `text` is whole lines.
  @_optimize(speed)
  func write(_ text: RawSpan, to page: inout ByteBuffer) {
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

  /// Begins a family; `cut` is how many bytes OpenMetrics leaves off its name.
  private func begin(_ plain: [UInt8], cut: Int = 0) {
    let written = family(plain)
    family = stem(plain, written)
    short = cut > 0 ? stem(Array(plain.dropLast(cut)), Array(written.dropLast(cut))) : Stem()
  }

  private func stem(_ plain: [UInt8], _ written: [UInt8]) -> Stem {
    guard needsQuotes(written) else { return Stem(plain: plain, written: written) }
    return Stem(
      plain: plain, written: Array("{\"".utf8) + Self.escaped(written), isQuoted: true)
  }

  /// `# TYPE name …`, `# HELP name …`, `# UNIT name …`
  private func comment(_ line: RawSpan, to page: inout ByteBuffer) {
    var end = 7
    while end < line.byteCount, line.at(end) != 32 { end += 1 }
    if end <= line.byteCount, line.byteCount > 7 {
      let kind = line.at(2)
      let rest = line.extracting(end..<line.byteCount)
      if kind == UInt8(ascii: "T") || !format.isOpenMetrics {
        let token = SeriesKey.array(line.extracting(7..<end))
        let isShort = format.isOpenMetrics && rest.equalsIgnoringCase(" counter")
        begin(isShort ? token + Array("_total".utf8) : token, cut: isShort ? 6 : 0)
      }
      let stem = short.plain.isEmpty ? family : short
      // A unit has to be the end of its name: `wait.seconds` has none.
      if kind == UInt8(ascii: "U"), !Self.ends(stem.written, rest) { return }
      page.append(line.extracting(0..<7))
      if stem.isQuoted {
        page.append(Array(stem.written.dropFirst()))
        page.append(Self.quote)
      } else {
        page.append(stem.written)
      }
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

  @_optimize(speed)
  private func sample(_ line: RawSpan, to page: inout ByteBuffer) {
    var end = 0
    while end < line.byteCount, line.at(end) != 32, line.at(end) != UInt8(ascii: "{") {
      end += 1
    }
    let token = line.extracting(0..<end)
    let hasLabels = end < line.byteCount && line.at(end) == UInt8(ascii: "{")
    if let suffix = family.suffix(of: token) {
      name(family, token.extracting(suffix..<end), hasLabels, to: &page)
    } else if let suffix = short.suffix(of: token) {
      name(short, token.extracting(suffix..<end), hasLabels, to: &page)
    } else {
      begin(SeriesKey.array(token))
      name(family, token.extracting(end..<end), hasLabels, to: &page)
    }
    if hasLabels { end = labels(line, from: end + 1, to: &page) }
    page.append(line.extracting(end..<line.byteCount))
    page.append(UInt8(ascii: "\n"))
  }

  /// The sample's name, and what stands before its first label, if it has any.
  @inline(__always)
  private func name(
    _ stem: Stem, _ suffix: RawSpan, _ hasLabels: Bool, to page: inout ByteBuffer
  ) {
    page.append(stem.written)
    page.append(suffix)
    if stem.isQuoted {
      page.append(Self.quote)
      page.append(UInt8(ascii: hasLabels ? "," : "}"))
    } else if hasLabels {
      page.append(UInt8(ascii: "{"))
    }
  }

  /// From the first label to behind the closing brace.
  @_optimize(speed)
  private func labels(_ line: RawSpan, from start: Int, to page: inout ByteBuffer) -> Int {
    var index = start
    var place = 0
    while index < line.byteCount {
      let byte = line.at(index)
      if byte == UInt8(ascii: "}") {
        page.append(byte)
        return index + 1
      }
      if byte == UInt8(ascii: ",") {
        page.append(byte)
        index += 1
        continue
      }
      var end = index
      while line.at(end) != UInt8(ascii: "=") { end += 1 }
      page.append(label(place, line.extracting(index..<end)))
      place += 1
      index = end + 2
      while line.at(index) != Self.quote {
        index += line.at(index) == UInt8(ascii: "\\") ? 2 : 1
      }
      index += 1
      page.append(line.extracting(end..<index))
    }
    return index
  }

  private func needsQuotes(_ name: [UInt8], isLabel: Bool = false) -> Bool {
    escaping == .allowUTF8 && !Escaping.isPlain(name, isLabel: isLabel)
  }

  private static let quote = UInt8(ascii: "\"")

  /// What stands between the quotes.
  private static func escaped(_ name: [UInt8]) -> [UInt8] {
    var text = ByteBuffer(capacity: 128)
    unsafe Labels.appendEscaped(name.span.bytes, to: &text)
    return text.array
  }
}
