import SidecarPlatform

/// Names as the scraper has asked for them. A family's name is escaped whole, then its samples'
/// endings follow, as the official clients do. Under `allow-utf-8` a name that is not plain stands in
/// quotes within the braces of a text format:
///
///     # TYPE "my.name" counter
///     {"my.name_total","a.label"="v"} 4.0
///
/// What must stay true: a series whose labels the series before had allocates nothing.
final class WrittenNames {
  private let spellings: OriginalNames
  private let escaping: Escaping
  private let isText: Bool
  /// The labels of the last series, by their places in it.
  private var labels: [(plain: [UInt8], written: [UInt8])] = []

  /// `nil` where plain names are what the scraper has asked for.
  init?(_ spellings: OriginalNames, _ shape: ExpositionShape) {
    switch shape.escaping {
    case nil, .underscores: return nil
    case .dots: break
    case .values, .allowUTF8: if spellings.isEmpty { return nil }
    }
    self.spellings = spellings
    escaping = shape.escaping ?? .underscores
    isText = shape.format != .protobuf
  }

  /// A family's name, without quotes.
  func family(_ plain: [UInt8]) -> [UInt8] { name(OriginalNames.family, plain) }

  /// The label at `place` of a series, in quotes where a text format needs them.
  @_optimize(speed)
  func label(_ place: Int, _ plain: RawSpan) -> [UInt8] {
    if place < labels.count {
      let known = labels[place]
      if unsafe ByteCompare.equal(known.plain.span.bytes, plain) { return known.written }
    }
    let bytes = SeriesKey.array(plain)
    var written = name(OriginalNames.label, bytes)
    if isText, needsQuotes(written, isLabel: true) {
      let quote = [UInt8(ascii: "\"")]
      written = quote + Self.escaped(written) + quote
    }
    if place < labels.count {
      labels[place] = (bytes, written)
    } else {
      labels.append((bytes, written))
    }
    return written
  }

  /// What a family's samples begin with in a text format.
  func stem(_ written: [UInt8]) -> TextWriter.Stem {
    needsQuotes(written)
      ? TextWriter.Stem(text: Array("{\"".utf8) + Self.escaped(written), isQuoted: true)
      : TextWriter.Stem(text: written, isQuoted: false)
  }

  /// No two names of one page become one, and no label gets Prometheus's own `__` at its start.
  private func name(_ mark: UInt8, _ plain: [UInt8]) -> [UInt8] {
    let spelled = spellings.isEmpty ? plain : spellings.spelling(mark, plain)
    let isLabel = mark == OriginalNames.label
    guard escaping == .dots else { return escaping.escaped(spelled, isLabel: isLabel) }
    // `a--b` and `a__b` would both be `a____b`.
    let written = escaping.escaped(
      Escaping.isOneToOne(spelled, plain) ? spelled : plain, isLabel: isLabel)
    return isLabel && written.starts(with: "__".utf8)
      ? Array("exported_".utf8) + written : written
  }

  private func needsQuotes(_ name: [UInt8], isLabel: Bool = false) -> Bool {
    escaping == .allowUTF8 && !Escaping.isPlain(name, isLabel: isLabel)
  }

  private static func escaped(_ name: [UInt8]) -> [UInt8] {
    var text = ByteBuffer(capacity: 128)
    unsafe Labels.appendEscaped(name.span.bytes, to: &text)
    return text.array
  }
}
