import SidecarPlatform

/// Reads the fields of a protobuf `Histogram` that make it a native one.
struct NativeParser {
  private(set) var native = NativeHistogram()
  private var wholeCount: UInt64 = 0
  private var floatCount = 0.0
  private(set) var isFloat = false
  /// As pushed: a float if there is one, even if it is negative or NaN.
  var count: Double { floatCount == 0 ? Double(wholeCount) : floatCount }
  /// The last bucket of each side, to which the next difference applies.
  private var last: (below: Int64, above: Int64) = (0, 0)
  private var hasDeltas = false
  private var hasCounts = false

  /// Handles a field of the message `body`, if it is one of those.
  mutating func take(_ field: WireReader.Field, _ body: RawSpan) throws(PushError) {
    switch field.number {
    case 1: wholeCount = try field.varint()
    case 4:
      floatCount = try field.double()
      isFloat = isFloat || floatCount != 0
    case 5: native.schema = Int(clamping: try field.varint().unzigzagged)
    case 6: native.zeroThreshold = try field.double()
    case 7:
      let whole = try field.varint()
      if whole != 0 { native.zeroCount = Double(whole) }
    case 8:
      let float = try field.double()
      isFloat = isFloat || float != 0
      if float != 0 { native.zeroCount = float }
    case 9: native.below.spans.append(try Self.span(body, try field.bytes()))
    case 12: native.above.spans.append(try Self.span(body, try field.bytes()))
    case 10: try Self.deltas(field, body, &native.below.counts, &last.below)
    case 13: try Self.deltas(field, body, &native.above.counts, &last.above)
    case 11: try Self.counts(field, body, &native.below.counts)
    case 14: try Self.counts(field, body, &native.above.counts)
    default: break
    }
    hasDeltas = hasDeltas || field.number == 10 || field.number == 13
    hasCounts = hasCounts || field.number == 11 || field.number == 14
  }

  /// What is wrong with it; `nil` if nothing is.
  func mistake(sum: Double) -> StaticString? {
    if hasDeltas && hasCounts { return "buckets with counts and with differences" }
    return native.mistake(count: count, sum: sum, isFloat: isFloat || hasCounts)
  }

  private static func span(
    _ body: RawSpan, _ message: Range<Int>
  ) throws(PushError) -> NativeHistogram.Span {
    var span = NativeHistogram.Span(offset: 0, length: 0)
    var reader = WireReader(body, message)
    while let field = try reader.next() {
      if field.number == 1 { span.offset = Int(clamping: try field.varint().unzigzagged) }
      if field.number == 2 { span.length = Int(clamping: Int32(clamping: try field.varint())) }
    }
    return span
  }

  /// One difference, or many packed.
  private static func deltas(
    _ field: WireReader.Field, _ body: RawSpan, _ counts: inout [Double], _ last: inout Int64
  ) throws(PushError) {
    if field.isPacked {
      var reader = WireReader(body, try field.bytes())
      while !reader.isAtEnd {
        last &+= try reader.varint().unzigzagged
        counts.append(Double(last))
      }
    } else {
      last &+= try field.varint().unzigzagged
      counts.append(Double(last))
    }
  }

  private static func counts(
    _ field: WireReader.Field, _ body: RawSpan, _ counts: inout [Double]
  ) throws(PushError) {
    guard field.isPacked else { return counts.append(try field.double()) }
    var reader = WireReader(body, try field.bytes())
    while !reader.isAtEnd { counts.append(Double(bitPattern: try reader.fixed())) }
  }
}
