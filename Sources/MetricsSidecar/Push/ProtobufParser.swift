import SidecarPlatform

/// Reads delimited `io.prometheus.client.MetricFamily` messages into a `PushBatch`.
/// https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
///
/// Unknown fields are skipped. A family's name and type are searched for first, since they may come
/// after its metrics.
struct ProtobufParser {
  private let batch: PushBatch
  private let limits: PushLimits

  /// The progress in a body: between two families, or two metrics of one.
  struct Place {
    /// The next family.
    fileprivate var at = 0
    /// The rest of the one being read.
    fileprivate var rest: Range<Int>?
    fileprivate var family = 0
    fileprivate var type = FamilyType.untyped
  }

  /// Goes on reading a body: about `left` series, which it counts down. Whether that is all.
  static func parse(
    _ body: RawSpan, _ place: inout Place, into batch: PushBatch, limits: PushLimits,
    _ left: inout Int
  ) throws(PushError) -> Bool {
    let parser = ProtobufParser(batch: batch, limits: limits)
    while true {
      guard try parser.metrics(body, &place, &left) else { return false }
      var reader = WireReader(body, place.at..<body.byteCount)
      if reader.isAtEnd { break }
      let message = try reader.lengthPrefixed()
      place.at = reader.position
      left -= 1 + message.count / 1024
      try parser.family(body, message, &place)
    }
    batch.finish()
    return true
  }

  /// Reads metrics of the current family; returns whether those are all.
  private func metrics(
    _ body: RawSpan, _ place: inout Place, _ left: inout Int
  ) throws(PushError) -> Bool {
    if left <= 0 { return false }
    guard let rest = place.rest else { return true }
    var reader = WireReader(body, rest)
    while let field = try reader.next() {
      guard field.number == 4 else { continue }
      if left <= 0 {
        place.rest = field.start..<rest.upperBound
        return false
      }
      let message = try field.bytes()
      try metric(place.family, place.type, body, message)
      try batch.check(limits)
      left -= 1 + message.count / PushAPI.unitByteCount
    }
    place.rest = nil
    return true
  }

  private func family(
    _ body: RawSpan, _ message: Range<Int>, _ place: inout Place
  ) throws(PushError) {
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
    // An empty message, with which some encoders begin.
    if name.isEmpty, isEmpty { return }
    if let mistake = mistake(body, name, "a family's name", NameByte.isFamily) {
      throw PushError(mistake)
    }
    let nameSpan = body.extracting(name)
    guard let type = UInt8(exactly: typeNumber).flatMap(FamilyType.init(rawValue:))
    else {
      throw PushError(
        joined(
          String(copying: nameSpan), " has the type ", typeNumber.description,
          ", which is not known"))
    }
    guard batch.findFamily(nameSpan) == nil else {
      throw PushError(joined("the family ", String(copying: nameSpan), " is there twice"))
    }
    let family = batch.family(nameSpan)
    batch.setType(family, type)
    if let help {
      guard body.isUTF8(help) else { throw PushError("a help text that is not UTF-8") }
      var escaped = ByteBuffer(capacity: help.count + 16)
      Labels.appendEscapedHelp(body.extracting(help), to: &escaped)
      batch.setHelp(family, escaped.bytes)
    }
    place.family = family
    place.type = type
    place.rest = message
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
        // Before the work for further labels.
        guard labelCount < limits.labels else {
          throw PushError(joined("more than ", limits.labels.description, " labels"))
        }
        labelCount += 1
        try label(body, try field.bytes())
      case 6:
        batch.note(joined("pushed metrics must not have timestamps (", batch.name(family), ")"))
      case Self.contentField(type): content = try field.bytes()
      default: break
      }
    }
    let metric = batch.addMetric(family, body)
    guard let content else {
      batch.note(joined(batch.describe(metric), " has no ", type.text.description, " value"))
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

  /// Refuses values that would spoil a sum forever.
  private func check(
    _ metric: Int, _ type: FamilyType, _ part: SampleNames.Part, _ value: Double
  ) throws(PushError) {
    if let rule = batch.adds, let reason = rule.mistake(type, part, value) {
      throw PushError(joined(batch.describe(metric), ": ", reason.description))
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
    // A readable but inconsistent body changes the group's time of failure.
    if let mistake = mistake(body, name, "a label's name", NameByte.isLabel) {
      return batch.note(mistake)
    }
    func text() -> String { String(copying: body.extracting(name)) }
    if body.extracting(name).starts(with: "__") {
      return batch.note(joined("the label ", text(), " is Prometheus's own"))
    }
    guard value.count <= limits.labelValueByteCount else {
      throw PushError(
        joined(
          "a value of ", text(), " has more than ", limits.labelValueByteCount.description, " bytes"
        ))
    }
    guard body.isUTF8(value) else {
      return batch.note(joined("a value of ", text(), " is not UTF-8"))
    }
    if batch.hasLabel(name, in: body) {
      return batch.note(joined("the label ", text(), " is there twice"))
    }
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
    return joined(what, " that Prometheus does not allow: \"", text, "\"")
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
      return batch.note(
        joined(batch.describe(metric), " is a native histogram with ", mistake.description))
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

  /// A bucket's count is a whole number, or any number in a histogram of floats.
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
