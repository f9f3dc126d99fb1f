import SidecarPlatform

/// `Idempotency-Key` of pushes that add up: one that is seen again for its group is answered and not
/// added. The last 10,000 are known, over all groups.
///
/// A key is a record of its own in the file of groups, kept in one store with the push that it came with:
///
///     its key      0   1  zero, which no group's identity begins with
///                  1  16  digest of the group's identity and the key
///     its content  0   8  the number of the keyed push: 1, 2, 3 …
///
/// What must stay true: `order` has the keys of these records, the oldest first.
struct PushedKeys {
  static let limit = 10_000
  /// Of a key, in bytes.
  static let byteLimit = 255
  static let contentByteCount = 8

  private var order: [ByteKey] = []
  /// Those before it have gone.
  private var first = 0
  private var next: UInt64 = 1

  /// The record of a key for a group. 128 bits of a hash that nobody finds two texts for.
  static func record(_ group: ByteKey, _ key: [UInt8]) -> ByteKey {
    ByteKey([0] + SHA256.hash(group.bytes + [0] + key)[..<16])
  }

  static func isRecord(_ key: ByteKey) -> Bool { key.bytes.first == 0 }

  init() {}

  /// What a file has: numbers without a gap, since the oldest goes first.
  init(_ file: PushFile) {
    let keys = file.keys
    var least = UInt64.max
    for key in keys {
      guard let number = Self.number(key, file) else { continue }
      least = min(least, number)
      next = max(next, number &+ 1)
    }
    guard least < next, next - least <= UInt64(keys.count) else { return }
    order = [ByteKey](repeating: ByteKey(), count: Int(next - least))
    for key in keys {
      if let number = Self.number(key, file) { order[Int(number - least)] = key }
    }
  }

  /// Of the push that a record's key came with; `nil` for a group.
  private static func number(_ key: ByteKey, _ file: PushFile) -> UInt64? {
    let content = file.group(key)
    guard isRecord(key), content.byteCount == contentByteCount else { return nil }
    var number: UInt64 = 0
    for index in 0..<8 { number |= UInt64(content.at(index)) << UInt64(8 * index) }
    return number
  }

  /// What the next key's record has.
  var content: ByteBuffer {
    var content = ByteBuffer(capacity: 8)
    for index in 0..<8 { content.append(UInt8(truncatingIfNeeded: next >> UInt64(8 * index))) }
    return content
  }

  /// Takes note of a record that is stored; the oldest one, if it has to go for it.
  mutating func stored(_ key: ByteKey) -> ByteKey? {
    order.append(key)
    next += 1
    guard order.count - first > Self.limit else { return nil }
    let oldest = order[first]
    first += 1
    if first >= Self.limit {
      order.removeFirst(first)
      first = 0
    }
    return oldest
  }
}
