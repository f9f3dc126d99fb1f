internal import SidecarPlatform

/// One StatsD or DogStatsD line, parsed into ranges of its bytes; nothing is copied.
///
///     name:value[:value…]|type[|@rate][|#tag:v,tag:v][|c:container][|T unixtime][|x:label:v][|e:…]
///
/// Fields come in any order. Unknown ones are ignored, as DogStatsD demands.
/// https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
package struct EventLine: Sendable {
  /// The types of StatsD by their letter, `ms` by its first letter.
  package enum Kind: UInt8, Sendable {
    case counter = 0x63  // c
    case gauge = 0x67  // g
    case milliseconds = 0x6d  // ms
    case histogram = 0x68  // h
    case distribution = 0x64  // d
    case set = 0x73  // s
  }

  /// The type of the values.
  package var kind = Kind.counter
  /// The bytes before the first colon.
  package var name = 0..<0
  /// One value, or several separated by colons.
  package var values = 0..<0
  /// The bytes after `#`; empty without tags.
  package var tags = 0..<0
  /// The bytes after `c:`, the sender's container; empty without one.
  package var container = 0..<0
  /// The bytes after `T`, the client's time in Unix seconds; empty without one.
  package var time = 0..<0
  /// The bytes after `x:`, the labels of an exemplar; empty without one.
  package var exemplar = 0..<0
  /// Whether it has an unknown field that may be a tag: `|kind:web`. Then `onlyValue` is NaN.
  package private(set) var hasTagLikeField = false
  /// How many samples each value stands for: 1 / rate.
  package var weight = 1.0
  /// The only value, if it is an unsigned number, as most are: it is parsed on the way to the type.
  /// Otherwise NaN, and `nextValue` returns the values.
  package private(set) var onlyValue = Double.nan

  /// Parses `line`, which has no newline.
  /// - Throws: what is wrong with it; an event (`_e{`) or service check (`_sc|`) is `.ignored`.
  package static func parse(_ line: RawSpan) throws(LineError) -> EventLine {
    let count = line.byteCount
    var event = EventLine()
    let colon = ByteScan.find(UInt8(ascii: ":"), in: line, from: 0, to: count)
    if colon == 0 { throw .noName }
    if line.at(0) == UInt8(ascii: "_"), isIgnored(line) { throw .ignored }
    if colon == count { throw .noValue }
    event.name = 0..<colon
    // Values are short: byte by byte is faster here than eight at a time, and sums up on the way.
    var bar = colon + 1
    var mantissa: UInt64 = 0
    var point = -1
    var isPlain = true
    var hasMore = false
    while bar < count {
      let byte = unsafe line[unchecked: bar]
      if byte &- 48 < 10 {
        mantissa = mantissa &* 10 &+ UInt64(byte &- 48)
      } else if byte == UInt8(ascii: "|") {
        break
      } else if byte == UInt8(ascii: "."), point < 0 {
        point = bar
      } else {
        isPlain = false
        hasMore = hasMore || byte == UInt8(ascii: ":")
      }
      bar += 1
    }
    // Up to 15 digits are exact, and so is a power of ten, so one division rounds correctly.
    let digits = bar - colon - (point < 0 ? 1 : 2)
    let fraction = point < 0 ? 0 : bar - point - 1
    isPlain = isPlain && digits > 0 && digits <= 15
    if bar == count { throw .noType }
    if bar == colon + 1 { throw .noValue }
    event.values = colon + 1..<bar
    // The type: one letter, or "ms".
    let typeStart = bar + 1
    bar = typeStart
    while bar < count, line.at(bar) != UInt8(ascii: "|") { bar += 1 }
    guard let kind = kind(line, typeStart..<bar) else { throw .unknownType }
    event.kind = kind
    if isPlain, kind != .set {
      event.onlyValue =
        fraction == 0 ? Double(mantissa) : Double(mantissa) / Decimal.powerOfTen(fraction)
    }
    while bar < count {
      let start = bar + 1
      bar = ByteScan.find(UInt8(ascii: "|"), in: line, from: start, to: count)
      if start == bar { continue }
      switch line.at(start) {
      case UInt8(ascii: "#"): event.tags = start + 1..<bar
      case UInt8(ascii: "@"):
        let rate = number(line, start + 1..<bar)
        guard rate >= Self.leastRate, rate <= 1 else { throw .badRate }
        event.weight = weight(rate)
      case UInt8(ascii: "c") where start + 1 < bar && line.at(start + 1) == UInt8(ascii: ":"):
        event.container = start + 2..<bar
      case UInt8(ascii: "T") where start + 1 < bar && line.at(start + 1) < UInt8(ascii: ":"):
        event.time = start + 1..<bar
      case UInt8(ascii: "x") where start + 2 < bar && line.at(start + 1) == UInt8(ascii: ":"):
        event.exemplar = start + 2..<bar
      case _ where looksLikeTag(line, start..<bar):
        event.hasTagLikeField = true
        event.onlyValue = .nan
      default: break
      }
    }
    if hasMore, kind != .set { try event.checkValues(line) }
    return event
  }

  /// Whether an unknown field may be a tag without its `#`: `kind:web`, `kind=web`. Protocol 1.5
  /// has `e:…` and `card:…`.
  @inline(never)
  private static func looksLikeTag(_ line: RawSpan, _ field: Range<Int>) -> Bool {
    var index = field.lowerBound
    while index < field.upperBound, line.at(index) != UInt8(ascii: ":"),
      line.at(index) != UInt8(ascii: "=")
    { index += 1 }
    let name = line.extracting(field.lowerBound..<index)
    return index + 1 < field.upperBound && name.byteCount > 0 && !name.isEqual(to: "e")
      && !name.isEqual(to: "card") && !name.isEqual(to: "x")
  }

  /// A line of several values counts as a whole or not at all.
  @inline(never)
  private func checkValues(_ line: RawSpan) throws(LineError) {
    var index = values.lowerBound
    var isEmpty = true
    while try nextValue(line, &index) != nil { isEmpty = false }
    if isEmpty { throw .noValue }
  }

  /// 1 / rate, and a whole number if it is one within a billionth: so a client can send a count as
  /// its inverse, truncated to ten digits or so, without losing any.
  private static func weight(_ rate: Double) -> Double {
    let exact = 1 / rate
    let whole = exact.rounded()
    return (exact - whole).magnitude <= whole * 1e-9 ? whole : exact
  }

  private static func kind(_ line: RawSpan, _ range: Range<Int>) -> Kind? {
    if range.count == 1 {
      let letter = line.at(range.lowerBound)
      return letter == UInt8(ascii: "m") ? nil : Kind(rawValue: letter)
    }
    if range.count == 2, line.at(range.lowerBound) == UInt8(ascii: "m"),
      line.at(range.lowerBound + 1) == UInt8(ascii: "s")
    {
      return .milliseconds
    }
    return nil
  }

  private static func isIgnored(_ line: RawSpan) -> Bool {
    guard line.byteCount > 3 else { return false }
    return line.at(1) == UInt8(ascii: "e") && line.at(2) == UInt8(ascii: "{")
      || line.at(1) == UInt8(ascii: "s") && line.at(2) == UInt8(ascii: "c")
        && line.at(3) == UInt8(ascii: "|")
  }

  /// The next value of the line, from `index` on, which moves past it; `nil` at the end. Empty
  /// items, as in `1::2`, are skipped.
  package func nextValue(_ line: RawSpan, _ index: inout Int) throws(LineError) -> Value? {
    if kind == .set {
      guard index < values.upperBound else { return nil }
      index = values.upperBound
      return Self.member(line, values)
    }
    while index < values.upperBound {
      let end = ByteScan.find(UInt8(ascii: ":"), in: line, from: index, to: values.upperBound)
      let range = index..<end
      index = end + 1
      if range.isEmpty { continue }
      let first = line.at(range.lowerBound)
      let isDelta =
        kind == .gauge && (first == UInt8(ascii: "+") || first == UInt8(ascii: "-"))
      let number = Self.number(line, range)
      if number.isNaN { throw .badValue }
      // A gauge's `-5` may be a value, which may be any number: the reader knows whether it is a
      // step.
      if number.magnitude > Self.greatest, kind != .gauge || first == UInt8(ascii: "+") {
        throw .badValue
      }
      if number < 0, kind == .counter { throw .negativeCount }
      return Value(number: number, isDelta: isDelta)
    }
    return nil
  }

  /// A set's value is any text, colons and all; as a number it is 53 bits of the text's digest.
  @inline(never)
  static func member(_ line: RawSpan, _ range: Range<Int>) -> Value {
    let digest = SessionID.mix(Digest.hash(line.extracting(range), seed: 0))
    return Value(number: Double(digest >> 11), isDelta: false)
  }

  /// One value of a line.
  package struct Value: Equatable, Sendable {
    /// Up to 1e100, except for a gauge's value. A set's member is its digest.
    package let number: Double
    /// A gauge's `+` or `-`: it moves the gauge instead of setting it, unless `-` is the sign of a
    /// value: see `isMinus`.
    package let isDelta: Bool
    /// A gauge's `-`: StatsD lowers the gauge by that, DogStatsD sets it to a number below 0.
    @inlinable package var isMinus: Bool { isDelta && number.sign == .minus }

    /// `isDelta` is for gauges only.
    @inlinable
    package init(number: Double, isDelta: Bool) {
      self.number = number
      self.isDelta = isDelta
    }
  }

  /// The limits of a value and a rate: no line, however often it comes, can make a sum infinite,
  /// which would be permanent.
  static var greatest: Double { 1e100 }
  private static var leastRate: Double { 1e-15 }
}

extension RawSpan {
  /// The byte at an index that the caller knows to be below `byteCount`, for loops over each byte
  /// of a line. Everything else uses `at`, which checks it.
  @unsafe
  @inline(__always)
  subscript(unchecked index: Int) -> UInt8 {
    unsafe unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
  }
}
