import Platform

/// `?name[]=a&name[]=b`: only these families. A family is meant by its own name or by that of one of
/// its samples (`a_total`, `a_bucket`, `a_count`, `a_sum`, `a_created`).
struct NameFilter: Equatable {
  /// Empty: every family.
  private(set) var names: [[UInt8]] = []

  init() {}

  init(query: RawSpan) {
    var start = 0
    while start < query.byteCount {
      var end = start
      while end < query.byteCount, query.byte(end) != UInt8(ascii: "&") { end += 1 }
      let pair = Self.decoded(query.extracting(start..<end))
      let key = Array("name[]=".utf8)
      if pair.starts(with: key) { names.append(Self.plain(pair.dropFirst(key.count))) }
      start = end + 1
    }
  }

  func includes(_ family: [UInt8]) -> Bool {
    names.isEmpty || names.contains { Self.means($0, family) }
  }

  private static func means(_ name: [UInt8], _ family: [UInt8]) -> Bool {
    guard name != family else { return true }
    for suffix: StaticString in ["_total", "_bucket", "_count", "_sum", "_created"] {
      let count = suffix.utf8CodeUnitCount
      if name.count == family.count + count, name.starts(with: family),
        ends(name, with: suffix)
      {
        return true
      }
      // OpenMetrics calls `a_total` the family `a` with samples `a_total` and `a_created`.
      if ends(family, with: "_total"), ends(name, with: "_created"),
        name.dropLast(8) == family.dropLast(6)
      {
        return true
      }
    }
    return ends(family, with: "_total") && name[...] == family.dropLast(6)
  }

  /// `my.name` means the family that is `my_name` to others.
  private static func plain(_ name: ArraySlice<UInt8>) -> [UInt8] {
    let name = Array(name)
    return name.isEmpty || Escaping.isPlain(name) ? name : Names.sanitised(name[...])
  }

  private static func ends(_ name: [UInt8], with suffix: StaticString) -> Bool {
    let start = name.count - suffix.utf8CodeUnitCount
    guard start >= 0 else { return false }
    for index in 0..<suffix.utf8CodeUnitCount
    where unsafe name[start + index] != suffix.utf8Start[index] {
      return false
    }
    return true
  }

  /// `%5B` and `+` as forms write them; what is no escape stays.
  private static func decoded(_ text: RawSpan) -> [UInt8] {
    var bytes: [UInt8] = []
    var index = 0
    while index < text.byteCount {
      let byte = text.byte(index)
      if byte == UInt8(ascii: "%"), index + 2 < text.byteCount,
        let high = hex(text.byte(index + 1)), let low = hex(text.byte(index + 2))
      {
        bytes.append(high << 4 | low)
        index += 3
      } else {
        bytes.append(byte == UInt8(ascii: "+") ? 32 : byte)
        index += 1
      }
    }
    return bytes
  }

  private static func hex(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 48...57: byte - 48
    case 65...70: byte - 55
    case 97...102: byte - 87
    default: nil
    }
  }
}
