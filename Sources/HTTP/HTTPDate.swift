import Platform

/// The `Date` field's value (RFC 9110 §5.6.7), rendered once a second.
struct HTTPDate: ~Copyable {
  static var byteCount: Int { 29 }
  private var text = ByteBuffer(capacity: 32)
  private var validUntil: UInt64 = 0

  init() { render(unixSeconds: 0) }

  /// Renders anew if the second is over. Reads the wall clock at most once a second.
  @inline(__always)
  mutating func update(now: UInt64) {
    if now >= validUntil { updateFromClock(now: now) }
  }

  @inline(never)
  private mutating func updateFromClock(now: UInt64) {
    let nanoseconds = Clock.unixNanoseconds
    render(unixSeconds: Int64(nanoseconds / 1_000_000_000))
    validUntil = now + (1_000_000_000 - nanoseconds % 1_000_000_000)
  }

  /// `Sun, 06 Nov 1994 08:49:37 GMT`
  mutating func render(unixSeconds: Int64) {
    let time = CivilTime(unixSeconds: unixSeconds)
    text.removeAll()
    appendName(time.weekday, of: "SunMonTueWedThuFriSat")
    text.append(", ")
    appendTwoDigits(time.day)
    text.append(" ")
    appendName(time.month - 1, of: "JanFebMarAprMayJunJulAugSepOctNovDec")
    text.append(" ")
    appendTwoDigits(time.year / 100)
    appendTwoDigits(time.year % 100)
    text.append(" ")
    appendTwoDigits(time.hour)
    text.append(":")
    appendTwoDigits(time.minute)
    text.append(":")
    appendTwoDigits(time.second)
    text.append(" GMT")
  }

  private mutating func appendName(_ index: Int, of names: StaticString) {
    precondition(index >= 0 && index * 3 + 2 < names.utf8CodeUnitCount)
    for offset in 0..<3 { text.append(names.byte(index * 3 + offset)) }
  }

  private mutating func appendTwoDigits(_ value: Int) {
    text.append(ASCII.zero + UInt8(truncatingIfNeeded: value / 10 % 10))
    text.append(ASCII.zero + UInt8(truncatingIfNeeded: value % 10))
  }

  func append(to buffer: inout ByteBuffer) { buffer.append(text.bytes) }

  /// Writes over the date of a prepared response that was just copied to `offset`.
  @inline(__always)
  func write(into buffer: inout ByteBuffer, at offset: Int) {
    let bytes = text.bytes
    for index in 0..<Self.byteCount {
      buffer.replace(at: offset + index, with: bytes.byte(index))
    }
  }
}
