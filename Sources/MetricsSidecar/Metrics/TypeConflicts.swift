/// Events whose type does not match their family's, by the family's name. The number of names is
/// bounded: the rest adds up under `overflow="true"`, as for series.
struct TypeConflicts {
  private(set) var names: [[UInt8]] = []
  /// The count for each of `names`.
  private(set) var counts: [UInt64] = []
  private(set) var overflow: UInt64 = 0
  static let limit = 100

  mutating func count(_ name: [UInt8]) {
    for index in names.indices where names[index] == name {
      counts[index] += 1
      return
    }
    guard names.count < Self.limit else {
      overflow += 1
      return
    }
    names.append(name)
    counts.append(1)
  }
}
