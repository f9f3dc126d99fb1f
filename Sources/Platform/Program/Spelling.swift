/// "Did you mean": the known word nearest to what was typed.
public enum Spelling {
  /// The closest of `words`, if at most a third of its letters differ.
  @inline(never)
  public static func closest(to typed: String, among words: [String]) -> String? {
    var best: String?
    var bestDistance = Int.max
    for word in words {
      // At least this many letters differ; and the typed word may be a megabyte long.
      let excess = abs(typed.utf8.count - word.utf8.count)
      guard excess < bestDistance, excess <= max(1, word.utf8.count / 3) else { continue }
      let distance = distance(Array(typed.utf8), Array(word.utf8))
      if distance < bestDistance, distance <= max(1, word.utf8.count / 3) {
        bestDistance = distance
        best = word
      }
    }
    return best
  }

  /// Levenshtein's distance: how many letters to add, drop or change.
  private static func distance(_ source: [UInt8], _ target: [UInt8]) -> Int {
    var previous = Array(0...target.count)
    for (row, letter) in source.enumerated() {
      var current = [row + 1]
      for (column, other) in target.enumerated() {
        let change = previous[column] + (letter == other ? 0 : 1)
        current.append(min(change, previous[column + 1] + 1, current[column] + 1))
      }
      previous = current
    }
    return previous[target.count]
  }
}
