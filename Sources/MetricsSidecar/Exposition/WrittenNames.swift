import SidecarPlatform

/// Names in the scheme that the scraper asked for. A family's name is escaped as a whole, then the
/// suffixes of its samples follow, as in the official clients. Under `allow-utf-8` a name that is
/// not plain is quoted within the braces of a text format:
///
///     # TYPE "my.name" counter
///     {"my.name_total","a.label"="v"} 4.0
///
/// What must stay true: a series with the same labels as the previous one allocates nothing.
final class WrittenNames {
  private let spellings: OriginalNames
  private let escaping: Escaping
  private let isText: Bool
  /// The labels of the last series, by their positions in it.
  private var labels: [(plain: [UInt8], written: [UInt8])] = []

  /// `nil` if the scraper asked for plain names.
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

  /// The label at `place` of a series, quoted where a text format needs it.
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

  /// The beginning of a family's samples in a text format.
  func stem(_ written: [UInt8]) -> TextWriter.Stem {
    needsQuotes(written)
      ? TextWriter.Stem(text: Array("{\"".utf8) + Self.escaped(written), isQuoted: true)
      : TextWriter.Stem(text: written, isQuoted: false)
  }

  /// No two names of one exposition become the same, and no label begins with `__`, which is
  /// Prometheus's own.
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
