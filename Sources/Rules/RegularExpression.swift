/// A regular expression over bytes, in RE2's syntax without `\p` and `\C`: the syntax of mapping
/// files of statsd_exporter, compiled once.
///
/// What must stay true: a match takes at most the product of the text's bytes and the program's
/// steps, and memory only for the steps, whatever the expression; the first alternative that leads
/// to a match wins, and of all matches the leftmost.
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
    var visits = 0
    return captures(text, &visits)
  }

  /// The match of each group, empty for one that took no part; `nil` if there is no match. `visits`
  /// is the number of steps it took.
  package func captures(
    _ text: ArraySlice<UInt8>, _ visits: inout Int
  ) -> [ArraySlice<UInt8>]? {
    let slots = 2 * groupCount
    var now = Threads(steps.count, slots)
    var then = Threads(steps.count, slots)
    var found: [Int]?
    let none = [Int](repeating: -1, count: slots)
    var index = text.startIndex
    while true {
      // A match that starts here ranks below all that started earlier.
      if found == nil, index == text.startIndex || !isAnchored {
        add(entry, none, text, index, to: &now, &visits)
      }
      if now.count == 0, found != nil || isAnchored { break }
      let byte: UInt16 = index < text.endIndex ? UInt16(text[index]) : 256
      for thread in 0..<now.count {
        let step = steps[Int(now.steps[thread])]
        if step.operation == .match {
          found = now.ends(thread, slots)
          break
        }
        if takes(step, byte) {
          add(step.next, now.ends(thread, slots), text, index + 1, to: &then, &visits)
        }
      }
      if byte > 255 { break }
      index += 1
      swap(&now, &then)
      then.clear()
    }
    guard let found else { return nil }
    var captures: [ArraySlice<UInt8>] = []
    for group in 0..<groupCount {
      let (start, end) = (found[2 * group], found[2 * group + 1])
      captures.append(start >= 0 && end >= start ? text[start..<end] : text[..<text.startIndex])
    }
    return captures
  }

  private func takes(_ step: Step, _ byte: UInt16) -> Bool {
    if step.operation == .byte { return step.other == byte }
    guard byte < 256 else { return false }
    return sets[Int(step.other) * 4 + Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1
  }

  /// The steps of the threads before the next byte, the best one first.
  private struct Threads {
    var steps: [UInt16] = []
    /// The ends of the groups, one thread after the other.
    var slots: [Int] = []
    var isThere: [Bool]
    var count: Int { steps.count }
    /// Including steps passed on the way.
    var seen: [UInt16] = []

    init(_ stepCount: Int, _ slotCount: Int) {
      isThere = [Bool](repeating: false, count: stepCount)
    }

    func ends(_ thread: Int, _ count: Int) -> [Int] {
      count == 0 ? [] : Array(slots[thread * count..<(thread + 1) * count])
    }

    mutating func clear() {
      for step in seen { isThere[Int(step)] = false }
      seen.removeAll(keepingCapacity: true)
      steps.removeAll(keepingCapacity: true)
      slots.removeAll(keepingCapacity: true)
    }
  }

  /// Follows all steps that consume no byte. A pending entry is a step, or, below 0, an end of a
  /// group to restore.
  private func add(
    _ start: UInt16, _ ends: [Int], _ text: ArraySlice<UInt8>, _ index: Int,
    to threads: inout Threads, _ visits: inout Int
  ) {
    var ends = ends
    var waiting = [(Int(start), 0)]
    while let (at, old) = waiting.popLast() {
      if at < 0 {
        ends[-at - 1] = old
        continue
      }
      if threads.isThere[at] { continue }
      threads.isThere[at] = true
      threads.seen.append(UInt16(at))
      visits += 1
      let step = steps[at]
      switch step.operation {
      case .byte, .set, .match:
        threads.steps.append(UInt16(at))
        threads.slots += ends
      case .split:
        waiting.append((Int(step.other), 0))
        waiting.append((Int(step.next), 0))
      case .save:
        let slot = Int(step.other)
        waiting.append((-slot - 1, ends[slot]))
        ends[slot] = index
        waiting.append((Int(step.next), 0))
      default:
        if Self.holds(step.operation, text, index) { waiting.append((Int(step.next), 0)) }
      }
    }
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
