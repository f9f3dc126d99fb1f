/// Events whose type was not their family's, by the family's name. The names are bounded: what comes
/// beyond adds up under `overflow="true"`, as series do.
struct TypeConflicts {
  private(set) var names: [[UInt8]] = []
  /// Of each of `names`.
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
