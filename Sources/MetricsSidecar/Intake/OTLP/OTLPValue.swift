import SidecarPlatform

/// Parsed attributes of a point, a resource or a scope: needed only for new ones.
struct OTLPAttributes {
  /// `raw` is the value as received, which distinguishes the text `1` from the number.
  typealias Attribute = (key: [UInt8], value: [UInt8], raw: Range<Int>)

  /// Sorted by key, without duplicates: the first one stays.
  private(set) var list: [Attribute] = []
  /// Of a resource.
  static let countLimit = 256

  /// Parses the fields with that number, which are `KeyValue`s.
  /// - Returns: `nil` if there are too many.
  init?(_ message: WireCursor, field: Int, limit: Int = countLimit) {
    var cursor = message
    while cursor.next() {
      guard cursor.number == field, cursor.type == WireCursor.bytes else { continue }
      if list.count >= limit { return nil }
      list.append(Self.attribute(cursor.inside))
    }
    // Few, so that this costs nothing, and it keeps the order of equal keys.
    var sorted: [Attribute] = []
    sorted.reserveCapacity(list.count)
    for attribute in list {
      var at = sorted.count
      while at > 0, attribute.key.lexicographicallyPrecedes(sorted[at - 1].key) { at -= 1 }
      if at > 0, sorted[at - 1].key == attribute.key { continue }
      sorted.insert(attribute, at: at)
    }
    list = sorted
  }

  func value(of key: StaticString) -> [UInt8]? {
    for attribute in list where attribute.key.count == key.utf8CodeUnitCount {
      if unsafe attribute.key.span.bytes.isEqual(to: key) { return attribute.value }
    }
    return nil
  }

  private static func attribute(_ message: WireCursor) -> Attribute {
    var cursor = message
    var key: [UInt8] = []
    var value: [UInt8] = []
    var raw = 0..<0
    while cursor.next() {
      guard cursor.type == WireCursor.bytes else { continue }
      if cursor.number == 1 { key = cursor.array(cursor.content) }
      if cursor.number == 2 {
        raw = cursor.content
        var text = ByteBuffer(capacity: 64)
        OTLPText.append(cursor.inside, to: &text, isQuoted: false)
        value = text.array
      }
    }
    return (key, value, raw)
  }
}

/// An attribute's value as a label: a text unchanged, a number or flag as text, bytes in base64, a
/// list or a map as JSON.
enum OTLPText {
  @inline(never)
  static func append(_ value: WireCursor, to text: inout ByteBuffer, isQuoted: Bool) {
    var cursor = value
    var isEmpty = true
    while cursor.next() {
      isEmpty = false
      switch cursor.number {
      case 1: string(cursor, &text, isQuoted)
      case 2: text.append(cursor.bits == 0 ? "false" : "true")
      case 3:
        let number = Int64(bitPattern: cursor.bits)
        if number < 0 { text.append(UInt8(ascii: "-")) }
        Decimal.append(number.magnitude, to: &text)
      case 4: double(Double(bitPattern: cursor.bits), &text)
      case 5: list(cursor.inside, &text, isMap: false)
      case 6: list(cursor.inside, &text, isMap: true)
      case 7:
        if isQuoted { text.append(UInt8(ascii: "\"")) }
        text.append(Base64.encodeStandard(cursor.array(cursor.content)))
        if isQuoted { text.append(UInt8(ascii: "\"")) }
      default: isEmpty = true
      }
    }
    if isEmpty, isQuoted { text.append("null") }
  }

  /// A whole number has no point.
  private static func double(_ number: Double, _ text: inout ByteBuffer) {
    if number.magnitude < 0x1p53, number == number.rounded(.towardZero) {
      if number < 0 { text.append(UInt8(ascii: "-")) }
      return Decimal.append(UInt64(number.magnitude), to: &text)
    }
    Decimal.append(number, to: &text)
  }

  private static func string(_ cursor: WireCursor, _ text: inout ByteBuffer, _ isQuoted: Bool) {
    guard isQuoted else { return text.append(cursor.span(cursor.content)) }
    text.append(UInt8(ascii: "\""))
    appendEscaped(cursor.span(cursor.content), to: &text)
    text.append(UInt8(ascii: "\""))
  }

  /// A text between the quotes of JSON.
  @inline(never)
  static func appendEscaped(_ bytes: RawSpan, to text: inout ByteBuffer) {
    for index in 0..<bytes.byteCount {
      let byte = bytes.at(index)
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
        text.append(UInt8(ascii: "\\"))
      } else if byte < 32 {
        text.append("\\u00")
        text.appendHex(byte)
        continue
      }
      text.append(byte)
    }
  }

  @inline(never)
  private static func list(_ message: WireCursor, _ text: inout ByteBuffer, isMap: Bool) {
    var cursor = message
    var isFirst = true
    text.append(isMap ? "{" : "[")
    while cursor.next() {
      guard cursor.number == 1, cursor.type == WireCursor.bytes else { continue }
      if !isFirst { text.append(UInt8(ascii: ",")) }
      isFirst = false
      if isMap {
        entry(cursor.inside, &text)
      } else {
        append(cursor.inside, to: &text, isQuoted: true)
      }
    }
    text.append(isMap ? "}" : "]")
  }

  @inline(never)
  private static func entry(_ message: WireCursor, _ text: inout ByteBuffer) {
    var cursor = message
    var value = message.over(message.end..<message.end)
    text.append(UInt8(ascii: "\""))
    while cursor.next() {
      if cursor.number == 1, cursor.type == WireCursor.bytes {
        appendEscaped(cursor.span(cursor.content), to: &text)
      }
      if cursor.number == 2, cursor.type == WireCursor.bytes { value = cursor.inside }
    }
    text.append("\":")
    append(value, to: &text, isQuoted: true)
  }
}
