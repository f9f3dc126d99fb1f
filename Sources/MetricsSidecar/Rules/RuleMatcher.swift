/// All rules at once: which of them an event's name may match.
///
/// Exact names lie in a hash, globs in a hash by the text before their first `*`; one look for each
/// length that such a text has. So the cost does not grow with the rules, only with those that match.
struct RuleMatcher {
  private var exact: [[UInt8]: [Int]] = [:]
  private var globs: [[UInt8]: [Int]] = [:]
  /// Of the texts before the first star, without repeats.
  private var prefixLengths: [Int] = []

  init(_ rules: [Rule]) {
    for (index, rule) in rules.enumerated() {
      let prefix = rule.event.prefix
      if rule.event.isExact {
        exact[prefix, default: []].append(index)
      } else {
        globs[prefix, default: []].append(index)
        if !prefixLengths.contains(prefix.count) { prefixLengths.append(prefix.count) }
      }
    }
  }

  /// Indices of the rules to try, in the file's order.
  func candidates(for name: [UInt8]) -> [Int] {
    var indices = exact[name] ?? []
    for length in prefixLengths where length <= name.count {
      if let more = globs[Array(name.prefix(length))] { indices += more }
    }
    indices.sort()
    return indices
  }
}
