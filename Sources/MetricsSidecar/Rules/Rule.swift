/// Which events feed a family, and which of their tags become its labels.
struct Rule {
  /// The event's name; `*` stands for any text.
  var event: Pattern
  /// All have to hold.
  var conditions: [Condition]
  /// Of the family, in its list; `nil` for a rule that drops the event.
  var family: Int?
  /// Whether no rule after this one is tried.
  var isLast = false
}

/// A condition on one tag. A tag that is missing has the empty value.
struct Condition {
  var tag: [UInt8]
  var patterns: [Pattern]
  /// Holds when none of the patterns does.
  var isNegated: Bool

  func holds(for value: ArraySlice<UInt8>) -> Bool {
    patterns.contains { $0.matches(value) } != isNegated
  }
}

/// A name, or a glob with `*` for any text.
struct Pattern: Equatable {
  /// The texts between the stars: one part is an exact name.
  private let parts: [[UInt8]]

  init(_ text: String) {
    var parts: [[UInt8]] = [[]]
    for byte in text.utf8 {
      if byte == UInt8(ascii: "*") { parts.append([]) } else { parts[parts.count - 1].append(byte) }
    }
    self.parts = parts
  }

  var isExact: Bool { parts.count == 1 }
  /// The text before the first star.
  var prefix: [UInt8] { parts[0] }
  var starCount: Int { parts.count - 1 }

  func matches(_ text: ArraySlice<UInt8>) -> Bool { captures(text) != nil }

  /// What each star stands for; `nil` where the pattern does not match.
  func captures(_ text: ArraySlice<UInt8>) -> [ArraySlice<UInt8>]? {
    guard parts.count > 1 else { return text.elementsEqual(parts[0]) ? [] : nil }
    guard text.starts(with: parts[0]) else { return nil }
    var rest = text.dropFirst(parts[0].count)
    var captures: [ArraySlice<UInt8>] = []
    // Each middle part at its first place leaves the most room for the others.
    for part in parts[1..<(parts.count - 1)] {
      guard let start = Self.find(part, in: rest) else { return nil }
      captures.append(rest[..<start])
      rest = rest[(start + part.count)...]
    }
    let last = parts[parts.count - 1]
    guard rest.count >= last.count, rest.suffix(last.count).elementsEqual(last) else { return nil }
    return captures + [rest.dropLast(last.count)]
  }

  private static func find(_ part: [UInt8], in text: ArraySlice<UInt8>) -> Int? {
    if part.isEmpty { return text.startIndex }
    guard text.count >= part.count else { return nil }
    for start in text.startIndex...(text.endIndex - part.count)
    where text[start..<(start + part.count)].elementsEqual(part) {
      return start
    }
    return nil
  }
}

/// A family as the rules declare it.
struct FamilyRule {
  /// Where a label's value comes from.
  enum Source: Equatable {
    case tag([UInt8])
    case constant(Template)
  }

  var name: String
  var kind: Record.Kind
  var help: String
  var labels: [(name: String, source: Source)]
  /// Upper bounds, rising, without +Inf; empty but for histograms.
  var buckets: [Double]
  var options = KindOptions()

  /// The buckets of the official Prometheus clients.
  static let defaultBuckets = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
  ]
}

/// All rules, as a file has them.
struct Rules {
  var families: [FamilyRule] = []
  var rules: [Rule] = []
  /// Whether an event that no rule matches is exposed under its own name, or dropped.
  var exposesUnmatched = true
}
