/// A parsed expression.
indirect enum RegexNode {
  case empty
  case byte(UInt8)
  /// The number of a set of bytes.
  case set(Int)
  case assertion(RegularExpression.Step.Operation)
  /// A capture, from 0.
  case group(RegexNode, Int)
  case sequence([RegexNode])
  /// The first is the best.
  case choice([RegexNode])
  /// `most` below 0: unlimited.
  case repetition(RegexNode, least: Int, most: Int, isLazy: Bool)
}

/// Writes the steps of an expression, the last one first, so that each knows its successor.
struct RegexProgram {
  typealias Step = RegularExpression.Step

  private(set) var steps: [Step] = []

  /// The most steps it takes; empty nodes count too, as they are work. Stops at the limit.
  static func cost(_ node: RegexNode) -> Int {
    var sum = 0
    switch node {
    case .empty, .byte, .set, .assertion: return 1
    case .group(let inner, _): sum = cost(inner) + 2
    case .sequence(let parts):
      for part in parts where sum < RegularExpression.stepLimit { sum += cost(part) }
    case .choice(let parts):
      for part in parts where sum < RegularExpression.stepLimit { sum += cost(part) + 1 }
      sum -= 1
    case .repetition(let inner, let least, let most, _):
      let cost = cost(inner)
      sum = cost * least + (most < 0 ? 2 + (least == 0 ? cost : 0) : (cost + 1) * (most - least))
    }
    return max(1, min(sum, RegularExpression.stepLimit))
  }

  mutating func add(_ operation: Step.Operation, _ next: UInt16, _ other: UInt16) -> UInt16 {
    steps.append(Step(operation: operation, next: next, other: other))
    return UInt16(steps.count - 1)
  }

  /// Writes a node that continues at `next`. Returns where it begins.
  mutating func write(_ node: RegexNode, next: UInt16) -> UInt16 {
    switch node {
    case .empty: return next
    case .byte(let byte): return add(.byte, next, UInt16(byte))
    case .set(let number): return add(.set, next, UInt16(number))
    case .assertion(let operation): return add(operation, next, 0)
    case .group(let inner, let number):
      let end = add(.save, next, UInt16(2 * number + 1))
      return add(.save, write(inner, next: end), UInt16(2 * number))
    case .sequence(let parts):
      var at = next
      for part in parts.reversed() { at = write(part, next: at) }
      return at
    case .choice(let parts):
      var at = write(parts[parts.count - 1], next: next)
      for part in parts.dropLast().reversed() {
        at = add(.split, write(part, next: next), at)
      }
      return at
    case .repetition(let inner, let least, let most, let isLazy):
      return write(inner, least, most, isLazy, next)
    }
  }

  private mutating func write(
    _ inner: RegexNode, _ least: Int, _ most: Int, _ isLazy: Bool, _ next: UInt16
  ) -> UInt16 {
    var at = next
    var rest = least
    if most < 0 {
      // A loop is entered after its body, so that a round that consumes nothing ends it.
      let loop = add(.split, 0, 0)
      let body = write(inner, next: loop)
      steps[Int(loop)] = choice(body, next, isLazy)
      if least > 0 {
        rest -= 1
        at = body
      } else if Self.canBeEmpty(inner) {
        at = add(body, next, isLazy)
      } else {
        at = loop
      }
    } else {
      for _ in least..<most { at = add(write(inner, next: at), next, isLazy) }
    }
    for _ in 0..<rest { at = write(inner, next: at) }
    return at
  }

  private func choice(_ body: UInt16, _ next: UInt16, _ isLazy: Bool) -> Step {
    Step(operation: .split, next: isLazy ? next : body, other: isLazy ? body : next)
  }

  private mutating func add(_ body: UInt16, _ next: UInt16, _ isLazy: Bool) -> UInt16 {
    steps.append(choice(body, next, isLazy))
    return UInt16(steps.count - 1)
  }

  private static func canBeEmpty(_ node: RegexNode) -> Bool {
    switch node {
    case .empty, .assertion: true
    case .byte, .set: false
    case .group(let inner, _): canBeEmpty(inner)
    case .sequence(let parts): parts.allSatisfy(canBeEmpty)
    case .choice(let parts): parts.contains(where: canBeEmpty)
    case .repetition(let inner, let least, _, _): least == 0 || canBeEmpty(inner)
    }
  }
}
