/// Events whose type was not their family's, by the family's name. The names are bounded: what comes
/// beyond adds up under `overflow="true"`, as series do.
struct TypeConflicts {
  private(set) var families: [(name: [UInt8], count: UInt64)] = []
  private(set) var overflow: UInt64 = 0
  static let limit = 100

  mutating func count(_ name: [UInt8]) {
    for index in families.indices where families[index].name == name {
      families[index].count += 1
      return
    }
    if families.count < Self.limit { families.append((name, 1)) } else { overflow += 1 }
  }
}
