import SidecarPlatform

/// Reads Prometheus text format 0.0.4 into a `PushBatch`.
/// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
///
/// It accepts and refuses what Pushgateway's parser does; a mistake is reported with line and
/// column.
struct TextParser: ~Escapable {
  private let body: RawSpan
  private let batch: PushBatch
  private let limits: PushLimits
  private var at = 0
  private var line = 1
  private var lineStart = 0

  @_lifetime(copy body)
  private init(_ body: RawSpan, _ batch: PushBatch, _ limits: PushLimits) {
    self.body = body
    self.batch = batch
    self.limits = limits
  }

  /// The progress in a body: between two lines.
  struct Place {
    fileprivate var at = 0
    fileprivate var line = 1
  }

  /// Goes on reading a body: lines of about `left` series, which it counts down. Whether that is
  /// all.
  static func parse(
    _ body: RawSpan, _ place: inout Place, into batch: PushBatch, limits: PushLimits,
    _ left: inout Int
  ) throws(PushError) -> Bool {
    guard body.byteCount > 0 else { return true }
    var parser = TextParser(body, batch, limits)
    parser.at = place.at
    parser.line = place.line
    // With a newline at the very end, no other code has to check for the end of the body.
    let endsWell = body.at(body.byteCount - 1) == UInt8(ascii: "\n")
    let end = endsWell ? body.byteCount : parser.lastLineStart()
    while parser.at < end {
      if left <= 0 {
        place = Place(at: parser.at, line: parser.line)
        return false
      }
      let start = parser.at
      try parser.oneLine()
      try batch.check(limits)
      left -= 1 + (parser.at - start) / PushAPI.unitByteCount
    }
    if !endsWell {
      parser.lineStart = end
      parser.at = body.byteCount
      throw parser.mistake("the last line does not end with a newline")
    }
    batch.finish()
    return true
  }

  private func lastLineStart() -> Int {
    var index = body.byteCount
    while index > 0, body.at(index - 1) != UInt8(ascii: "\n") { index -= 1 }
    return index
  }

  private func mistake(_ message: String, at place: Int? = nil) -> PushError {
    PushError(
      joined(
        "line ", line.description, ", column ", ((place ?? at) - lineStart + 1).description, ": ",
        message))
  }

  // MARK: Lines

  private mutating func oneLine() throws(PushError) {
    lineStart = at
    skipBlanks()
    switch body.at(at) {
    case UInt8(ascii: "\n"): break
    case UInt8(ascii: "#"): try comment()
    default: try sample()
    }
    guard body.at(at) == UInt8(ascii: "\n") else {
      throw mistake(
        body.at(at) == 13
          ? "a carriage return: lines end with a newline alone" : "expected the end of the line")
    }
    at += 1
    line += 1
  }

  @inline(__always)
  private mutating func skipBlanks() {
    while body.at(at) == 32 || body.at(at) == 9 { at += 1 }
  }

  /// The bytes up to a blank or the line's end.
  private mutating func token() -> Range<Int> {
    let start = at
    while body.at(at) != 32, body.at(at) != 9, body.at(at) != 10 { at += 1 }
    return start..<at
  }

  private mutating func comment() throws(PushError) {
    at += 1
    skipBlanks()
    let word = body.extracting(token())
    let isHelp = word.isEqual(to: "HELP")
    if !isHelp, !word.isEqual(to: "TYPE") {
      while body.at(at) != 10 { at += 1 }
      return
    }
    skipBlanks()
    // An incomplete TYPE or HELP is a comment, as in Pushgateway's parser.
    if body.at(at) == 10 { return }
    let start = at
    let name = try familyName()
    guard body.at(at) == 32 || body.at(at) == 9 || body.at(at) == 10 else {
      throw mistake("expected a family's name", at: start)
    }
    skipBlanks()
    if body.at(at) == 10 { return }
    let family = batch.family(body.extracting(name))
    if isHelp { try help(family) } else { try type(family) }
  }

  private mutating func help(_ family: Int) throws(PushError) {
    if batch.families[family].hasHelp {
      throw mistake(joined("a second HELP line for ", batch.name(family)), at: lineStart)
    }
    let start = at
    while body.at(at) != 10 {
      if body.at(at) == UInt8(ascii: "\\") {
        let next = body.at(at + 1)
        guard next == UInt8(ascii: "\\") || next == UInt8(ascii: "n") else {
          throw mistake("a \\ in a help text stands before \\ or n")
        }
        at += 1
      }
      at += 1
    }
    guard body.isUTF8(start..<at) else { throw mistake("a help text that is not UTF-8", at: start) }
    batch.setHelp(family, body.extracting(start..<at))
  }

  private mutating func type(_ family: Int) throws(PushError) {
    let start = at
    let word = body.extracting(token())
    if batch.families[family].hasType {
      throw mistake(joined("a second TYPE line for ", batch.name(family)), at: lineStart)
    }
    if batch.families[family].metricCount > 0 {
      throw mistake(
        joined("TYPE of ", batch.name(family), " after its first sample"), at: lineStart)
    }
    let text = String(copying: word)
    guard let type = FamilyType(text) else {
      throw mistake(
        joined("\"", text, "\" is no type: counter, gauge, histogram, summary or untyped"),
        at: start)
    }
    batch.setType(family, type)
    skipBlanks()
  }

  // MARK: Samples

  private mutating func sample() throws(PushError) {
    let start = at
    let name = try familyName()
    let (family, part) = batch.sampleFamily(body.extracting(name))
    let type = batch.families[family].type
    var bound = Double.nan
    skipBlanks()
    if body.at(at) == UInt8(ascii: "{") { bound = try labels(type) }
    skipBlanks()
    let valueStart = at
    let word = token()
    guard let value = Number.parse(body.extracting(word)) else {
      if !word.isEmpty, body.at(at - 1) == 13 {
        at -= 1
        throw mistake("a carriage return: lines end with a newline alone")
      }
      throw mistake(
        word.isEmpty ? "expected a value" : joined("\"", text(word), "\" is no number"),
        at: valueStart)
    }
    if let rule = batch.adds, let reason = rule.mistake(type, part, value) {
      throw mistake(reason, at: valueStart)
    }
    skipBlanks()
    if body.at(at) != 10 { try timestamp() }
    try add(family, type, part, bound, value, at: start)
  }

  private mutating func add(
    _ family: Int, _ type: FamilyType, _ part: SampleNames.Part, _ bound: Double, _ value: Double,
    at start: Int
  ) throws(PushError) {
    guard type.hasPoints else {
      batch.setValue(batch.addMetric(family, body), value)
      return
    }
    if part == .whole, type == .histogram || bound.isNaN {
      throw mistake(
        type == .histogram
          ? "a histogram has _bucket, _sum and _count lines only"
          : "a summary's line is _sum, _count or has the label quantile", at: start)
    }
    if part == .bucket, bound.isNaN { throw mistake("a bucket without the label le", at: start) }
    let metric = batch.metric(family, body).index
    switch part {
    case .sum: batch.setSum(metric, value)
    case .count: batch.setCount(metric, value)
    case .bucket, .whole, .created: batch.addPoint(metric, bound: bound, value: value)
    }
  }

  private mutating func timestamp() throws(PushError) {
    let start = at
    var isNumber = false
    if body.at(at) == UInt8(ascii: "-") || body.at(at) == UInt8(ascii: "+") { at += 1 }
    while body.at(at) >= 48, body.at(at) <= 57 {
      at += 1
      isNumber = true
    }
    guard isNumber else { throw mistake("expected a timestamp or the end of the line", at: start) }
    skipBlanks()
    batch.note(joined("pushed metrics must not have timestamps (line ", line.description, ")"))
  }

  /// Reads `{a="1",…}`.
  /// - Returns: the bound in `le` or `quantile`; NaN if there is none.
  private mutating func labels(_ type: FamilyType) throws(PushError) -> Double {
    var bound = Double.nan
    at += 1
    while true {
      skipBlanks()
      if body.at(at) == UInt8(ascii: "}") { break }
      let name = try labelName()
      skipBlanks()
      try take(UInt8(ascii: "="), "expected '=' after a label's name")
      skipBlanks()
      try take(UInt8(ascii: "\""), "expected '\"' before a label's value")
      let value = try labelValue()
      if type == .histogram && body.extracting(name).isEqual(to: "le")
        || type == .summary && body.extracting(name).isEqual(to: "quantile")
      {
        guard let number = Number.parse(body.extracting(value)), !number.isNaN else {
          throw mistake(joined("\"", text(value), "\" is no number"), at: value.lowerBound)
        }
        bound = number
      } else {
        // Before the work for further labels.
        guard batch.labelCount < limits.labels else {
          throw mistake(joined("more than ", limits.labels.description, " labels"), at: lineStart)
        }
        if batch.hasLabel(name, in: body) {
          throw mistake(joined("the label ", text(name), " is there twice"), at: name.lowerBound)
        }
        batch.addLabel(name: name, value: value, isRaw: false)
      }
      skipBlanks()
      if body.at(at) == UInt8(ascii: ",") {
        at += 1
      } else if body.at(at) != UInt8(ascii: "}") {
        throw mistake("expected ',' or '}' after a label")
      }
    }
    at += 1
    return bound
  }

  private mutating func take(_ byte: UInt8, _ message: String) throws(PushError) {
    guard body.at(at) == byte else { throw mistake(message) }
    at += 1
  }

  private mutating func labelValue() throws(PushError) -> Range<Int> {
    let start = at
    var isASCII = true
    while true {
      let byte = body.at(at)
      if byte == UInt8(ascii: "\"") { break }
      if byte == UInt8(ascii: "\\") {
        let next = body.at(at + 1)
        guard next == byte || next == UInt8(ascii: "\"") || next == UInt8(ascii: "n") else {
          throw mistake("a \\ in a label's value stands before \\, \" or n")
        }
        at += 1
      } else if byte == 10 {
        throw mistake("a label's value without its closing '\"'", at: start)
      }
      if byte >= 0x80 { isASCII = false }
      at += 1
    }
    let value = start..<at
    if !isASCII, !body.isUTF8(value) { throw mistake("a value that is not UTF-8", at: start) }
    if value.count > limits.labelValueByteCount {
      throw mistake(
        joined("a label's value of more than ", limits.labelValueByteCount.description, " bytes"),
        at: start)
    }
    at += 1
    return value
  }

  private func text(_ range: Range<Int>) -> String { String(copying: body.extracting(range)) }

  // MARK: Names

  private mutating func familyName() throws(PushError) -> Range<Int> {
    let start = at
    while NameByte.isFamily(body.at(at), isFirst: at == start) { at += 1 }
    if at == start { throw mistake("expected a family's name") }
    if at - start > limits.nameByteCount {
      throw mistake(
        joined("a name of more than ", limits.nameByteCount.description, " bytes"), at: start)
    }
    return start..<at
  }

  private mutating func labelName() throws(PushError) -> Range<Int> {
    let start = at
    while NameByte.isLabel(body.at(at), isFirst: at == start) { at += 1 }
    if at == start { throw mistake("expected a label's name") }
    if at - start > limits.nameByteCount {
      throw mistake(
        joined("a name of more than ", limits.nameByteCount.description, " bytes"), at: start)
    }
    if body.extracting(start..<at).isEqual(to: "__name__") {
      throw mistake("the label __name__ is Prometheus's own", at: start)
    }
    if body.extracting(start..<at).starts(with: "__") {
      batch.note(
        joined("the label ", text(start..<at), " is Prometheus's own (line ", line.description, ")")
      )
    }
    return start..<at
  }
}
