import SidecarPlatform

/// Ensures that no series occurs twice, in any groups.
extension PushStore {
  /// Another group whose own series would be the same: one with `instance=""` in its key is a twin
  /// of the one without.
  func twin(of key: GroupingKey) -> PushGroup? { key.twin.flatMap { group($0) } }
}

extension GroupingKey {
  /// The identity of the group whose series have the same labels; `nil` if there can be none.
  var twin: ByteKey? {
    let instance = Array("instance".utf8)
    guard let place = labels.firstIndex(where: { bytes[$0.name] == instance[...] }) else {
      return nil
    }
    if labels[place].isDefault { return ByteKey(fullText) }
    guard labels[place].text.count == instance.count + 3 else { return nil }
    var text: [UInt8] = []
    for (index, label) in labels.enumerated() where index != place {
      if !text.isEmpty { text.append(UInt8(ascii: ",")) }
      text += bytes[label.text]
    }
    return ByteKey(text)
  }

  /// All labels of a series without labels of its own.
  var fullText: [UInt8] {
    var text: [UInt8] = []
    for label in labels {
      if !text.isEmpty { text.append(UInt8(ascii: ",")) }
      text += bytes[label.text]
    }
    return text
  }

  var description: String { "{" + String(decoding: identity.bytes, as: UTF8.self) + "}" }
}

extension PushBatch {
  func array(_ range: Range<Int>) -> [UInt8] { bytes.array(range) }
}

extension ByteBuffer {
  /// Whether a group has the series with that name and those labels.
  func areSeries(_ name: Range<Int>, _ labels: Range<Int>, of group: RawSpan) -> Bool {
    GroupBytes.hasSeries(group, bytes.extracting(name), bytes.extracting(labels))
  }
}

extension GroupBytes {
  /// Calls `body` with the hash of each series of a family.
  @inline(__always)
  static func forEachSeries(
    _ group: RawSpan, _ family: FamilyRecord, _ body: (UInt64) -> Void
  ) {
    let hash = SeriesHash.family(group.extracting(family.name))
    var at = family.metrics.lowerBound
    while at < family.metrics.upperBound {
      let metric = metric(group, at: at)
      body(SeriesHash.series(group.extracting(metric.labels), of: hash))
      at = metric.range.upperBound
    }
  }

  /// Whether a group has the series of that family with those labels.
  static func hasSeries(_ group: RawSpan, _ name: RawSpan, _ labels: RawSpan) -> Bool {
    var at = headByteCount
    while let family = family(group, at: at) {
      at = family.range.upperBound
      guard ByteCompare.equal(group.extracting(family.name), name) else { continue }
      var place = family.metrics.lowerBound
      while place < family.metrics.upperBound {
        let metric = metric(group, at: place)
        if ByteCompare.equal(group.extracting(metric.labels), labels) { return true }
        place = metric.range.upperBound
      }
    }
    return false
  }
}

extension GroupWriter {
  func isName(_ range: Range<Int>, _ name: [UInt8]) -> Bool {
    unsafe bytes.isEqual(range, name.span.bytes)
  }

  func nameAndType(at offset: Int) -> (name: [UInt8], type: FamilyType) {
    guard let family = GroupBytes.family(bytes.bytes, at: offset) else { return ([], .untyped) }
    return (SeriesKey.array(bytes.bytes.extracting(family.name)), family.type)
  }

  func hasBounds(_ bounds: [Double], at offset: Int) -> Bool {
    guard let family = GroupBytes.family(bytes.bytes, at: offset) else { return false }
    var at = family.metrics.lowerBound
    while at < family.metrics.upperBound {
      let metric = GroupBytes.metric(bytes.bytes, at: at)
      if !GroupBytes.hasBounds(metric, of: bytes.bytes, bounds) { return false }
      at = metric.range.upperBound
    }
    return true
  }
}

extension PushFile {
  func familyType(_ identity: ByteKey, at offset: Int) -> FamilyType? {
    GroupBytes.family(group(identity), at: offset)?.type
  }
}
