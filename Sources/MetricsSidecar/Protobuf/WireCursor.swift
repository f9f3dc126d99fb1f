import SidecarPlatform

/// The fields of a protobuf message, one after the other, over borrowed bytes.
/// https://protobuf.dev/programming-guides/encoding/
///
/// What must stay true: nothing is read at or after `end`; a length is checked against the rest
/// before it is used; reading allocates nothing.
@safe
struct WireCursor {
  // Sound: the request's bytes outlive every cursor over them, and `at <= end` lies within them.
  private let base: UnsafeRawPointer
  private(set) var at: Int
  let end: Int
  /// The number and type of the field that `next` has read.
  private(set) var number = 0
  private(set) var type: UInt8 = 0
  /// Its value, if it has no length.
  private(set) var bits: UInt64 = 0
  /// Where its content starts, and where the field itself does.
  private(set) var start = 0
  private(set) var fieldStart = 0
  /// Why `next` has ended before `end`.
  private(set) var isMalformed = false

  static let varint: UInt8 = 0
  static let fixed: UInt8 = 1
  static let bytes: UInt8 = 2

  @unsafe
  init(_ bytes: UnsafeRawBufferPointer) {
    unsafe base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!
    at = 0
    end = bytes.count
  }

  private init(_ other: WireCursor, _ range: Range<Int>) {
    unsafe base = other.base
    at = range.lowerBound
    end = range.upperBound
  }

  /// Another cursor over a part of the same bytes.
  @inline(never)
  func over(_ range: Range<Int>) -> WireCursor {
    precondition(range.lowerBound >= 0 && range.upperBound <= end)
    return WireCursor(self, range)
  }

  /// The three numbers that begin a point of OTLP, where it has them in the order of their fields,
  /// as protobuf's libraries write it: start time, time, and a value that is a whole number or not.
  /// `nil` for any other point.
  @inline(__always)
  @_optimize(speed)
  var pointHead: (start: UInt64, time: UInt64, value: Double)? {
    guard end &- at > Self.pointHeadByteCount, byte(at) == 0x11, byte(at &+ 9) == 0x19 else {
      return nil
    }
    let bits = word(at &+ 19)
    switch byte(at &+ 18) {
    case 0x21: return (word(at &+ 1), word(at &+ 10), Double(bitPattern: bits))
    case 0x31: return (word(at &+ 1), word(at &+ 10), Double(Int64(bitPattern: bits)))
    default: return nil
    }
  }

  static let pointHeadByteCount = 27

  /// Sound: the caller has checked that eight bytes are there.
  @inline(__always)
  private func word(_ at: Int) -> UInt64 {
    unsafe UInt64(littleEndian: (base + at).loadUnaligned(as: UInt64.self))
  }

  /// The content of the field, which has a length.
  @inline(never)
  var inside: WireCursor { WireCursor(self, start..<at) }
  /// The same inlined into the caller.
  @inline(__always)
  var contentCursor: WireCursor { WireCursor(self, start..<at) }
  @inline(__always)
  var content: Range<Int> { start..<at }

  /// The bytes of a range; valid as long as the request's are.
  @_lifetime(borrow self)
  @inline(__always)
  func span(_ range: Range<Int>) -> RawSpan {
    precondition(range.lowerBound >= 0 && range.upperBound <= end)
    let span = unsafe RawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  func array(_ range: Range<Int>) -> [UInt8] { SeriesKey.array(span(range)) }

  /// Reads the next field; `false` at the end, or if it is malformed.
  @inline(never)
  @_optimize(speed)
  mutating func next() -> Bool { advance() }

  /// The same inlined into the caller, for the fields of each point.
  @inline(__always)
  @_optimize(speed)
  mutating func advance() -> Bool {
    if at >= end { return false }
    fieldStart = at
    var key = UInt64(byte(at))
    at &+= 1
    if key >= 0x80 {
      at &-= 1
      key = readVarint()
    }
    number = Int(truncatingIfNeeded: key >> 3)
    if number == 0 || key >> 32 != 0 { return fail() }
    type = UInt8(truncatingIfNeeded: key & 7)
    start = at
    switch type {
    case Self.fixed:
      if end &- at < 8 { return fail() }
      bits = unsafe UInt64(
        littleEndian: (base + at).loadUnaligned(as: UInt64.self))
      at &+= 8
    case Self.bytes: start = readLengthPrefixed().lowerBound
    case Self.varint: bits = readVarint()
    default: return other()
    }
    return !isMalformed
  }

  /// 32-bit numbers, and obsolete groups: skipped.
  @inline(never)
  private mutating func other() -> Bool {
    var depth = 0
    var kind = type
    repeat {
      switch kind {
      case 0: _ = readVarint()
      case 1, 5:
        let size = kind == 1 ? 8 : 4
        if end - at < size { return fail() }
        at += size
      case 2: _ = readLengthPrefixed()
      case 3: depth += 1
      case 4 where depth > 0: depth -= 1
      default: return fail()
      }
      if isMalformed { return false }
      if depth > 0 { kind = UInt8(truncatingIfNeeded: readVarint() & 7) }
    } while depth > 0 && !isMalformed
    return !isMalformed
  }

  private mutating func fail() -> Bool {
    isMalformed = true
    return false
  }

  @inline(__always)
  private func byte(_ index: Int) -> UInt8 {
    unsafe base.load(fromByteOffset: index, as: UInt8.self)
  }

  // MARK: Numbers without a key

  /// A number of up to ten bytes; 0, and malformed, if it does not end.
  @inline(__always)
  @_optimize(speed)
  mutating func readVarint() -> UInt64 {
    if at < end {
      let first = byte(at)
      if first < 0x80 {
        at &+= 1
        return UInt64(first)
      }
    }
    return readLongVarint()
  }

  @inline(never)
  private mutating func readLongVarint() -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while at < end, shift < 64 {
      let byte = byte(at)
      at &+= 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift &+= 7
    }
    isMalformed = true
    return 0
  }

  /// Eight bytes, as packed numbers lie one after the other.
  @inline(never)
  mutating func readFixed() -> UInt64 {
    if end &- at < 8 {
      isMalformed = true
      return 0
    }
    let value = unsafe UInt64(littleEndian: (base + at).loadUnaligned(as: UInt64.self))
    at &+= 8
    return value
  }

  /// A length and so many bytes; none, and malformed, if fewer are left.
  @inline(__always)
  @_optimize(speed)
  mutating func readLengthPrefixed() -> Range<Int> {
    let length = readVarint()
    if length > UInt64(end &- at) { isMalformed = true }
    if isMalformed { return at..<at }
    let start = at
    at &+= Int(truncatingIfNeeded: length)
    return start..<at
  }

  var isAtEnd: Bool { at >= end || isMalformed }
}

extension UInt64 {
  /// A signed number whose sign is its lowest bit.
  var unzigzagged: Int64 { Int64(bitPattern: self >> 1) ^ -Int64(bitPattern: self & 1) }
}
