internal import SidecarPlatform

/// One line of Netflix's spectator protocol, parsed into ranges of its bytes.
///
///     type[,option]:name[,tag=value…]:number          c:server.requests,status=200:1
///
/// https://netflix.github.io/atlas-docs/spectator/lang/nodejs/migrations/
package struct SpectatorLine: Sendable {
  /// The types of meters, by their letter.
  package enum Kind: UInt8, Sendable, CaseIterable {
    case counter = 0x63  // c
    case monotonicCounter = 0x43  // C: the source's own total
    case monotonicUnsigned = 0x55  // U: the same, a whole number of 64 bits that may roll over
    case monotonicSampled = 0x58  // X: the same, with a time as its option
    case gauge = 0x67  // g, with a time to live as its option
    case maximumGauge = 0x6d  // m
    case ageGauge = 0x41  // A: when something happened last, in Unix seconds; 0 is now
    case distribution = 0x64  // d
    case percentileDistribution = 0x44  // D
    case timer = 0x74  // t: seconds
    case percentileTimer = 0x54  // T: seconds
    case distinctSketch = 0x53  // S: the value is text in base64, one of a set
  }

  /// The type of the value.
  package let kind: Kind
  /// The name and its tags, up to the value's colon: `server.requests,status=200`.
  package let name: Range<Int>
  /// Up to 1e100, except for a gauge; a sketch's member is its digest.
  package let value: Double
  /// The exact value of a `monotonicUnsigned`.
  package private(set) var total: UInt64 = 0

  /// Parses `line`, which has no newline.
  package static func parse(_ line: RawSpan) throws(LineError) -> SpectatorLine {
    let count = line.byteCount
    let colon = ByteScan.find(UInt8(ascii: ":"), in: line, from: 0, to: count)
    guard colon > 0 else { throw .noType }
    guard let kind = Kind(rawValue: line.at(0)),
      colon == 1 || line.at(1) == UInt8(ascii: ",")
    else { throw .unknownType }
    // The value is after the last colon.
    var last = count - 1
    while last > colon, line.at(last) != UInt8(ascii: ":") { last -= 1 }
    guard last > colon else { throw .noValue }
    guard last > colon + 1, line.at(colon + 1) != UInt8(ascii: ",") else { throw .noName }
    if last + 1 == count { throw .noValue }
    let text = last + 1..<count
    let value =
      kind == .distinctSketch
      ? EventLine.member(line, text).number : EventLine.number(line, text)
    if value.isNaN || value.magnitude > EventLine.greatest && kind != .gauge { throw .badValue }
    if value < 0, kind.isCounter { throw .negativeCount }
    var parsed = SpectatorLine(kind: kind, name: colon + 1..<last, value: value)
    if kind == .monotonicUnsigned { parsed.total = try unsigned(line.extracting(text)) }
    return parsed
  }

  /// The whole number below 2^64 that `digits` spells.
  private static func unsigned(_ digits: RawSpan) throws(LineError) -> UInt64 {
    var total: UInt64 = 0
    for index in 0..<digits.byteCount {
      let digit = UInt64(digits.at(index) &- 48)
      let (tens, isTooMany) = total.multipliedReportingOverflow(by: 10)
      let (sum, isTooMuch) = tens.addingReportingOverflow(digit)
      guard digit < 10, !isTooMany, !isTooMuch else { throw .badValue }
      total = sum
    }
    return total
  }
}

extension SpectatorLine.Kind {
  /// Whether the value is a total kept by its source, so that its increase counts.
  package var isMonotonic: Bool {
    self == .monotonicCounter || self == .monotonicUnsigned || self == .monotonicSampled
  }

  /// Whether it adds to a counter; its value is then 0 or more.
  package var isCounter: Bool { self == .counter || isMonotonic }
}
