import SidecarPlatform

/// Every pushed family's name and type, with how many groups have it.
struct PushNames {
  struct Entry {
    let name: [UInt8]
    let hash: UInt64
    var type: FamilyType
    var groupCount: Int
  }

  private(set) var entries: [Entry] = []
  private var index = HashIndex()
  private(set) var liveCount = 0
  /// Bytes of the names in use.
  private(set) var liveByteCount = 0

  func find(_ name: RawSpan) -> Int? {
    let hash = HashKey.process.hash(name)
    return index.find(at: hash) { place in
      let entry = entries[place]
      guard entry.hash == hash else { return false }
      return unsafe ByteCompare.equal(entry.name.span.bytes, name)
    }
  }

  /// The type of a name in use.
  func type(of name: RawSpan) -> FamilyType? {
    guard let index = find(name), entries[index].groupCount > 0 else { return nil }
    return entries[index].type
  }

  /// Counts another group with `name`, as `type`; `nil` if others have it with another type.
  mutating func retain(_ name: RawSpan, _ type: FamilyType) -> Int? {
    if let index = find(name) {
      if entries[index].groupCount == 0 {
        entries[index].type = type
        liveCount += 1
        liveByteCount += name.byteCount
      }
      guard entries[index].type == type else { return nil }
      entries[index].groupCount += 1
      return index
    }
    let hash = HashKey.process.hash(name)
    entries.append(Entry(name: SeriesKey.array(name), hash: hash, type: type, groupCount: 1))
    liveCount += 1
    liveByteCount += name.byteCount
    index.insert(hash, at: entries.count - 1)
    return entries.count - 1
  }

  mutating func release(_ index: Int) {
    entries[index].groupCount -= 1
    guard entries[index].groupCount == 0 else { return }
    liveCount -= 1
    liveByteCount -= entries[index].name.count
  }

  /// Whether most names belong to removed groups.
  var isMostlyDead: Bool { entries.count > 1024 && liveCount * 2 < entries.count }

  /// The name of another family whose lines this family's could be read as, as `a_count` for the
  /// histogram `a`.
  func collision(
    of name: [UInt8], _ type: FamilyType, _ others: (any OtherFamilies)? = nil
  ) -> [UInt8]? {
    SampleNames.pushedClash(name, type) { other in
      unsafe self.type(of: other.span.bytes) ?? others?.type(of: other)
    }
  }
}
