import SidecarPlatform
import SidecarRules

/// `?name[]=a&name[]=b`: only these families. A family matches by its own name or the name of one
/// of its samples (`a_total`, `a_bucket`, `a_count`, `a_sum`, `a_created`).
struct NameFilter: Equatable {
  /// Empty: every family.
  private(set) var names: [[UInt8]] = []
  /// The families that match: a query may have hundreds of names, and there may be thousands of
  /// families.
  private var families: Set<[UInt8]> = []

  init() {}

  init(query: RawSpan) {
    var start = 0
    while start < query.byteCount {
      var end = start
      while end < query.byteCount, query.at(end) != UInt8(ascii: "&") { end += 1 }
      let pair = Self.decoded(query.extracting(start..<end))
      let key = Array("name[]=".utf8)
      if pair.starts(with: key) { add(Self.plain(pair.dropFirst(key.count))) }
      start = end + 1
    }
  }

  func includes(_ family: [UInt8]) -> Bool { names.isEmpty || families.contains(family) }

  private mutating func add(_ name: [UInt8]) {
    names.append(name)
    for family in SampleNames.families(meantBy: name) { families.insert(family) }
  }

  /// `my.name` matches the family that other scrapers see as `my_name`.
  private static func plain(_ name: ArraySlice<UInt8>) -> [UInt8] {
    let name = Array(name)
    return name.isEmpty || Escaping.isPlain(name) ? name : Names.sanitised(name[...])
  }

  /// Decodes `%5B` and `+` as in forms; leaves invalid escapes.
  static func decoded(_ text: RawSpan) -> [UInt8] {
    var bytes: [UInt8] = []
    var index = 0
    while index < text.byteCount {
      let byte = text.at(index)
      if byte == UInt8(ascii: "%"), index + 2 < text.byteCount,
        let high = text.at(index + 1).hexDigit, let low = text.at(index + 2).hexDigit
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
}
