extension GroupWriter {
  enum Mode: Equatable {
    /// The push is all that the group has (PUT).
    case replace
    /// Families of the push take the place of those of the same name (POST).
    case merge
    /// Counters, histograms and summaries add up; gauges as the rule says.
    case aggregate(GaugeRule)

    /// What becomes of gauges, where the push is added up.
    var rule: GaugeRule? {
      guard case .aggregate(let rule) = self else { return nil }
      return rule
    }
  }

  /// A family that was written.
  struct Written {
    var offset: Int
    /// Which of the batch's families; -1 for one that stays as it was.
    var batchIndex: Int
    /// Which of the old group's it is, if it stays.
    var oldIndex = -1
    /// Of its lines, if it does not.
    var textByteCount = 0
  }
}
