import SidecarPlatform

/// Reads delimited `io.prometheus.client.MetricFamily` messages into a `PushBatch`.
/// https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
///
/// Unknown fields are skipped. A family's name and type are looked for first, since they may stand
/// after its metrics.
struct ProtobufParser {
  private let batch: PushBatch
  private let limits: PushLimits

  static func parse(
    _ body: RawSpan, into batch: PushBatch, limits: PushLimits
  ) throws(PushError) {
    let parser = ProtobufParser(batch: batch, limits: limits)
    var reader = WireReader(body, 0..<body.byteCount)
    while !reader.isAtEnd { try parser.family(body, try reader.lengthPrefixed()) }
    batch.finish()
  }

  private func family(_ body: RawSpan, _ message: Range<Int>) throws(PushError) {
    var name = message.lowerBound..<message.lowerBound
    var help: Range<Int>?
    var typeNumber: UInt64 = 0
    var isEmpty = true
    var reader = WireReader(body, message)
    while let field = try reader.next() {
      switch field.number {
      case 1: name = try field.bytes()
      case 2: help = try field.bytes()
      case 3: typeNumber = try field.varint()
      case 4: isEmpty = false
      default: break
      }
    }
    // A message that says nothing, as some encoders begin with.
    if name.isEmpty, isEmpty { return }
    if let mistake = mistake(body, name, "a family's name", NameByte.isFamily) {
      throw PushError(mistake)
    }
    let nameSpan = body.extracting(name)
    guard let type = UInt8(exactly: typeNumber).flatMap(FamilyType.init(rawValue:)) else {
      throw PushError("\(String(copying: nameSpan)) has the type \(typeNumber), which is not known")
    }
    guard batch.findFamily(nameSpan) == nil else {
      throw PushError("the family \(String(copying: nameSpan)) is there twice")
    }
    let family = batch.family(nameSpan)
    batch.setType(family, type)
    if let help {
      guard body.isUTF8(help) else { throw PushError("a help text that is not UTF-8") }
      var escaped = ByteBuffer(capacity: help.count + 16)
      LabelText.appendEscapedHelp(body.extracting(help), to: &escaped)
      batch.setHelp(family, escaped.bytes)
    }
    var again = WireReader(body, message)
    while let field = try again.next() {
      if field.number == 4 { try metric(family, type, body, try field.bytes()) }
    }
  }

  private func metric(
    _ family: Int, _ type: FamilyType, _ body: RawSpan, _ message: Range<Int>
  ) throws(PushError) {
    var content: Range<Int>?
    var labelCount = 0
    var reader = WireReader(body, message)
    while let field = try reader.next() {
      switch field.number {
      case 1:
        // Before the work that each further label makes.
        guard labelCount < limits.labels else {
          throw PushError("more than \(limits.labels) labels")
        }
        labelCount += 1
        try label(body, try field.bytes())
      case 6: batch.note("pushed metrics must not have timestamps (\(batch.name(family)))")
      case Self.contentField(type): content = try field.bytes()
      default: break
      }
    }
    let metric = batch.addMetric(family, body)
    guard let content else {
      batch.note("\(batch.describe(metric)) has no \(type.text) value")
      return
    }
    switch type {
    case .counter, .gauge, .untyped:
      let value = try value(body, content)
      try check(metric, type, .whole, value)
      batch.setValue(metric, value)
    case .summary: try summary(metric, body, content)
    case .histogram, .gaugeHistogram: try histogram(metric, type, body, content)
    }
  }

  /// Refuses what would stay in a sum for ever.
  private func check(
    _ metric: Int, _ type: FamilyType, _ part: PushBatch.Part, _ value: Double
  ) throws(PushError) {
    if let rule = batch.adds, let reason = rule.mistake(type, part, value) {
      throw PushError("\(batch.describe(metric)): \(reason)")
    }
  }

  private static func contentField(_ type: FamilyType) -> Int {
    switch type {
    case .gauge: 2
    case .counter: 3
    case .summary: 4
    case .untyped: 5
    case .histogram, .gaugeHistogram: 7
    }
  }

  private func label(_ body: RawSpan, _ message: Range<Int>) throws(PushError) {
    var name = message.lowerBound..<message.lowerBound
    var value = name
    var reader = WireReader(body, message)
    while let field = try reader.next() {
      if field.number == 1 { name = try field.bytes() }
      if field.number == 2 { value = try field.bytes() }
    }
    // What can be read but is not allowed changes the group's time of failure.
    if let mistake = mistake(body, name, "a label's name", NameByte.isLabel) {
      return batch.note(mistake)
    }
    func text() -> String { String(copying: body.extracting(name)) }
    if body.extracting(name).starts(with: "__") {
      return batch.note("the label \(text()) is Prometheus's own")
    }
    guard value.count <= limits.labelValueByteCount else {
      throw PushError("a value of \(text()) has more than \(limits.labelValueByteCount) bytes")
    }
    guard body.isUTF8(value) else { return batch.note("a value of \(text()) is not UTF-8") }
    if batch.hasLabel(name, in: body) { return batch.note("the label \(text()) is there twice") }
    batch.addLabel(name: name, value: value, isRaw: true)
  }

  private func mistake(
    _ body: RawSpan, _ name: Range<Int>, _ what: String, _ isAllowed: (UInt8, Bool) -> Bool
  ) -> String? {
    var isName = !name.isEmpty && name.count <= limits.nameByteCount
    for index in name where isName {
      isName = isAllowed(body.at(index), index == name.lowerBound)
    }
    if isName { return nil }
    let shown = name.prefix(100)
    let text = String(copying: body.extracting(shown.startIndex..<shown.endIndex))
    return "\(what) that Prometheus does not allow: \"\(text)\""
  }

  private func value(_ body: RawSpan, _ message: Range<Int>) throws(PushError) -> Double {
    var value = 0.0
    var reader = WireReader(body, message)
    while let field = try reader.next() {
      if field.number == 1 { value = try field.double() }
    }
    return value
  }

  private func summary(
    _ metric: Int, _ body: RawSpan, _ message: Range<Int>
  ) throws(PushError) {
    var count = 0.0
    var sum = 0.0
    var reader = WireReader(body, message)
    while let field = try reader.next() {
      switch field.number {
      case 1: count = Double(try field.varint())
      case 2: sum = try field.double()
      case 3: try quantile(metric, body, try field.bytes())
      default: break
      }
    }
    try check(metric, .summary, .sum, sum)
    batch.setSum(metric, sum)
    batch.setCount(metric, count)
  }

  private func histogram(
    _ metric: Int, _ type: FamilyType, _ body: RawSpan, _ message: Range<Int>
  ) throws(PushError) {
    var parser = NativeParser()
    var sum = 0.0
    var reader = WireReader(body, message)
    while let field = try reader.next() {
      switch field.number {
      case 2: sum = try field.double()
      case 3: try bucket(metric, type, body, try field.bytes())
      default: try parser.take(field, body)
      }
    }
    try check(metric, type, .sum, sum)
    try check(metric, type, .count, parser.count)
    batch.setSum(metric, sum)
    batch.setCount(metric, parser.count)
    guard parser.native.isNative else { return }
    if let mistake = parser.mistake(sum: sum) {
      return batch.note("\(batch.describe(metric)) is a native histogram with \(mistake)")
    }
    batch.setNative(metric, parser.native)
  }

  private func quantile(
    _ metric: Int, _ body: RawSpan, _ message: Range<Int>
  ) throws(PushError) {
    var quantile = 0.0
    var value = 0.0
    var reader = WireReader(body, message)
    while let field = try reader.next() {
      if field.number == 1 { quantile = try field.double() }
      if field.number == 2 { value = try field.double() }
    }
    guard !quantile.isNaN else { throw PushError("a quantile that is no number") }
    batch.addPoint(metric, bound: quantile, value: value)
  }

  /// A bucket has its count as a whole number, or in a histogram of floats as any.
  private func bucket(
    _ metric: Int, _ type: FamilyType, _ body: RawSpan, _ message: Range<Int>
  ) throws(PushError) {
    var bound = 0.0
    var whole: UInt64 = 0
    var float = 0.0
    var reader = WireReader(body, message)
    while let field = try reader.next() {
      switch field.number {
      case 1: whole = try field.varint()
      case 2: bound = try field.double()
      case 4: float = try field.double()
      default: break
      }
    }
    guard !bound.isNaN else { throw PushError("a bound that is no number") }
    let count = float == 0 ? Double(whole) : float
    try check(metric, type, .bucket, count)
    batch.addPoint(metric, bound: bound, value: count)
  }
}

/// Fields of a protobuf message, one after the other.
/// https://protobuf.dev/programming-guides/encoding/
struct WireReader: ~Escapable {
  private let bytes: RawSpan
  private var at: Int
  private let end: Int

  struct Field {
    let number: Int
    fileprivate let type: UInt64
    fileprivate let bits: UInt64
    fileprivate let range: Range<Int>

    func varint() throws(PushError) -> UInt64 {
      guard type == 0 else { throw WireReader.malformed }
      return bits
    }

    func double() throws(PushError) -> Double {
      guard type == 1 else { throw WireReader.malformed }
      return Double(bitPattern: bits)
    }

    /// Numbers one after the other, or a message or text.
    var isPacked: Bool { type == 2 }

    func bytes() throws(PushError) -> Range<Int> {
      guard type == 2 else { throw WireReader.malformed }
      return range
    }
  }

  static var malformed: PushError { PushError("the body is no delimited protobuf of MetricFamily") }

  @_lifetime(copy bytes)
  init(_ bytes: RawSpan, _ range: Range<Int>) {
    self.bytes = bytes
    at = range.lowerBound
    end = range.upperBound
  }

  var isAtEnd: Bool { at >= end }

  mutating func next() throws(PushError) -> Field? {
    guard at < end else { return nil }
    let key = try varint()
    guard let number = Int(exactly: key >> 3), number > 0 else { throw Self.malformed }
    let type = key & 7
    var bits: UInt64 = 0
    var range = at..<at
    switch type {
    case 0: bits = try varint()
    case 1: bits = try fixed(8)
    case 2: range = try lengthPrefixed()
    case 3: try skipGroup()
    case 5: bits = try fixed(4)
    default: throw Self.malformed
    }
    return Field(number: number, type: type, bits: bits, range: range)
  }

  /// What an old kind of message holds, up to its end; nobody here reads it.
  private mutating func skipGroup() throws(PushError) {
    var depth = 1
    while depth > 0 {
      switch try varint() & 7 {
      case 0: _ = try varint()
      case 1: _ = try fixed(8)
      case 2: _ = try lengthPrefixed()
      case 3: depth += 1
      case 4: depth -= 1
      case 5: _ = try fixed(4)
      default: throw Self.malformed
      }
    }
  }

  mutating func lengthPrefixed() throws(PushError) -> Range<Int> {
    let length = try varint()
    guard length <= UInt64(end - at) else { throw Self.malformed }
    let start = at
    at += Int(length)
    return start..<at
  }

  mutating func varint() throws(PushError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while at < end, shift < 64 {
      let byte = bytes.at(at)
      at += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw Self.malformed
  }

  mutating func fixed(_ count: Int) throws(PushError) -> UInt64 {
    guard end - at >= count else { throw Self.malformed }
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(bytes.at(at + index)) << UInt64(8 * index) }
    at += count
    return value
  }
}
