import SidecarPlatform

/// The `Date` field (RFC 9110 §5.6.7, IMF-fixdate), made once a second:
/// `Sun, 06 Nov 1994 08:49:37 GMT`.
struct HTTPDate: ~Copyable {
  /// Overwritten in place: a date that allocates would contend with other threads for malloc's
  /// lock.
  private(set) var text = ByteBuffer(capacity: 32)
  private var second: Int64 = -1
  private var validUntil: UInt64 = 0

  init() {}

  /// Reads the wall clock when the second may have changed.
  mutating func update(now: UInt64) {
    guard now >= validUntil else { return }
    let wall = Clock.unixNanoseconds
    validUntil = now + (1_000_000_000 - wall % 1_000_000_000)
    let seconds = Int64(wall / 1_000_000_000)
    guard seconds != second else { return }
    second = seconds
    text.removeAll()
    Self.append(seconds, to: &text)
  }

  @inline(__always)
  func append(to buffer: inout ByteBuffer) { buffer.append(text.bytes) }

  static func append(_ seconds: Int64, to text: inout ByteBuffer) {
    let time = CivilTime(unixSeconds: seconds)
    name("SunMonTueWedThuFriSat", time.weekday, &text)
    text.append(", ")
    pad(time.day, &text)
    text.append(UInt8(ascii: " "))
    name("JanFebMarAprMayJunJulAugSepOctNovDec", time.month - 1, &text)
    text.append(UInt8(ascii: " "))
    pad(time.year / 100, &text)
    pad(time.year % 100, &text)
    text.append(UInt8(ascii: " "))
    pad(time.hour, &text)
    text.append(UInt8(ascii: ":"))
    pad(time.minute, &text)
    text.append(UInt8(ascii: ":"))
    pad(time.second, &text)
    text.append(" GMT")
  }

  private static func name(_ names: StaticString, _ index: Int, _ text: inout ByteBuffer) {
    for at in index * 3..<index * 3 + 3 { text.append(unsafe names.utf8Start[at]) }
  }

  private static func pad(_ number: Int, _ text: inout ByteBuffer) {
    text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / 10))
    text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number % 10))
  }
}
