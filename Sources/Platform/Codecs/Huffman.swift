/// A Huffman code of one deflate block (RFC 1951 §3.2.2): the shortest lengths for the frequencies
/// given, none over `limit` bits, and the codes in the order in which deflate writes their bits.
struct HuffmanCode {
  /// In bits; 0 for a symbol that does not occur.
  private(set) var lengths: [UInt8]
  private(set) var codes: [UInt16]

  init(_ frequencies: [UInt32], limit: Int) {
    lengths = [UInt8](repeating: 0, count: frequencies.count)
    codes = [UInt16](repeating: 0, count: frequencies.count)
    var symbols: [(frequency: UInt32, symbol: Int)] = []
    for (symbol, frequency) in frequencies.enumerated() where frequency > 0 {
      symbols.append((frequency, symbol))
    }
    // Equal ones stay in the order of their symbols.
    symbols = symbols.ordered { $0.frequency < $1.frequency }
    var counts = Self.counts(Self.depths(symbols.map { Int($0.frequency) }), limit)
    var next = symbols.count
    for length in 1...limit {
      while counts[length] > 0 {
        counts[length] -= 1
        next -= 1
        lengths[symbols[next].symbol] = UInt8(length)
      }
    }
    assign(limit)
  }

  /// The depth of each leaf in the tree of least redundancy, for ascending weights, in place after
  /// Moffat and Katajainen: "In-Place Calculation of Minimum-Redundancy Codes", 1995.
  private static func depths(_ weights: [Int]) -> [Int] {
    var a = weights
    let n = a.count
    if n < 2 { return n == 1 ? [1] : [] }
    // Inner nodes from left to right: each is the sum of the two lightest, and keeps its parent.
    a[0] += a[1]
    var root = 0
    var leaf = 2
    for next in 1..<max(1, n - 1) {
      if leaf >= n || a[root] < a[leaf] {
        a[next] = a[root]
        a[root] = next
        root += 1
      } else {
        a[next] = a[leaf]
        leaf += 1
      }
      if leaf >= n || (root < next && a[root] < a[leaf]) {
        a[next] += a[root]
        a[root] = next
        root += 1
      } else {
        a[next] += a[leaf]
        leaf += 1
      }
    }
    // Then their depths, from the root, and the depths of the leaves from the free places of each
    // level.
    a[n - 2] = 0
    for node in stride(from: n - 3, through: 0, by: -1) { a[node] = a[a[node]] + 1 }
    var available = 1
    var depth = 0
    root = n - 2
    var next = n - 1
    while available > 0 {
      var used = 0
      while root >= 0, a[root] == depth {
        used += 1
        root -= 1
      }
      while available > used {
        a[next] = depth
        next -= 1
        available -= 1
      }
      available = 2 * used
      depth += 1
    }
    return a
  }

  /// How many codes there are of each length. Shortens those over the limit, and lengthens others
  /// until all fit.
  private static func counts(_ depths: [Int], _ limit: Int) -> [Int] {
    var counts = [Int](repeating: 0, count: limit + 1)
    for depth in depths { counts[min(depth, limit)] += 1 }
    if depths.count < 2 { return counts }
    var total = 0
    for length in 1...limit { total += counts[length] << (limit - length) }
    while total > 1 << limit {
      counts[limit] -= 1
      var length = limit - 1
      while counts[length] == 0 { length -= 1 }
      counts[length] -= 1
      counts[length + 1] += 2
      total -= 1
    }
    return counts
  }

  private mutating func assign(_ limit: Int) {
    var counts = [UInt16](repeating: 0, count: limit + 1)
    for length in lengths where length > 0 { counts[Int(length)] += 1 }
    var next = [UInt16](repeating: 0, count: limit + 2)
    for length in 1...limit { next[length + 1] = (next[length] + counts[length]) << 1 }
    for symbol in lengths.indices where lengths[symbol] > 0 {
      let length = Int(lengths[symbol])
      var reversed: UInt16 = 0
      for bit in 0..<length where next[length] >> bit & 1 == 1 {
        reversed |= 1 << (length - 1 - bit)
      }
      codes[symbol] = reversed
      next[length] += 1
    }
  }
}
