import SidecarPlatform

/// A list field's items and their parameters (RFC 9110 §5.6), as `Accept`, `Accept-Encoding` and
/// `Content-Type` have them: `text/plain; version=0.0.4; q=0.5`. What is not understood is skipped.
extension RawSpan {
  /// Calls `body` for each item between the commas that is not empty.
  public func forEachItem(_ body: (RawSpan) -> Void) {
    var start = 0
    while start < byteCount {
      let end = self.end(of: UInt8(ascii: ","), from: start)
      let item = extracting(start..<end).trimmed
      if item.byteCount > 0 { body(item) }
      start = end + 1
    }
  }

  /// What an item has before its parameters: a media type, a coding.
  public var itemValue: RawSpan {
    @_lifetime(copy self)
    get { extracting(0..<end(of: UInt8(ascii: ";"), from: 0)).trimmed }
  }

  /// An item's parameter without its quotes; `nil` where it is not given.
  @_lifetime(copy self)
  public func itemParameter(_ name: StaticString) -> RawSpan? {
    var start = end(of: UInt8(ascii: ";"), from: 0) + 1
    while start < byteCount {
      let end = self.end(of: UInt8(ascii: ";"), from: start)
      let part = extracting(start..<end)
      let equals = part.end(of: UInt8(ascii: "="), from: 0)
      if equals < part.byteCount, part.extracting(0..<equals).trimmed.equalsIgnoringCase(name) {
        let value = part.extracting(equals + 1..<part.byteCount).trimmed
        if value.byteCount >= 2, value.at(0) == UInt8(ascii: "\""),
          value.at(value.byteCount - 1) == UInt8(ascii: "\"")
        {
          return value.extracting(1..<value.byteCount - 1)
        }
        return value
      }
      start = end + 1
    }
    return nil
  }

  /// An item's `q` in thousandths (RFC 9110 §12.4.2): 1000 where it is missing, 0 where it is not a
  /// weight.
  public var itemWeight: Int {
    guard let text = itemParameter("q") else { return 1000 }
    guard text.byteCount > 0, text.byteCount <= 16 else { return 0 }
    var weight = 0
    var unit = 1000
    for index in 0..<text.byteCount {
      let byte = text.at(index)
      if index == 1 {
        guard byte == UInt8(ascii: ".") else { return 0 }
        continue
      }
      guard byte >= 48, byte <= 57 else { return 0 }
      weight += Int(byte - 48) * unit
      unit /= 10
    }
    return min(weight, 1000)
  }

  /// Where the next `mark` outside of quotes stands, or the end.
  private func end(of mark: UInt8, from start: Int) -> Int {
    var index = start
    var isQuoted = false
    while index < byteCount {
      let next = at(index)
      if next == UInt8(ascii: "\"") { isQuoted.toggle() }
      if isQuoted, next == UInt8(ascii: "\\") { index += 1 }
      if !isQuoted, next == mark { return index }
      index += 1
    }
    return byteCount
  }

  /// Without spaces and tabs around it.
  private var trimmed: RawSpan {
    @_lifetime(copy self)
    get {
      var start = 0
      var end = byteCount
      while start < end, at(start) == 32 || at(start) == 9 { start += 1 }
      while end > start, at(end - 1) == 32 || at(end - 1) == 9 { end -= 1 }
      return extracting(start..<end)
    }
  }
}
