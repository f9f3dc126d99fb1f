/// The regexes that stand in mapping files for globs: literal text, `.*` and `[^.]*` with or without
/// a group around them, `^` and `$`.
///
/// What must stay true: a glob stands for exactly the names and groups of its regex. A group takes as
/// much as it can and a star as little, so a group is taken only where there is no choice: of those
/// that cross dots one, of the others those with a dot or the end behind them.
enum RegexGlob {
  enum Outcome {
    /// For each group its star, from 1.
    case glob(String, stars: [Int])
    case refused(StaticString)
  }

  private static let dot = UInt8(ascii: ".")

  static func convert(_ regex: [UInt8]) -> Outcome {
    var glob: [UInt8] = []
    var stars: [Int] = []
    var starCount = 0
    var freeCount = 0
    var index = 0
    var isAnchored = false
    var capturesFree = false
    if regex.first == UInt8(ascii: "^") {
      index = 1
    } else {
      glob += Array("**".utf8)
      starCount = 1
    }
    while index < regex.count {
      let byte = regex[index]
      switch byte {
      case UInt8(ascii: "$"):
        guard index == regex.count - 1 else { return .refused("$ stands before the end") }
        isAnchored = true
        index += 1
      case UInt8(ascii: "\\"):
        guard index + 1 < regex.count, !Names.isWordByte(regex[index + 1]) else {
          return .refused("a class such as \\d or \\w has no glob")
        }
        glob.append(regex[index + 1])
        index += 2
      case UInt8(ascii: "("), dot, UInt8(ascii: "["):
        let isGroup = byte == UInt8(ascii: "(")
        if isGroup { index += 1 }
        guard let (length, isFree) = star(regex[index...]) else {
          return .refused(
            isGroup ? "a group is (.*), (.+), ([^.]*) or ([^.]+) here" : "a dot is \\. or .* here")
        }
        index += length
        if isGroup {
          guard index < regex.count, regex[index] == UInt8(ascii: ")") else {
            return .refused("a group is (.*), (.+), ([^.]*) or ([^.]+) here")
          }
          index += 1
        }
        if glob.last == UInt8(ascii: "*") {
          // The start that is not anchored is part of `.*`.
          guard glob.count == 2, isFree, starCount == 1, stars.isEmpty else {
            return .refused("two wildcards in a row")
          }
          glob = []
          starCount = 0
        }
        freeCount += isFree ? 1 : 0
        if freeCount > 1 { return .refused("more than one .* leaves a choice") }
        let rest = regex[index...]
        if !isFree, let next = rest.first, next != UInt8(ascii: "$"),
          !(next == UInt8(ascii: "\\") && rest.dropFirst().first == dot)
        {
          return .refused("[^.]* needs a dot or the end behind it")
        }
        if !isFree, rest.isEmpty { return .refused("[^.]* at the end needs a $") }
        starCount += 1
        if isGroup {
          stars.append(starCount)
          capturesFree = capturesFree || isFree
        }
        glob += Array((isFree ? "**" : "*").utf8)
      case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"),
        UInt8(ascii: "}"), UInt8(ascii: "|"), UInt8(ascii: ")"), UInt8(ascii: "]"),
        UInt8(ascii: "^"):
        return .refused("alternatives, repetitions and classes have no glob")
      default:
        if index + 1 < regex.count,
          regex[index + 1] == UInt8(ascii: "*")
            || regex[index + 1] == UInt8(ascii: "+") || regex[index + 1] == UInt8(ascii: "?")
        {
          return .refused("alternatives, repetitions and classes have no glob")
        }
        glob.append(byte)
        index += 1
      }
    }
    if !isAnchored, glob.last != UInt8(ascii: "*") {
      if capturesFree { return .refused("(.*) before the end needs a $ at the end") }
      glob += Array("**".utf8)
    }
    return .glob(String(decoding: glob, as: UTF8.self), stars: stars)
  }

  /// A wildcard at the start of `regex`: its length, and whether it crosses dots.
  private static func star(_ regex: ArraySlice<UInt8>) -> (length: Int, isFree: Bool)? {
    for (text, isFree) in [
      (".*", true), (".+", true), ("[^.]*", false), ("[^.]+", false),
      ("[^\\.]*", false), ("[^\\.]+", false),
    ] as [(StaticString, Bool)] {
      let count = text.utf8CodeUnitCount
      let bytes = unsafe UnsafeBufferPointer(start: text.utf8Start, count: count)
      if unsafe regex.prefix(count).elementsEqual(bytes) { return (count, isFree) }
    }
    // A single dot at the end of a name matches any: `.` alone takes every event.
    return regex.count == 1 && regex.startIndex == 0 && regex.first == dot ? (1, true) : nil
  }
}
