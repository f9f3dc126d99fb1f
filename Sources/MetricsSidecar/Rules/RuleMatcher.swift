import SidecarPlatform
import SidecarRules

/// All rules at once: which of them an event's name may match.
///
/// A hash table has each rule by the literal text of its pattern before the first and after the
/// last star, at most eight bytes of each. A name is looked up once for each existing pair of
/// lengths, so the cost grows neither with the number of rules nor with rules that begin alike.
///
/// What must stay true: `shapes` are sorted by prefix; a chain has its rules in the file's order.
struct RuleMatcher {
  private struct Shape {
    var prefixCount: Int
    var suffixCount: Int
    /// The whole name is literal.
    var isExact: Bool
  }

  private var shapes: [Shape] = []
  /// For each hash the first rule of its chain, or -1; a power of two.
  private var heads: [Int32]
  private var next: [Int32]
  private var hashes: [UInt32]

  init(_ rules: [Rule]) {
    var size = 16
    while size < rules.count * 2 { size *= 2 }
    heads = [Int32](repeating: -1, count: size)
    next = [Int32](repeating: -1, count: rules.count)
    hashes = [UInt32](repeating: 0, count: rules.count)
    for index in rules.indices.reversed() {
      let pattern = rules[index].event
      let shape = Shape(
        prefixCount: pattern.prefixCount, suffixCount: min(pattern.suffixCount, 8),
        isExact: pattern.isExact)
      var hash = Self.start
      for byte in pattern.prefix { hash = Self.step(hash, byte) }
      let hashed = Self.hash(hash, Self.tail(pattern.suffix), shape)
      hashes[index] = hashed
      next[index] = heads[Int(truncatingIfNeeded: hashed) & (size - 1)]
      heads[Int(truncatingIfNeeded: hashed) & (size - 1)] = Int32(index)
      insert(shape)
    }
  }

  private mutating func insert(_ shape: Shape) {
    var at = 0
    while at < shapes.count, shapes[at].prefixCount <= shape.prefixCount {
      let other = shapes[at]
      if other.prefixCount == shape.prefixCount, other.suffixCount == shape.suffixCount,
        other.isExact == shape.isExact
      {
        return
      }
      at += 1
    }
    shapes.insert(shape, at: at)
  }

  func candidates(for name: [UInt8]) -> [Int] {
    var work = 0
    return candidates(for: name, &work)
  }

  /// Indices of the rules to try, in the file's order. `work` grows by what it took; where it is
  /// above `Pattern.workLimit`, some are missing.
  func candidates(for name: [UInt8], _ work: inout Int) -> [Int] {
    var found: [Int] = []
    let tail = Self.tail(name[...])
    var hash = Self.start
    var hashedCount = 0
    for shape in shapes {
      if shape.prefixCount + shape.suffixCount > name.count { continue }
      if shape.isExact, shape.prefixCount != name.count { continue }
      while hashedCount < shape.prefixCount {
        hash = Self.step(hash, name[hashedCount])
        hashedCount += 1
      }
      let hashed = Self.hash(hash, tail, shape)
      var index = heads[Int(truncatingIfNeeded: hashed) & (heads.count - 1)]
      while index >= 0 {
        if hashes[Int(index)] == hashed { Self.insert(Int(index), into: &found, &work) }
        index = next[Int(index)]
        work += 1
        if work > Pattern.workLimit { return found }
      }
    }
    return found
  }

  private static func insert(_ index: Int, into found: inout [Int], _ work: inout Int) {
    var at = found.count
    while at > 0, found[at - 1] > index { at -= 1 }
    work += found.count - at
    if at > 0, found[at - 1] == index { return }
    found.insert(index, at: at)
  }

  // MARK: The hash

  private static var start: UInt64 { HashKey.process.start }

  private static func step(_ hash: UInt64, _ byte: UInt8) -> UInt64 {
    HashKey.process.fold(hash, UInt64(byte))
  }

  /// The last eight bytes, the last one on top.
  private static func tail(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    var word: UInt64 = 0
    for byte in bytes.suffix(8) { word = word >> 8 | UInt64(byte) << 56 }
    return word
  }

  private static func hash(_ prefix: UInt64, _ tail: UInt64, _ shape: Shape) -> UInt32 {
    let suffix = shape.suffixCount == 0 ? 0 : tail >> UInt64(64 - shape.suffixCount * 8)
    let kind = UInt64(shape.suffixCount) << 1 | (shape.isExact ? 1 : 0)
    return UInt32(
      truncatingIfNeeded: HashKey.process.fold(HashKey.process.fold(prefix, kind), suffix))
  }
}
