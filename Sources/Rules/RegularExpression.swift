/// A regular expression over bytes, in RE2's syntax without `\p` and `\C`: the syntax of mapping
/// files of statsd_exporter, compiled once.
///
/// What must stay true: a match takes at most the product of the text's bytes and the program's
/// steps, since no step is tried twice at one place, and `Pattern.workLimit`; the first alternative
/// that leads to a match wins, and of all matches the leftmost.
package struct RegularExpression: Sendable {
  package struct Mistake: Error {
    /// From 0, in bytes.
    package let offset: Int
    package let message: String
  }

  /// Steps of one program, with its repetitions written out.
  package static let stepLimit = 10_000

  /// The literal beginning of every matching text; empty if unknown.
  package let prefix: [UInt8]
  /// The number of captures of a match.
  package let groupCount: Int

  private let steps: [Step]
  private let sets: [UInt64]
  private let entry: UInt16
  private let isAnchored: Bool

  /// The names of a valid expression's groups, with their numbers from 1.
  package static func names(_ text: [UInt8]) -> [(name: [UInt8], number: Int)] {
    var parser = RegexParser(text)
    do throws(Mistake) { _ = try parser.expression() } catch { return [] }
    return parser.names
  }

  /// The size of the program.
  package var stepCount: Int { steps.count }

  package init(_ text: [UInt8], stepLimit: Int = stepLimit) throws(Mistake) {
    var parser = RegexParser(text)
    let node = try parser.expression()
    guard RegexProgram.cost(node) < stepLimit else {
      throw Mistake(
        offset: 0,
        message: stepLimit < Self.stepLimit
          ? "all of a file together take more than 100,000 steps"
          : "it takes more than 10,000 steps, repetitions written out")
    }
    var program = RegexProgram()
    let match = program.add(.match, 0, 0)
    entry = program.write(node, next: match)
    steps = program.steps
    sets = parser.sets
    groupCount = parser.groupCount
    isAnchored = steps[Int(entry)].operation == .beginText
    prefix = isAnchored ? Self.literal(steps, behind: entry) : []
  }

  /// One instruction. `next` is the following step, or the better one of two.
  struct Step {
    enum Operation: UInt8 {
      /// Consumes the byte `other`.
      case byte
      /// Consumes a byte of the set `other`.
      case set
      /// Continues at `next` and, if that fails, at `other`.
      case split
      /// Stores the position as one end of a group.
      case save
      case beginText, endText, beginLine, endLine, wordBoundary, noWordBoundary
      case match
    }

    let operation: Operation
    var next: UInt16
    var other: UInt16
  }

  /// The bytes that follow without a choice, as far as they are ASCII.
  private static func literal(_ steps: [Step], behind entry: UInt16) -> [UInt8] {
    var bytes: [UInt8] = []
    var at = steps[Int(entry)].next
    while true {
      let step = steps[Int(at)]
      switch step.operation {
      case .byte where step.other < 128: bytes.append(UInt8(step.other))
      case .save: break
      default: return bytes
      }
      at = step.next
    }
  }

  // MARK: Matching

  package func captures(_ text: ArraySlice<UInt8>) -> [ArraySlice<UInt8>]? {
    var work = 0
    return captures(text, &work)
  }

  /// What each group stands for, empty for one that took no part; `nil` where there is no match, or
  /// where `work`, to which each step at a place adds one, is above `Pattern.workLimit` now.
  ///
  /// One way is followed to its end. What else could be done is kept in `waiting`, the best on top:
  /// a step and its place, or the value that a group's end had before. A step that was tried at a
  /// place has failed there, or is being tried.
  @_optimize(speed)
  package func captures(_ text: ArraySlice<UInt8>, _ work: inout Int) -> [ArraySlice<UInt8>]? {
    let width = steps.count
    let count = text.count
    guard count < 1 << 17, width * (count + 1) <= Self.placeLimit else {
      work = Pattern.workLimit + 1
      return nil
    }
    var bits = [UInt64](repeating: 0, count: width * (count + 1) / 64 + 1)
    var ends = [Int](repeating: -1, count: 2 * groupCount)
    var waiting: [UInt32] = []
    let bytes = text.span
    let program = steps.span
    var tried = bits.mutableSpan
    for start in 0...(isAnchored ? 0 : count) {
      waiting.append(Self.pair(Int(entry), start))
      while let next = waiting.popLast() {
        var at = Int(next & 0x3fff)
        var index = Int(next >> 14)
        if at >= Self.stepLimit {
          ends[at - Self.stepLimit] = index - 1
          continue
        }
        ways: while true {
          let place = index &* width &+ at
          let word = tried[place &>> 6]
          if word &>> UInt64(place & 63) & 1 == 1 { break }
          tried[place &>> 6] = word | 1 &<< UInt64(place & 63)
          work &+= 1
          let step = program[at]
          at = Int(step.next)
          switch step.operation {
          case .byte:
            guard index < count, UInt16(bytes[index]) == step.other else { break ways }
            index &+= 1
          case .set:
            guard index < count, contains(step.other, bytes[index]) else { break ways }
            index &+= 1
          case .split: waiting.append(Self.pair(Int(step.other), index))
          case .save:
            let slot = Int(step.other)
            waiting.append(Self.pair(Self.stepLimit + slot, ends[slot] + 1))
            ends[slot] = index
          case .match: return groups(text, ends)
          default:
            guard Self.holds(step.operation, text, text.startIndex + index) else { break ways }
          }
        }
        if work > Pattern.workLimit { return nil }
      }
    }
    return nil
  }

  /// The most that steps times places may be: a bit each, 2 MiB.
  private static let placeLimit = 1 << 24

  /// A step, or behind the last one a group's end, and a place.
  private static func pair(_ step: Int, _ index: Int) -> UInt32 {
    UInt32(step) | UInt32(index) << 14
  }

  private func groups(_ text: ArraySlice<UInt8>, _ ends: [Int]) -> [ArraySlice<UInt8>] {
    var groups: [ArraySlice<UInt8>] = []
    for group in 0..<groupCount {
      let (start, end) = (ends[2 * group], ends[2 * group + 1])
      let isThere = start >= 0 && end >= start
      groups.append(
        text[text.startIndex + (isThere ? start : 0)..<text.startIndex + (isThere ? end : 0)])
    }
    return groups
  }

  @inline(__always)
  private func contains(_ set: UInt16, _ byte: UInt8) -> Bool {
    sets[Int(set) * 4 + Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1
  }

  private static func holds(
    _ operation: Step.Operation, _ text: ArraySlice<UInt8>, _ index: Int
  ) -> Bool {
    let (start, end) = (text.startIndex, text.endIndex)
    switch operation {
    case .beginText: return index == start
    case .endText: return index == end
    case .beginLine: return index == start || text[index - 1] == 10
    case .endLine: return index == end || text[index] == 10
    default:
      let isBehind = index > start && Names.isWordByte(text[index - 1])
      let isBefore = index < end && Names.isWordByte(text[index])
      return (isBehind != isBefore) == (operation == .wordBoundary)
    }
  }
}
