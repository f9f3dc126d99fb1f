import SidecarRules

/// The regexes that stand in mapping files for globs: literal text, `.*` and `[^.]*` with or without
/// a group around them, `^` and `$`.
///
/// What must stay true: a glob stands for exactly the names and groups of its regex. A group takes as
/// much as it can and a star as little, so a group is taken only where there is no choice: of those
/// that cross dots one, of the others those with a dot or the end behind them.
struct RegexGlob {
  enum Outcome {
    /// For each group its star, from 1.
    case glob(String, stars: [Int])
    case refused(StaticString)
  }

  private struct Refusal: Error { let reason: StaticString }

  private let regex: [UInt8]
  private var index = 0
  private var glob: [UInt8] = []
  private var stars: [Int] = []
  private var starCount = 0
  private var freeCount = 0
  private var isAnchored = false
  private var capturesFree = false

  private static let dot = UInt8(ascii: ".")
  private static let group: StaticString = "a group is (.*), (.+), ([^.]*) or ([^.]+) here"
  private static let repetition: StaticString =
    "alternatives, repetitions and classes have no glob"

  static func convert(_ regex: [UInt8]) -> Outcome {
    var conversion = RegexGlob(regex)
    do throws(Refusal) {
      try conversion.run()
    } catch { return .refused(error.reason) }
    return .glob(String(decoding: conversion.glob, as: UTF8.self), stars: conversion.stars)
  }

  private init(_ regex: [UInt8]) {
    self.regex = regex
    if regex.first == UInt8(ascii: "^") {
      index = 1
    } else {
      glob = Array("**".utf8)
      starCount = 1
    }
  }

  private mutating func run() throws(Refusal) {
    while index < regex.count { try piece() }
    if !isAnchored, glob.last != UInt8(ascii: "*") {
      if capturesFree { throw Refusal(reason: "(.*) before the end needs a $ at the end") }
      glob += Array("**".utf8)
    }
  }

  private mutating func piece() throws(Refusal) {
    switch regex[index] {
    case UInt8(ascii: "$"):
      guard index == regex.count - 1 else { throw Refusal(reason: "$ stands before the end") }
      isAnchored = true
      index += 1
    case UInt8(ascii: "\\"):
      guard index + 1 < regex.count, !Names.isWordByte(regex[index + 1]) else {
        throw Refusal(reason: "a class such as \\d or \\w has no glob")
      }
      glob.append(regex[index + 1])
      index += 2
    case UInt8(ascii: "("), Self.dot, UInt8(ascii: "["): try wildcard()
    case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"),
      UInt8(ascii: "}"), UInt8(ascii: "|"), UInt8(ascii: ")"), UInt8(ascii: "]"),
      UInt8(ascii: "^"):
      throw Refusal(reason: Self.repetition)
    default: try literal()
    }
  }

  private mutating func literal() throws(Refusal) {
    let next = index + 1 < regex.count ? regex[index + 1] : 0
    if next == UInt8(ascii: "*") || next == UInt8(ascii: "+") || next == UInt8(ascii: "?") {
      throw Refusal(reason: Self.repetition)
    }
    glob.append(regex[index])
    index += 1
  }

  /// `.*` or `[^.]*`, with or without a group around it.
  private mutating func wildcard() throws(Refusal) {
    let isGroup = regex[index] == UInt8(ascii: "(")
    if isGroup { index += 1 }
    guard let (length, isFree) = Self.star(regex[index...]) else {
      throw Refusal(reason: isGroup ? Self.group : "a dot is \\. or .* here")
    }
    index += length
    if isGroup {
      guard index < regex.count, regex[index] == UInt8(ascii: ")") else {
        throw Refusal(reason: Self.group)
      }
      index += 1
    }
    if glob.last == UInt8(ascii: "*") {
      // The start that is not anchored is part of `.*`.
      guard glob.count == 2, isFree, starCount == 1, stars.isEmpty else {
        throw Refusal(reason: "two wildcards in a row")
      }
      glob = []
      starCount = 0
    }
    try checkChoice(isFree)
    starCount += 1
    if isGroup {
      stars.append(starCount)
      capturesFree = capturesFree || isFree
    }
    glob += Array((isFree ? "**" : "*").utf8)
  }

  /// Refuses a wildcard, which has just been read, that could take more than one part of a name.
  private mutating func checkChoice(_ isFree: Bool) throws(Refusal) {
    guard !isFree else {
      freeCount += 1
      if freeCount > 1 { throw Refusal(reason: "more than one .* leaves a choice") }
      return
    }
    let rest = regex[index...]
    if rest.isEmpty { throw Refusal(reason: "[^.]* at the end needs a $") }
    if let next = rest.first, next != UInt8(ascii: "$"),
      !(next == UInt8(ascii: "\\") && rest.dropFirst().first == Self.dot)
    {
      throw Refusal(reason: "[^.]* needs a dot or the end behind it")
    }
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
