import SidecarPlatform

/// Writes a group's bytes from a push and from the old group.
struct GroupWriter: ~Copyable {
  private(set) var bytes = ByteBuffer(capacity: 4096)
  private(set) var families: [Written] = []
  private(set) var seriesCount = 0
  /// Series of unchanged families.
  private(set) var keptSeriesCount = 0
  private var mode = Mode.replace
  private var times = GroupBytes.Times()
  private var stage = Stage.keep
  /// The progress in the old group.
  private var oldAt = 0
  private var oldIndex = -1
  /// For each family of the batch its position in the group, if it is added to that; else -1.
  private var oldFamilies: [Int32] = []
  /// The next family of the batch; the one being written, where it starts, and its next metric.
  private var nextFamily = 0
  private var current = -1
  private var start = 0
  private var nextMetric = -1
  private var metricCount = 0
  private var oldFamily: GroupBytes.FamilyRecord?
  private var metricIndex = HashIndex()
  /// Metrics of the old family, -1 for those that were added to the batch's, and their number.
  private var oldMetrics: [Int] = []
  private var oldCount = 0
  /// The next one to copy.
  private var nextOld = 0
  private var oldHashes: [UInt64] = []

  private enum Stage { case keep, family, index, metrics, rest, end, done }

  /// Begins the group that results from a batch and the old group.
  mutating func begin(_ mode: Mode, _ times: GroupBytes.Times) {
    clear()
    self.mode = mode
    self.times = times
    stage = mode == .replace ? .family : .keep
    oldAt = GroupBytes.headByteCount
    oldIndex = -1
    nextFamily = 0
    oldFamilies.removeAll(keepingCapacity: true)
    GroupBytes.appendHead(times, to: &bytes)
  }

  private mutating func clear() {
    bytes.removeAll()
    families.removeAll(keepingCapacity: true)
    seriesCount = 0
    keptSeriesCount = 0
  }

  /// Releases the memory of a large group.
  mutating func trim() {
    guard heldByteCount > PushBatch.keptByteCount else { return }
    clear()
    bytes.shrink(to: 4096)
    families = []
    oldFamilies = []
    oldMetrics = []
    oldHashes = []
    metricIndex.removeAll()
  }

  /// The memory of its parts.
  var heldByteCount: Int {
    bytes.capacity + families.capacity * MemoryLayout<Written>.stride + 4 * oldFamilies.capacity
      + 16 * oldMetrics.capacity
  }

  /// Continues: about `left` series, which it counts down. Returns whether all is written.
  mutating func goOn(
    _ batch: PushBatch, over old: RawSpan, limit: Int, _ left: inout Int
  ) throws(PushError) -> Bool {
    while stage != .done {
      guard left > 0 else { return false }
      if bytes.count > limit {
        throw PushError(
          joined(
            "the group would have more than ", limit.description,
            " bytes, with the labels of its path"), status: 507)
      }
      switch stage {
      case .keep: keep(old, except: batch, &left)
      case .family: beginFamily(batch, old)
      case .index: indexOld(old, &left)
      case .metrics: try metrics(batch, old, limit, &left)
      case .rest: rest(old, &left)
      case .end: endFamily()
      case .done: break
      }
    }
    return true
  }

  /// The same group with other times.
  mutating func write(_ old: RawSpan, times: GroupBytes.Times) {
    begin(.merge, times)
    var left = Int.max
    keep(old, except: nil, &left)
  }

  /// Copies the families that the batch does not have, and finds those that are added to.
  private mutating func keep(_ old: RawSpan, except batch: PushBatch?, _ left: inout Int) {
    if mode.rule != nil, oldFamilies.isEmpty, let batch {
      oldFamilies = [Int32](repeating: -1, count: batch.families.count)
    }
    while let family = GroupBytes.family(old, at: oldAt) {
      if left <= 0 { return }
      left -= 1 + family.range.count >> 10
      let at = oldAt
      oldAt = family.range.upperBound
      oldIndex += 1
      if let batch, let known = batch.findFamily(old.extracting(family.name)),
        batch.families[known].metricCount > 0
      {
        if mode.rule != nil { oldFamilies[known] = Int32(truncatingIfNeeded: at) }
        continue
      }
      families.append(Written(offset: bytes.count, batchIndex: -1, oldIndex: oldIndex))
      seriesCount += family.metricCount
      keptSeriesCount += family.metricCount
      bytes.append(old.extracting(family.range))
    }
    stage = .family
  }

  /// Begins the batch's next family that has metrics.
  private mutating func beginFamily(_ batch: PushBatch, _ old: RawSpan) {
    while nextFamily < batch.families.count,
      batch.families[nextFamily].metricCount == 0 || batch.isPushTime(nextFamily)
    { nextFamily += 1 }
    guard nextFamily < batch.families.count else { return stage = .done }
    current = nextFamily
    nextFamily += 1
    start = bytes.count
    families.append(Written(offset: start, batchIndex: current))
    let family = batch.families[current]
    oldFamily =
      mode.rule != nil && oldFamilies.count > current && oldFamilies[current] >= 0
      ? GroupBytes.family(old, at: Int(oldFamilies[current])) : nil
    bytes.append32(0)
    bytes.append(family.type.rawValue)
    bytes.append(UInt8(0))
    bytes.append(UInt8(truncatingIfNeeded: family.name.count))
    bytes.append(UInt8(truncatingIfNeeded: family.name.count >> 8))
    bytes.append32(family.help.count)
    bytes.append32(family.metricCount)
    bytes.append(times.pushed)
    batch.copy(family.name, to: &bytes)
    batch.copy(family.help, to: &bytes)
    metricCount = family.metricCount
    nextMetric = family.firstMetric
    oldMetrics.removeAll(keepingCapacity: true)
    oldHashes.removeAll(keepingCapacity: true)
    oldCount = 0
    if let oldFamily {
      metricIndex.removeAll()
      oldAt = oldFamily.metrics.lowerBound
      stage = .index
    } else {
      stage = .metrics
    }
  }

  private mutating func metrics(
    _ batch: PushBatch, _ old: RawSpan, _ limit: Int, _ left: inout Int
  ) throws(PushError) {
    let family = batch.families[current]
    if let oldFamily, oldFamily.type != family.type {
      throw PushError(
        joined(
          batch.name(of: family), " is a ", oldFamily.type.text.description, " in its group, and a "
        )
          + joined(family.type.text.description, " cannot be added to it"))
    }
    while nextMetric >= 0, left > 0, bytes.count <= limit {
      let place = bytes.count
      metric(batch, nextMetric, family.type)
      left -= 1 + (bytes.count - place) >> 8
      if oldFamily != nil, let match = takeOld(old, place) {
        try add(GroupBytes.metric(old, at: match), of: old, at: place, family, batch, mode)
        oldCount += 1
      }
      nextMetric = batch.metrics[nextMetric].next
    }
    if nextMetric < 0 {
      nextOld = 0
      stage = .rest
    }
  }

  /// Copies the old metrics that were not added to, adjacent ones at once.
  private mutating func rest(_ old: RawSpan, _ left: inout Int) {
    while nextOld < oldMetrics.count {
      if left <= 0 { return }
      if oldMetrics[nextOld] < 0 {
        left -= 1
        nextOld += 1
        continue
      }
      let first = oldMetrics[nextOld]
      var last = nextOld
      while last + 1 < oldMetrics.count, oldMetrics[last + 1] >= 0, last - nextOld < 1024 {
        last += 1
      }
      let range = first..<GroupBytes.metric(old, at: oldMetrics[last]).range.upperBound
      left -= 1 + (last - nextOld) >> 4 + range.count >> 12
      bytes.append(old.extracting(range))
      nextOld = last + 1
    }
    stage = .end
  }

  private mutating func endFamily() {
    let count = metricCount + oldMetrics.count - oldCount
    bytes.patch32(at: start + 12, count)
    bytes.patch32(at: start, bytes.count - start)
    seriesCount += count
    if let written = GroupBytes.family(bytes.bytes, at: start) {
      families[families.count - 1].textByteCount = GroupBytes.textByteCount(bytes.bytes, written)
    }
    stage = .family
  }

  private mutating func metric(_ batch: PushBatch, _ index: Int, _ type: FamilyType) {
    let metric = batch.metrics[index]
    let start = bytes.count
    bytes.append32(0)
    bytes.append32(metric.labels.count)
    bytes.append32(0)
    batch.copy(metric.labels, to: &bytes)
    bytes.append(metric.value)
    if type.hasPoints { points(batch, batch.pointList(index), type, start) }
    bytes.patch32(at: start, bytes.count - start)
  }

  private mutating func points(
    _ batch: PushBatch, _ list: PushBatch.Points, _ type: FamilyType, _ start: Int
  ) {
    let lacksInfinity =
      type.isHistogram && (list.last < 0 || batch.points[list.last].bound != .infinity)
    bytes.patch32(at: start + 8, list.pointCount + (lacksInfinity ? 1 : 0))
    let last = list.last >= 0 ? batch.points[list.last].value : 0
    let count = list.count.isNaN ? (type.isHistogram ? last : 0) : list.count
    bytes.append(count)
    var point = list.first
    while point >= 0 {
      bytes.append(batch.points[point].bound)
      bytes.append(batch.points[point].value)
      point = batch.points[point].next
    }
    if lacksInfinity {
      bytes.append(Double.infinity)
      bytes.append(count)
    }
    batch.copy(list.native, to: &bytes)
  }

  // MARK: Aggregation

  private mutating func indexOld(_ old: RawSpan, _ left: inout Int) {
    guard let family = oldFamily else { return stage = .metrics }
    while oldAt < family.metrics.upperBound {
      if left <= 0 { return }
      left -= 1
      let metric = GroupBytes.metric(old, at: oldAt)
      let hash = HashKey.process.hash(old.extracting(metric.labels))
      let index = oldMetrics.count
      oldMetrics.append(oldAt)
      oldHashes.append(hash)
      metricIndex.insert(hash, at: index)
      oldAt = metric.range.upperBound
    }
    stage = .metrics
  }

  /// The old metric with the labels of the new one at `place`; it is then not copied by itself.
  private mutating func takeOld(_ old: RawSpan, _ place: Int) -> Int? {
    let labels = GroupBytes.metric(bytes.bytes, at: place).labels
    let hash = HashKey.process.hash(bytes.bytes.extracting(labels))
    let index = metricIndex.find(at: hash) {
      oldMetrics[$0] >= 0 && oldHashes[$0] == hash
        && bytes.isEqual(labels, old.extracting(GroupBytes.metric(old, at: oldMetrics[$0]).labels))
    }
    guard let index else { return nil }
    defer { oldMetrics[index] = -1 }
    return oldMetrics[index]
  }

  private mutating func add(
    _ metric: GroupBytes.MetricRecord, of old: RawSpan, at place: Int,
    _ family: PushBatch.PushedFamily,
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
          joined(
            "quantiles cannot be added: ", batch.name(of: family),
            " has some. Push its _sum and _count ")
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
    _ metric: GroupBytes.MetricRecord, of old: RawSpan, to new: GroupBytes.MetricRecord,
    _ family: PushBatch.PushedFamily, _ batch: PushBatch
  ) throws(PushError) {
    let known = NativeHistogram(old, metric.native)
    let pushed = NativeHistogram(bytes.bytes, new.native)
    guard let known, var sum = pushed else {
      if known == nil, pushed == nil { return }
      throw PushError(
        joined(batch.name(of: family), " is a native histogram in the ")
          + (known == nil ? "push but not in its group" : "group but not in the push"))
    }
    guard sum.add(known) else {
      throw PushError(
        joined(
          batch.name(of: family), " has a zero bucket of another width than its group has, and ")
          + "cannot be added to it")
    }
    bytes.truncate(to: new.native.lowerBound)
    sum.append(to: &bytes)
    bytes.patch32(at: new.range.lowerBound, bytes.count - new.range.lowerBound)
  }

  private borrowing func checkBounds(
    _ metric: GroupBytes.MetricRecord, _ old: RawSpan, _ new: GroupBytes.MetricRecord,
    _ family: PushBatch.PushedFamily, _ batch: PushBatch
  ) throws(PushError) {
    var areSame = metric.pointCount == new.pointCount
    for point in 0..<new.pointCount where areSame {
      areSame = old.double(at: metric.bound(point)) == bytes.bytes.double(at: new.bound(point))
    }
    if !areSame {
      throw PushError(
        joined(
          batch.name(of: family), " has other buckets than its group has, and cannot be added to ")
          + "them. Push it into a group of its own, or delete the group first")
    }
  }

  /// A replaced group may hold anything: nothing is added to NaN.
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
