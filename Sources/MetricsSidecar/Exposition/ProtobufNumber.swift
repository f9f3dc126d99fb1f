import SidecarPlatform

/// A `Metric` of a counter or gauge of events, written at once: its lengths follow from the number
/// of quotes in its key, counted eight bytes at a time.
///
///     22 27                              metric = 4, 39 bytes
///       0a 07 0a 01 61 12 02 78 79       label = 1: name "a", value "xy": 6 bytes more than both
///       1a 1a 09 …                       counter = 3: value = 1, then 8 bytes
///         1a 0b 08 80 92 b8 c3 06 10 …   created_timestamp = 3: seconds, nanoseconds
struct ProtobufNumber {
  private let nameByteCount: Int
  private let field: UInt8

  /// The limit for labels, so that all lengths within the metric have one byte.
  private static let byteLimit = 100
  private static let ones: UInt64 = 0x0101_0101_0101_0101

  init(_ nameByteCount: Int, field: UInt8) {
    self.nameByteCount = nameByteCount
    self.field = field
  }

  /// The bytes of a metric; 0 if it must take the general path.
  @inline(__always)
  func byteCount(_ key: RawSpan, _ createdMilliseconds: UInt64) -> Int {
    let labels = labelByteCount(key)
    if labels < 0 { return 0 }
    let content = labels + 11 + Self.timeByteCount(createdMilliseconds)
    return content + (content < 0x80 ? 2 : 3)
  }

  /// The bytes of all labels; -1 if they are too long or have escapes.
  @inline(__always)
  private func labelByteCount(_ key: RawSpan) -> Int {
    let count = key.byteCount
    let start = nameByteCount
    if count == start { return 0 }
    if count - start > Self.byteLimit || count < 8 { return -1 }
    var quotes: UInt64 = 0
    var escapes: UInt64 = 0
    var at = start
    while at < count {
      let word = Self.word(key, at)
      quotes &+= (Self.matches(word, UInt8(ascii: "\"")) &>> 7 &* Self.ones) &>> 56
      escapes |= Self.matches(word, UInt8(ascii: "\\"))
      at &+= 8
    }
    // Of `{a="b"}` with n bytes each name and value have one length more, and each pair one of its
    // own.
    return escapes == 0 ? count &- start &- 1 &+ Int(quotes) : -1
  }

  /// The eight bytes at `at` of a key of eight or more; zeros behind its end.
  @inline(__always)
  private static func word(_ key: RawSpan, _ at: Int) -> UInt64 {
    // Sound: the last load ends at the end of the key.
    let beyond = at &+ 8 &- key.byteCount
    if beyond <= 0 {
      return unsafe UInt64(
        littleEndian: key.unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt64.self))
    }
    let word = unsafe UInt64(
      littleEndian: key.unsafeLoadUnaligned(
        fromUncheckedByteOffset: at &- beyond, as: UInt64.self))
    return word &>> UInt64(truncatingIfNeeded: beyond &* 8)
  }

  /// Bit 7 of each byte that is `byte`.
  @inline(__always)
  private static func matches(_ word: UInt64, _ byte: UInt8) -> UInt64 {
    let low: UInt64 = 0x7f7f_7f7f_7f7f_7f7f
    let other = word ^ (ones &* UInt64(byte))
    return ~(((other & low) &+ low) | other | low)
  }

  @inline(__always)
  private static func varintByteCount(_ value: UInt64) -> Int {
    (70 &- (value | 1).leadingZeroBitCount) / 7
  }

  /// The bytes of the field with the creation time of the series.
  @inline(__always)
  private static func timeByteCount(_ milliseconds: UInt64) -> Int {
    guard milliseconds > 1 else { return 0 }
    return 4 &+ varintByteCount(milliseconds / 1000)
      &+ varintByteCount(milliseconds % 1000 &* 1_000_000)
  }

  /// Whether it could be written this way.
  @inline(__always)
  func append(
    _ key: RawSpan, _ value: Double, _ createdMilliseconds: UInt64, to page: inout ByteBuffer
  ) -> Bool {
    let labels = labelByteCount(key)
    if labels < 0 { return false }
    let timeByteCount = Self.timeByteCount(createdMilliseconds)
    let content = labels &+ 11 &+ timeByteCount
    unsafe page.appendUnsafe(capacity: content + 3) { memory in
      // Sound: the bytes of a metric are counted above, and nothing else is written.
      var cursor = unsafe Cursor(memory.baseAddress!)
      unsafe cursor.put(4 << 3 | 2)
      unsafe cursor.varint(UInt64(content))
      if labels > 0 { unsafe self.labels(key, &cursor) }
      unsafe cursor.put(field << 3 | 2)
      unsafe cursor.put(UInt8(truncatingIfNeeded: 9 &+ timeByteCount))
      unsafe cursor.put(1 << 3 | 1)
      unsafe cursor.put64(value.bitPattern)
      if timeByteCount > 0 {
        unsafe cursor.put(3 << 3 | 2)
        unsafe cursor.put(UInt8(truncatingIfNeeded: timeByteCount &- 2))
        unsafe cursor.put(1 << 3)
        unsafe cursor.varint(createdMilliseconds / 1000)
        unsafe cursor.put(2 << 3)
        unsafe cursor.varint(createdMilliseconds % 1000 &* 1_000_000)
      }
      return unsafe cursor.at - memory.baseAddress!
    }
    return true
  }

  @inline(__always)
  private func labels(_ key: RawSpan, _ cursor: inout Cursor) {
    var wordAt = nameByteCount
    var quotes = Self.matches(Self.word(key, wordAt), UInt8(ascii: "\""))
    @inline(__always)
    func nextQuote() -> Int {
      while quotes == 0 {
        wordAt &+= 8
        quotes = Self.matches(Self.word(key, wordAt), UInt8(ascii: "\""))
      }
      let place = wordAt &+ quotes.trailingZeroBitCount &>> 3
      quotes &= quotes &- 1
      return place
    }
    var at = nameByteCount &+ 1
    while at < key.byteCount {
      // `a="xy",`
      let valueAt = nextQuote() &+ 1
      let end = nextQuote()
      let nameCount = valueAt &- 2 &- at
      let valueCount = end &- valueAt
      unsafe cursor.put(1 << 3 | 2)
      unsafe cursor.put(UInt8(truncatingIfNeeded: nameCount &+ valueCount &+ 4))
      unsafe cursor.put(1 << 3 | 2)
      unsafe cursor.put(UInt8(truncatingIfNeeded: nameCount))
      unsafe cursor.copy(key.extracting(at..<valueAt &- 2))
      unsafe cursor.put(2 << 3 | 2)
      unsafe cursor.put(UInt8(truncatingIfNeeded: valueCount))
      unsafe cursor.copy(key.extracting(valueAt..<end))
      at = end &+ 2
    }
  }

  /// Where the next byte goes.
  @unsafe
  private struct Cursor {
    var at: UnsafeMutableRawPointer

    init(_ at: UnsafeMutableRawPointer) { unsafe self.at = at }

    @inline(__always)
    mutating func put(_ byte: UInt8) {
      unsafe at.storeBytes(of: byte, as: UInt8.self)
      unsafe at += 1
    }

    @inline(__always)
    mutating func put64(_ bits: UInt64) {
      unsafe at.storeBytes(of: bits.littleEndian, as: UInt64.self)
      unsafe at += 8
    }

    @inline(__always)
    mutating func varint(_ value: UInt64) {
      var rest = value
      while rest >= 0x80 {
        unsafe put(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest &>>= 7
      }
      unsafe put(UInt8(truncatingIfNeeded: rest))
    }

    @inline(__always)
    mutating func copy(_ source: RawSpan) {
      let count = source.byteCount
      unsafe source.withUnsafeBytes {
        if let start = $0.baseAddress { unsafe ByteCopy.short(start, to: at, count) }
      }
      unsafe at += count
    }
  }
}
