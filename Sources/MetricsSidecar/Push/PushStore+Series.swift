import SidecarPlatform

/// No series is there twice, in whichever groups.
extension PushStore {
  /// Refuses a series that another group has. Only a group with other label names can have it: with
  /// the same names one value differs, and it is a label of every series.
  func checkSeries(_ key: GroupingKey, _ batch: PushBatch) throws(PushError) {
    let own = key.shape
    if shapes.count - (shapes[own] == nil ? 0 : 1) == 0 { return }
    if let other = twin(of: key) {
      throw Self.inconsistent("the group \(other.key.description) has the same series")
    }
    let names = batch.labelNames
    var seen: [[UInt8]: Set<UInt64>] = [:]
    for shape in shapes.keys where shape != own {
      let wanted = Self.names(shape)
      if !wanted.allSatisfy({ names.contains($0) }) { continue }
      for family in batch.families {
        var metric = family.firstMetric
        while metric >= 0 {
          let labels = batch.array(batch.metrics[metric].labels)
          if let other = unsafe candidate(labels.span.bytes, wanted) {
            let name = batch.array(family.name)
            let series = name + [0] + other.key.identity.bytes
            if seen[series] == nil { seen[series] = file.labelHashes(other.key.identity, name) }
            if let hashes = seen[series],
              unsafe hashes.contains(HashKey.process.hash(labels.span.bytes))
            {
              throw Self.inconsistent(
                "\(batch.describe(metric)) is there already, in the group \(other.key.description)")
            }
          }
          metric = batch.metrics[metric].next
        }
      }
    }
  }

  /// Another group whose own series would be the same: one with `instance=""` in its key is a twin
  /// of the one without.
  func twin(of key: GroupingKey) -> PushGroup? {
    let text = key.fullText
    let instance = Array("instance".utf8)
    // Both have the same labels, but that one names the instance.
    var names = key.labels.filter { !$0.isDefault }.map { Array(key.bytes[$0.name]) }
    if let place = names.firstIndex(of: instance) {
      names.remove(at: place)
    } else {
      names = key.labels.map { Array(key.bytes[$0.name]) }
    }
    guard let other = unsafe candidate(text.span.bytes, names), other.key.fullText == text else {
      return nil
    }
    return other
  }

  private static func names(_ shape: [UInt8]) -> [[UInt8]] {
    shape.split(separator: 0).map { Array($0) }
  }

  /// The group whose labels are those of `wanted` names in `labels`.
  private func candidate(_ labels: RawSpan, _ wanted: [[UInt8]]) -> PushGroup? {
    var identity: [UInt8] = []
    var found = 0
    LabelText.forEach(labels) { name, value in
      guard found < wanted.count else { return }
      let next = wanted[found]
      guard unsafe ByteCompare.equal(labels.extracting(name), next.span.bytes) else { return }
      found += 1
      if !identity.isEmpty { identity.append(UInt8(ascii: ",")) }
      identity += SeriesKey.array(labels.extracting(name.lowerBound..<(value.upperBound + 1)))
    }
    return found == wanted.count ? group(ByteKey(identity)) : nil
  }
}

extension GroupingKey {
  /// Its labels' names, each ended by a zero.
  var shape: [UInt8] {
    var names: [UInt8] = []
    for label in labels where !label.isDefault { names += bytes[label.name] + [0] }
    return names
  }

  /// All labels that a series without labels of its own has.
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

  /// The names of all labels.
  var labelNames: Set<[UInt8]> {
    var names: Set<[UInt8]> = []
    // Most series have the names of the one before them, at the same places.
    var before: [[UInt8]] = []
    for metric in metrics {
      let labels = bytes.bytes.extracting(metric.labels)
      var at = 0
      var place = 0
      while let label = LabelText.next(labels, from: &at) {
        let name = labels.extracting(label.name)
        defer { place += 1 }
        if place < before.count {
          let known = before[place]
          if unsafe ByteCompare.equal(known.span.bytes, name) { continue }
        }
        let bytes = SeriesKey.array(name)
        names.insert(bytes)
        if place < before.count { before[place] = bytes } else { before.append(bytes) }
      }
    }
    return names
  }
}

extension PushFile {
  /// A hash of each series' labels of one family.
  func labelHashes(_ identity: ByteKey, _ name: [UInt8]) -> Set<UInt64> {
    let group = self.group(identity)
    var hashes: Set<UInt64> = []
    var at = GroupBytes.headByteCount
    while let family = GroupBytes.family(group, at: at) {
      at = family.range.upperBound
      guard unsafe ByteCompare.equal(group.extracting(family.name), name.span.bytes) else {
        continue
      }
      var metric = family.metrics.lowerBound
      while metric < family.metrics.upperBound {
        let next = GroupBytes.metric(group, at: metric)
        hashes.insert(HashKey.process.hash(group.extracting(next.labels)))
        metric = next.range.upperBound
      }
    }
    return hashes
  }
}
