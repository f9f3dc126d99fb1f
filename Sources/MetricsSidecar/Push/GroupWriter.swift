import SidecarPlatform

/// How gauges of an aggregated push meet those that are there.
enum GaugeRule: String {
  case last, sum, max

  /// What may be added: no push, however often it comes, makes a sum infinite, which it would stay.
  static let greatest = 1e100

  /// Why a value cannot be added up, as with events; `nil` where it can.
  func mistake(_ type: FamilyType, _ part: PushBatch.Part, _ value: Double) -> String? {
    let isFinite = value.magnitude <= Self.greatest
    switch type {
    case .counter:
      return isFinite && value >= 0
        ? nil : "a counter that is added up is a number from 0 to 1e100"
    case .gauge, .untyped:
      return isFinite || self != .sum ? nil : "a gauge that is added up is finite, up to 1e100"
    case .histogram, .gaugeHistogram, .summary:
      switch part {
      case .sum: return isFinite ? nil : "a sum that is added up is finite, up to 1e100"
      case .bucket, .count:
        return isFinite && value >= 0
          ? nil : "a count that is added up is a number from 0 to 1e100"
      case .whole: return nil
      }
    }
  }
}

/// Writes a group's bytes from a push and from what the group had before.
struct GroupWriter: ~Copyable {
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
  }

  private(set) var bytes = ByteBuffer(capacity: 4096)
  private(set) var families: [Written] = []
  private(set) var seriesCount = 0
  private var metricSlots = IndexSlots()
  private var oldMetrics: [Int] = []
  private var oldHashes: [UInt64] = []

  /// Writes the group that `batch` makes of `old`.
  mutating func write(
    _ batch: PushBatch, over old: RawSpan, mode: Mode, times: GroupBytes.Times
  ) throws(PushError) {
    bytes.removeAll()
    bytes.shrink(to: 1 << 20)
    families.removeAll(keepingCapacity: true)
    seriesCount = 0
    GroupBytes.appendHead(times, to: &bytes)
    if mode != .replace { keep(old, except: batch) }
    for index in 0..<batch.families.count where batch.families[index].metricCount > 0 {
      if batch.isPushTime(index) { continue }
      families.append(Written(offset: bytes.count, batchIndex: index))
      var oldFamily: GroupBytes.Family?
      if case .aggregate = mode { oldFamily = batch.find(index, in: old) }
      try family(batch, index, old, oldFamily, mode, times.pushed)
    }
  }

  /// The same group with other times.
  mutating func write(_ old: RawSpan, times: GroupBytes.Times) {
    bytes.removeAll()
    families.removeAll(keepingCapacity: true)
    seriesCount = 0
    GroupBytes.appendHead(times, to: &bytes)
    if old.byteCount > GroupBytes.headByteCount { keep(old, except: nil) }
  }

  private mutating func keep(_ old: RawSpan, except batch: PushBatch?) {
    var at = GroupBytes.headByteCount
    while let family = GroupBytes.family(old, at: at) {
      at = family.range.upperBound
      if let batch, let known = batch.findFamily(old.extracting(family.name)),
        batch.families[known].metricCount > 0
      {
        continue
      }
      families.append(Written(offset: bytes.count, batchIndex: -1))
      seriesCount += family.metricCount
      bytes.append(old.extracting(family.range))
    }
  }

  private mutating func family(
    _ batch: PushBatch, _ index: Int, _ old: RawSpan, _ oldFamily: GroupBytes.Family?, _ mode: Mode,
    _ time: Double
  ) throws(PushError) {
    let family = batch.families[index]
    let start = bytes.count
    bytes.append32(0)
    bytes.append(family.type.rawValue)
    bytes.append(UInt8(0))
    bytes.append(UInt8(truncatingIfNeeded: family.name.count))
    bytes.append(UInt8(truncatingIfNeeded: family.name.count >> 8))
    bytes.append32(family.help.count)
    bytes.append32(family.metricCount)
    bytes.append(time)
    batch.copy(family.name, to: &bytes)
    batch.copy(family.help, to: &bytes)
    if let oldFamily {
      try aggregate(batch, family, old, oldFamily, mode, start)
    } else {
      var metric = family.firstMetric
      while metric >= 0 {
        self.metric(batch, metric, family.type)
        metric = batch.metrics[metric].next
      }
      seriesCount += family.metricCount
    }
    bytes.patch32(at: start, bytes.count - start)
  }

  private mutating func metric(_ batch: PushBatch, _ index: Int, _ type: FamilyType) {
    let metric = batch.metrics[index]
    let start = bytes.count
    let lacksInfinity =
      type.isHistogram
      && (metric.lastPoint < 0 || batch.points[metric.lastPoint].bound != .infinity)
    bytes.append32(0)
    bytes.append32(metric.labels.count)
    bytes.append32(metric.pointCount + (lacksInfinity ? 1 : 0))
    batch.copy(metric.labels, to: &bytes)
    bytes.append(metric.value)
    if type.hasPoints {
      let last = metric.lastPoint >= 0 ? batch.points[metric.lastPoint].value : 0
      let count = metric.count.isNaN ? (type.isHistogram ? last : 0) : metric.count
      bytes.append(count)
      var point = metric.firstPoint
      while point >= 0 {
        bytes.append(batch.points[point].bound)
        bytes.append(batch.points[point].value)
        point = batch.points[point].next
      }
      if lacksInfinity {
        bytes.append(Double.infinity)
        bytes.append(count)
      }
      batch.copy(metric.native, to: &bytes)
    }
    bytes.patch32(at: start, bytes.count - start)
  }

  // MARK: Aggregation

  /// Metrics that are in both are added, the others are taken as they are.
  private mutating func aggregate(
    _ batch: PushBatch, _ family: PushBatch.Family, _ old: RawSpan, _ oldFamily: GroupBytes.Family,
    _ mode: Mode, _ start: Int
  ) throws(PushError) {
    guard oldFamily.type == family.type else {
      throw PushError(
        "\(batch.name(of: family)) is a \(oldFamily.type.text) in its group, and a "
          + "\(family.type.text) cannot be added to it")
    }
    indexOld(old, oldFamily)
    var count = oldFamily.metricCount
    var metric = family.firstMetric
    while metric >= 0 {
      let place = bytes.count
      self.metric(batch, metric, family.type)
      if let match = takeOld(old, place) {
        try add(GroupBytes.metric(old, at: match), of: old, at: place, family, batch, mode)
      } else {
        count += 1
      }
      metric = batch.metrics[metric].next
    }
    for index in 0..<oldMetrics.count where oldMetrics[index] >= 0 {
      bytes.append(old.extracting(GroupBytes.metric(old, at: oldMetrics[index]).range))
    }
    bytes.patch32(at: start + 12, count)
    seriesCount += count
  }

  private mutating func indexOld(_ old: RawSpan, _ family: GroupBytes.Family) {
    oldMetrics.removeAll(keepingCapacity: true)
    oldHashes.removeAll(keepingCapacity: true)
    metricSlots.removeAll()
    var at = family.metrics.lowerBound
    while at < family.metrics.upperBound {
      let metric = GroupBytes.metric(old, at: at)
      let hash = HashKey.process.hash(old.extracting(metric.labels))
      oldMetrics.append(at)
      oldHashes.append(hash)
      let hashes = oldHashes
      metricSlots.add(hash, hashes.count - 1) { hashes[$0] }
      at = metric.range.upperBound
    }
  }

  /// The old metric with the labels of the new one at `place`; it is not kept for itself then.
  private mutating func takeOld(_ old: RawSpan, _ place: Int) -> Int? {
    let labels = GroupBytes.metric(bytes.bytes, at: place).labels
    let hash = HashKey.process.hash(bytes.bytes.extracting(labels))
    var probe = metricSlots.probe(hash)
    while let index = metricSlots.next(&probe) {
      let at = oldMetrics[index]
      guard at >= 0, oldHashes[index] == hash else { continue }
      let known = old.extracting(GroupBytes.metric(old, at: at).labels)
      guard bytes.isEqual(labels, known) else { continue }
      oldMetrics[index] = -1
      return at
    }
    return nil
  }

  private mutating func add(
    _ metric: GroupBytes.Metric, of old: RawSpan, at place: Int, _ family: PushBatch.Family,
    _ batch: PushBatch, _ mode: Mode
  ) throws(PushError) {
    let new = GroupBytes.metric(bytes.bytes, at: place)
    switch family.type {
    case .counter: add(max(0, old.double(at: metric.value)), at: new.value)
    case .gauge, .untyped:
      if case .aggregate(.sum) = mode { add(old.double(at: metric.value), at: new.value) }
      if case .aggregate(.max) = mode {
        let known = old.double(at: metric.value)
        let pushed = bytes.bytes.double(at: new.value)
        if known > pushed || pushed.isNaN { store(known, at: new.value) }
      }
    case .summary, .histogram, .gaugeHistogram:
      if family.type == .summary, metric.pointCount + new.pointCount > 0 {
        throw PushError(
          "quantiles cannot be added: \(batch.name(of: family)) has some. Push its _sum and _count "
            + "alone, or a histogram")
      }
      try checkBounds(metric, old, new, family, batch)
      add(old.double(at: metric.value), at: new.value)
      add(old.double(at: metric.count), at: new.count)
      for point in 0..<new.pointCount {
        add(old.double(at: metric.pointValue(point)), at: new.pointValue(point))
      }
      if family.type.isHistogram { try addNative(metric, of: old, to: new, family, batch) }
    }
  }

  /// Adds the native part; the new metric is the last that was written.
  private mutating func addNative(
    _ metric: GroupBytes.Metric, of old: RawSpan, to new: GroupBytes.Metric,
    _ family: PushBatch.Family, _ batch: PushBatch
  ) throws(PushError) {
    let known = NativeHistogram(old, metric.native)
    let pushed = NativeHistogram(bytes.bytes, new.native)
    guard let known, var sum = pushed else {
      if known == nil, pushed == nil { return }
      throw PushError(
        "\(batch.name(of: family)) is a native histogram in the "
          + (known == nil ? "push but not in its group" : "group but not in the push"))
    }
    guard sum.add(known) else {
      throw PushError(
        "\(batch.name(of: family)) has a zero bucket of another width than its group has, and "
          + "cannot be added to it")
    }
    bytes.truncate(to: new.native.lowerBound)
    sum.append(to: &bytes)
    bytes.patch32(at: new.range.lowerBound, bytes.count - new.range.lowerBound)
  }

  private borrowing func checkBounds(
    _ metric: GroupBytes.Metric, _ old: RawSpan, _ new: GroupBytes.Metric,
    _ family: PushBatch.Family, _ batch: PushBatch
  ) throws(PushError) {
    var areSame = metric.pointCount == new.pointCount
    for point in 0..<new.pointCount where areSame {
      areSame = old.double(at: metric.bound(point)) == bytes.bytes.double(at: new.bound(point))
    }
    if !areSame {
      throw PushError(
        "\(batch.name(of: family)) has other buckets than its group has, and cannot be added to "
          + "them. Push it into a group of its own, or delete the group first")
    }
  }

  /// What replaced a group may have been anything: nothing is added to what is no number.
  private mutating func add(_ amount: Double, at offset: Int) {
    guard amount.magnitude <= GaugeRule.greatest else { return }
    store(bytes.bytes.double(at: offset) + amount, at: offset)
  }

  private mutating func store(_ number: Double, at offset: Int) {
    let bits = number.bitPattern
    for index in 0..<8 {
      bytes.replace(
        at: offset + index, with: UInt8(truncatingIfNeeded: bits >> UInt64(8 * index)))
    }
  }
}

extension PushBatch {
  func copy(_ range: Range<Int>, to buffer: inout ByteBuffer) {
    bytes.copy(range, to: &buffer)
  }

  func name(of family: Family) -> String { bytes.text(family.name) }

  /// Whether it is one of the two families that every group has of itself; a pushed one is dropped.
  func isPushTime(_ index: Int) -> Bool {
    let name = families[index].name
    guard name.count == 17 || name.count == 25 else { return false }
    return Names.isPushTime(array(name))
  }

  /// The family of the same name in a group.
  func find(_ index: Int, in group: RawSpan) -> GroupBytes.Family? {
    var at = GroupBytes.headByteCount
    while let family = GroupBytes.family(group, at: at) {
      if bytes.isEqual(families[index].name, group.extracting(family.name)) { return family }
      at = family.range.upperBound
    }
    return nil
  }
}

extension ByteBuffer {
  func copy(_ range: Range<Int>, to other: inout ByteBuffer) {
    other.append(bytes.extracting(range))
  }

  func array(_ range: Range<Int>) -> [UInt8] { SeriesKey.array(bytes.extracting(range)) }

  func isEqual(_ range: Range<Int>, _ other: RawSpan) -> Bool {
    ByteCompare.equal(bytes.extracting(range), other)
  }
}
