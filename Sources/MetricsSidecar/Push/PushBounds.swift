import SidecarPlatform

/// The space limits of all groups together, checked before a push changes anything.
extension PushLimits {
  /// Bytes of all grouping keys; with few groups, some long ones fit.
  var keyByteCount: Int { max(64 << 10, 256 * groups) }
  /// Bytes of all families' names.
  var familyNameByteCount: Int { max(64 << 10, 32 * series) }
}

extension PushStore {
  /// Whether a new group may have this key besides the others.
  func hasRoom(for key: GroupingKey) -> Bool {
    groupCount < limits.groups && keyByteCount + key.identity.bytes.count <= limits.keyByteCount
  }

  func checkRoom(for key: GroupingKey) throws(PushError) {
    guard !hasRoom(for: key) else { return }
    throw PushError(
      groupCount >= limits.groups
        ? joined("there are ", limits.groups.description, " groups, which is the limit")
        : joined(
          "the grouping keys would have more than ", limits.keyByteCount.description,
          " bytes together"), status: 507)
  }

  func checkRoom(forName name: [UInt8]) throws(PushError) {
    guard unsafe names.type(of: name.span.bytes) == nil,
      names.liveByteCount + name.count > limits.familyNameByteCount
    else { return }
    throw PushError(
      joined(
        "the families' names would have more than ", limits.familyNameByteCount.description,
        " bytes together"), status: 507)
  }

  /// Checks the written group together with all others. A push that adds no text is accepted.
  func checkCount(_ known: PushGroup?) throws(PushError) {
    let count = seriesCount - (known?.seriesCount ?? 0) + writer.seriesCount
    guard count <= limits.series else {
      throw PushError(
        joined(
          count.description, " pushed series would be more than the limit of ",
          limits.series.description), status: 507)
    }
    let growth = writtenTexts(known).reduce(0, +) - (known?.texts.reduce(0, +) ?? 0)
    let text = (others?.textByteCount ?? 0) + textByteCount + growth
    guard growth > 0, text > limits.expositionByteCount else { return }
    throw PushError(
      joined(
        "the text of all series would have ", text.description,
        " bytes, more than --max-exposition-size: ", limits.expositionByteCount.description),
      status: 507)
  }

  /// The text of each family of the written group.
  func writtenTexts(_ known: PushGroup?) -> [Int] {
    let texts = known?.texts ?? []
    return writer.families.map { written in
      if written.batchIndex >= 0 { return written.textByteCount }
      // A family that conflicted with others at startup is not counted.
      return written.oldIndex < texts.count ? texts[written.oldIndex] : 0
    }
  }
}

extension GroupBytes {
  /// The approximate bytes of a family's text lines, like `Family.textByteCount`.
  static func textByteCount(_ group: RawSpan, _ family: FamilyRecord) -> Int {
    var sum = 18 + 2 * family.name.count + family.help.count
    var at = family.metrics.lowerBound
    while at < family.metrics.upperBound {
      let metric = metric(group, at: at)
      let key = family.name.count + metric.labels.count + 2
      sum +=
        family.type.hasPoints
        ? (metric.pointCount + 2) * (key + 40) + metric.native.count : key + 24
      at = metric.range.upperBound
    }
    return sum
  }
}
