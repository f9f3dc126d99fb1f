import SidecarPlatform

/// `Idempotency-Key` of aggregating pushes: a repeated one for its group is answered but not added.
/// The last 10,000 are known, over all groups.
///
/// A key is a record of its own in the file of groups, committed in one store with its push:
///
///     its key      0   1  zero, which no group's identity begins with
///                  1  16  digest of the group's identity and the key
///     its content  0   8  the number of the keyed push: 1, 2, 3 …
///
/// What must stay true: `order` has the keys of these records, the oldest first.
struct PushedKeys {
  static let limit = 10_000
  /// The longest key, in bytes.
  static let byteLimit = 255
  static let contentByteCount = 8

  private var order: [ByteKey] = []
  /// Earlier ones have been removed.
  private var first = 0
  private var next: UInt64 = 1

  /// The record of a key for a group: 128 bits of a hash without known collisions.
  static func record(_ group: ByteKey, _ key: [UInt8]) -> ByteKey {
    ByteKey([0] + SHA256.hash(group.bytes + [0] + key)[..<16])
  }

  static func isRecord(_ key: ByteKey) -> Bool { key.bytes.first == 0 }

  init() {}

  /// The keys in a file: numbers without a gap, since the oldest goes first.
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

  /// The number of the push of a record's key; `nil` for a group.
  private static func number(_ key: ByteKey, _ file: PushFile) -> UInt64? {
    let content = file.group(key)
    guard isRecord(key), content.byteCount == contentByteCount else { return nil }
    var number: UInt64 = 0
    for index in 0..<8 { number |= UInt64(content.at(index)) << UInt64(8 * index) }
    return number
  }

  /// The content of the next key's record.
  var content: ByteBuffer {
    var content = ByteBuffer(capacity: 8)
    for index in 0..<8 { content.append(UInt8(truncatingIfNeeded: next >> UInt64(8 * index))) }
    return content
  }

  /// Adds a stored record; returns the oldest one, if it has to make room.
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
