extension GroupWriter {
  enum Mode: Equatable {
    /// The push replaces the group (PUT).
    case replace
    /// Families of the push replace those with the same name (POST).
    case merge
    /// Counters, histograms and summaries add up; gauges follow the rule.
    case aggregate(GaugeRule)

    /// How gauges are merged, if the push is added up.
    var rule: GaugeRule? {
      guard case .aggregate(let rule) = self else { return nil }
      return rule
    }
  }

  /// A written family.
  struct Written {
    var offset: Int
    /// The index in the batch; -1 for a family that stays unchanged.
    var batchIndex: Int
    /// The index in the old group, if it stays.
    var oldIndex = -1
    /// The bytes of its lines, if it does not.
    var textByteCount = 0
  }
}
