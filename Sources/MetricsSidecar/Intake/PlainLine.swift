import SidecarPlatform

/// The most common lines, parsed, hashed and ready for the lookup in one pass, 8 bytes at a time:
///
///     name:digits[.digits]|type           type c, g, ms, h or d
///     name:digits[.digits]|type|#tags
///
/// What must stay true: a line that is plain here *and is known to the table* means what
/// `EventLine` says. The name is only searched for its colon, and the tags for the line's end: no
/// key of the table has a colon in its name, a bar in its tags or a newline, so a line with those
/// is not found and takes the general path, which handles everything.
@safe
struct PlainLine {
  /// The offset of its newline, or the end of the bytes.
  let end: Int
  let type: UInt8
  let value: Double
  let key: LineKey

  /// The line at `start`, or `nil` if it has another form.
  @inline(__always)
  @_optimize(speed)
  init?(_ bytes: LineBytes, from start: Int, _ hashKey: HashKey) {
    var hash = LineHash(hashKey)
    var at = start
    guard let nameLast = Self.name(bytes, &at, &hash) else { return nil }
    let nameByteCount = at &- start
    guard let value = Self.value(bytes, &at), let type = Self.type(bytes, &at) else { return nil }
    self.value = value
    self.type = type
    guard let (tagsStart, tagsLast) = Self.tags(bytes, &at, &hash) else { return nil }
    hash.add(tagsLast)
    end = at
    // Sound: both ranges are within `bytes`, which the caller keeps.
    unsafe key = LineKey(
      name: bytes.base + start, nameByteCount, nameLast, type: type,
      tags: bytes.base + tagsStart, at &- tagsStart, tagsLast, hash: hash)
  }

  // Each continues at `at` and leaves it at the next part; they are parts of one pass, so all are
  // inlined into it.

  /// A longer name, mostly of tags, takes the general path. This bounds the search for a colon,
  /// which each of a thousand lines without one would extend over the lines after it.
  private static var nameByteLimit: Int { 512 }

  /// The name, up to the colon: its last word.
  @inline(__always)
  @_optimize(speed)
  private static func name(
    _ bytes: LineBytes, _ at: inout Int, _ hash: inout LineHash
  ) -> UInt64? {
    let end = min(bytes.count, at &+ nameByteLimit)
    while true {
      let word = bytes.word(at)
      let hit = zeros(word ^ colons)
      if hit != 0 {
        let shift = UInt64(truncatingIfNeeded: hit.trailingZeroBitCount) & 56
        let last = word & (1 &<< shift &- 1)
        at &+= Int(truncatingIfNeeded: shift &>> 3)
        hash.add(last)
        return last
      }
      hash.add(word)
      at &+= 8
      if at >= end { return nil }
    }
  }

  /// The value after the colon, up to the bar. 15 digits are exact, and so is a power of ten, so
  /// one division rounds correctly, as in `EventLine`.
  @inline(__always)
  @_optimize(speed)
  private static func value(_ bytes: LineBytes, _ at: inout Int) -> Double? {
    at &+= 1
    let start = at
    var mantissa: UInt64 = 0
    var point = -1
    while true {
      guard at < bytes.count else { return nil }
      let byte = bytes[at]
      if byte &- 48 < 10 {
        mantissa = mantissa &* 10 &+ UInt64(byte &- 48)
      } else if byte == UInt8(ascii: ".") && point < 0 {
        point = at
      } else {
        guard byte == UInt8(ascii: "|") else { return nil }
        break
      }
      at &+= 1
    }
    let digits = at &- start &- (point < 0 ? 0 : 1)
    guard digits &- 1 < 15, digits > 0 else { return nil }
    let value = Double(Int64(bitPattern: mantissa))
    return point >= 0 ? divided(value, fraction: at &- point &- 1) : value
  }

  /// The type after the bar; `m` for `ms`.
  @inline(__always)
  @_optimize(speed)
  private static func type(_ bytes: LineBytes, _ at: inout Int) -> UInt8? {
    at &+= 2
    guard at <= bytes.count else { return nil }
    let type = bytes[at &- 1]
    switch type {
    case 0x63, 0x64, 0x67, 0x68: break
    case 0x6d:
      guard at < bytes.count, bytes[at] == UInt8(ascii: "s") else { return nil }
      at &+= 1
    default: return nil
    }
    return type
  }

  /// The tags, up to the newline: where they start, and their last word.
  @inline(__always)
  @_optimize(speed)
  private static func tags(
    _ bytes: LineBytes, _ at: inout Int, _ hash: inout LineHash
  ) -> (start: Int, last: UInt64)? {
    if at == bytes.count || bytes[at] == UInt8(ascii: "\n") { return (at, 0) }
    guard at &+ 1 < bytes.count, bytes[at] == UInt8(ascii: "|"),
      bytes[at &+ 1] == UInt8(ascii: "#")
    else { return nil }
    at &+= 2
    let start = at
    var last: UInt64
    while true {
      last = bytes.word(at)
      let hit = zeros(last ^ newlines)
      if hit != 0 {
        let shift = UInt64(truncatingIfNeeded: hit.trailingZeroBitCount) & 56
        last &= 1 &<< shift &- 1
        at &+= Int(truncatingIfNeeded: shift &>> 3)
        break
      }
      if at &+ 8 > bytes.count {
        at = bytes.count
        break
      }
      hash.add(last)
      at &+= 8
    }
    // Windows clients and `nc` end lines with CR LF.
    if at > start, bytes[at &- 1] == 13 { return nil }
    return (start, last)
  }

  @inline(never)
  private static func divided(_ value: Double, fraction: Int) -> Double {
    fraction == 0 ? value : value / Decimal.powerOfTen(fraction)
  }

  private static var colons: UInt64 { 0x3a3a_3a3a_3a3a_3a3a }
  private static var newlines: UInt64 { 0x0a0a_0a0a_0a0a_0a0a }

  /// The top bit of the first byte that is zero, and of none before it.
  @inline(__always)
  @_optimize(speed)
  private static func zeros(_ x: UInt64) -> UInt64 {
    (x &- 0x0101_0101_0101_0101) & ~x & 0x8080_8080_8080_8080
  }
}

/// Borrowed bytes, read without checks; those of a frame or a datagram.
@safe
struct LineBytes {
  // Sound: `count` bytes, valid while the closure runs that got them from a span. Every reader
  // stays below `count`; `word` reads no byte beyond it.
  fileprivate let base: UnsafeRawPointer
  let count: Int

  @unsafe
  @inline(__always)
  @_optimize(speed)
  init(_ bytes: UnsafeRawBufferPointer) {
    unsafe base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!
    count = bytes.count
  }

  @inline(__always)
  @_optimize(speed)
  subscript(index: Int) -> UInt8 {
    assert(index >= 0 && index < count)
    return unsafe base.load(fromByteOffset: index, as: UInt8.self)
  }

  /// Eight bytes from `index` on, the first one lowest; zeros beyond the end.
  @inline(__always)
  @_optimize(speed)
  func word(_ index: Int) -> UInt64 {
    if index &+ 8 <= count {
      return UInt64(
        littleEndian: unsafe base.loadUnaligned(fromByteOffset: index, as: UInt64.self))
    }
    return tail(index)
  }

  @inline(never)
  private func tail(_ index: Int) -> UInt64 {
    let left = count &- index
    if count >= 8 {
      // The last eight bytes, of which those before `index` are shifted out.
      let last = UInt64(
        littleEndian: unsafe base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self))
      return last >> UInt64(8 * (8 - left))
    }
    var word: UInt64 = 0
    for at in (0..<left).reversed() { word = word << 8 | UInt64(self[index + at]) }
    return word
  }
}
