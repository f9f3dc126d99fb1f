/// The samples that `@rate` stands for, as whole numbers: the fraction carries over to the next
/// sample of the series, so counts are exact in the long run.
enum SampleWeight {
  /// How many samples to count now. `carry` is the cell with the remainder.
  @_optimize(speed)
  static func whole(_ weight: Double, carry: Int, in state: StateFile) -> Double {
    // 1/rate is rarely whole in binary: a value within a billionth of a whole number is meant to be
    // whole.
    let sum = state.number(carry) + weight
    var whole = sum.rounded()
    if (whole - sum).magnitude > 1e-9 * sum { whole = sum.rounded(.down) }
    let rest = max(0, sum - whole)
    state.store(carry, rest < 1e-9 * sum ? 0 : rest)
    return whole
  }
}
