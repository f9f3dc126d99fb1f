import SidecarPlatform
import SidecarRules

/// The pushed groups of one moment, by family, some series per call. Families with the same name in
/// several groups become one.
///
/// Clients push values that OpenMetrics cannot express: series of histograms whose buckets are not
/// rising whole counts are omitted there as a whole; `OpenMetricsWriter` omits parts of others.
///
/// What must stay true: every group is shown as it was at that moment. If one changes meanwhile,
/// its `PushGroup` here keeps the old content; the others still have it in the file. One such
/// moment at a time.
final class PushedFamilies {
  private let store: PushStore
  private let format: ExpositionFormat
  let groups: [PushGroup?]
  private let now: PushMoment
  private let groupCount: Int
  /// The blocks of each name, one after the other: where each name's blocks begin, and each block's
  /// position.
  private let starts: [Int]
  private var next: [Int]
  private var blocks: [(group: Int, offset: Int)]
  /// The number of groups whose families are among the blocks.
  private var sortedCount = 0
  /// The family being written, its block, and the next metric there; 0 before the first.
  private var name = -1
  private var block = 0
  private var metric = 0
  /// Series of the family that were omitted.
  private(set) var hiddenCount = 0
  /// The progress of `look(at:_:)` in its family.
  private var looked = (block: 0, metric: 0)

  /// Series checked per call: omitted ones cost time, too.
  private static let sliceCount = 1024

  /// Takes the snapshot: expired groups are not in it any more.
  init(_ store: PushStore, now: PushMoment, format: ExpositionFormat = .text004) {
    store.beginReading()
    self.store = store
    self.format = format
    self.now = now
    groups = store.liveGroups(now.steady)
    // Not from the names' own counts: a push may be changing those.
    var starts = [Int](repeating: 0, count: store.names.entries.count + 1)
    var groupCount = 0
    for group in groups {
      guard let group else { continue }
      groupCount += 1
      for family in group.families { starts[family.name + 1] += 1 }
    }
    for name in starts.indices.dropFirst() { starts[name] += starts[name - 1] }
    self.groupCount = groupCount
    self.starts = starts
    next = starts
    blocks = [(group: Int, offset: Int)](repeating: (0, 0), count: starts.last ?? 0)
  }

  /// When a group expires, in Unix seconds.
  func expiry(of group: PushGroup) -> Double { now.unix + group.deadline - now.steady }

  deinit { store.endReading() }

  // MARK: Names

  /// Sorts the groups' families by name: about `left` of them, which it counts down. Returns
  /// whether all are sorted, which everything else requires.
  func sort(_ left: inout Int) -> Bool {
    while sortedCount < groups.count, left > 0 {
      left -= 1
      if let group = groups[sortedCount] {
        left -= group.families.count
        for family in group.families {
          blocks[next[family.name]] = (sortedCount, family.offset)
          next[family.name] += 1
        }
      }
      sortedCount += 1
    }
    return sortedCount == groups.count
  }

  /// Names by number; some are in no group.
  var nameCount: Int { starts.count - 1 }

  /// How many groups have this name.
  func groupCount(of name: Int) -> Int { starts[name + 1] - starts[name] }

  func text(of name: Int) -> [UInt8] { store.names.entries[name].name }

  /// The number of a name that is in a group.
  func find(_ name: [UInt8]) -> Int? {
    guard let index = unsafe store.names.find(name.span.bytes), index < nameCount,
      groupCount(of: index) > 0
    else { return nil }
    return index
  }

  /// The type of a family in the groups.
  func type(of name: Int) -> FamilyType { head(of: name).type }

  /// Its head, from the first of the groups.
  func head(of name: Int) -> (name: [UInt8], type: FamilyType, help: [UInt8]) {
    var type = FamilyType.untyped
    var help: [UInt8] = []
    let (group, offset) = blocks[starts[name]]
    read(group) { bytes in
      guard let family = GroupBytes.family(bytes, at: offset) else { return }
      type = family.type
      help = SeriesKey.array(bytes.extracting(family.help))
    }
    return (text(of: name), type, help)
  }

  /// How many series the name has.
  func seriesCount(of name: Int) -> Int {
    var count = 0
    for block in blocks[starts[name]..<starts[name + 1]] {
      read(block.group) { bytes in
        count += GroupBytes.family(bytes, at: block.offset)?.metricCount ?? 0
      }
    }
    return count
  }

  /// The bytes of a group.
  func read(_ place: Int, _ body: (RawSpan) -> Void) {
    guard let group = groups[place] else { return }
    let kept = group.kept
    if kept.isEmpty {
      let file = store.file
      body(file.group(group.key.identity))
    } else {
      unsafe body(kept.span.bytes)
    }
  }

  // MARK: What OpenMetrics cannot express

  /// Counters with series that are NaN or below 0.
  private(set) var oddCounters: Set<Int> = []
  /// Omitted series, by name.
  private(set) var unfitCounts: [(name: Int, count: Int)] = []

  /// Looks for values in a family that OpenMetrics cannot express: about `left` numbers, which it
  /// counts down. Returns whether that was all of it.
  func look(at name: Int, _ left: inout Int) -> Bool {
    looked.block = max(looked.block, starts[name])
    while looked.block < starts[name + 1] {
      guard left > 0 else { return false }
      let (group, offset) = blocks[looked.block]
      var isDone = true
      read(group) { bytes in
        guard let family = GroupBytes.family(bytes, at: offset) else { return }
        guard family.type == .counter || family.type.isHistogram else { return }
        looked.metric = max(looked.metric, family.metrics.lowerBound)
        while looked.metric < family.metrics.upperBound {
          if left <= 0 { return isDone = false }
          let metric = GroupBytes.metric(bytes, at: looked.metric)
          left -= 2 + metric.pointCount
          note(metric, of: bytes, family.type, name)
          looked.metric = metric.range.upperBound
        }
      }
      guard isDone else { return false }
      looked.metric = 0
      looked.block += 1
    }
    return true
  }

  private func note(
    _ metric: GroupBytes.MetricRecord, of bytes: RawSpan, _ type: FamilyType, _ name: Int
  ) {
    if type == .counter {
      if !(bytes.double(at: metric.value) >= 0) { oddCounters.insert(name) }
    } else if !GroupBytes.hasWholeCounts(metric, of: bytes) {
      if unfitCounts.last?.name == name {
        unfitCounts[unfitCounts.count - 1].count += 1
      } else {
        unfitCounts.append((name, 1))
      }
    }
  }

  // MARK: Series

  /// The next family begins, or the same one again.
  func rewind() { name = -1 }

  /// Appends series of a family until `page` has `end` bytes; returns whether it has all of them.
  /// `family` is the events' family that they join: omits series that it has too, and histograms
  /// with different buckets.
  func write(
    _ name: Int, beside family: Family?, in registry: Registry, _ points: PointSeries,
    _ writer: any FamilyWriter, to page: inout ByteBuffer, end: Int
  ) -> Bool {
    if name != self.name {
      self.name = name
      block = starts[name]
      metric = 0
      hiddenCount = 0
    }
    var keys = OtherSeries(text(of: name))
    let bounds = family?.pushBounds
    var left = Self.sliceCount
    while block < starts[name + 1] {
      let (group, offset) = blocks[block]
      var isDone = true
      read(group) { bytes in
        guard let pushed = GroupBytes.family(bytes, at: offset) else { return }
        metric = max(metric, pushed.metrics.lowerBound)
        while metric < pushed.metrics.upperBound {
          if page.count >= end || left == 0 { return isDone = false }
          left -= 1
          let next = GroupBytes.metric(bytes, at: metric)
          metric = next.range.upperBound
          let labels = bytes.extracting(next.labels)
          if let bounds, !GroupBytes.hasBounds(next, of: bytes, bounds) {
            hiddenCount += 1
          } else if family != nil, registry.hadSeries(keys.key(labels)) {
            hiddenCount += 1
          } else if format.isOpenMetrics, pushed.type.isHistogram,
            !GroupBytes.hasWholeCounts(next, of: bytes)
          {
            hiddenCount += 1
          } else {
            append(next, of: bytes, pushed.type, points, writer, to: &page)
          }
        }
      }
      guard isDone else { return false }
      metric = 0
      block += 1
    }
    return true
  }

  private func append(
    _ metric: GroupBytes.MetricRecord, of group: RawSpan, _ type: FamilyType, _ points: PointSeries,
    _ writer: any FamilyWriter, to page: inout ByteBuffer
  ) {
    let labels = group.extracting(metric.labels)
    guard type.hasPoints else {
      return writer.number(labels, group.double(at: metric.value), to: &page)
    }
    points.begin(metric, of: group, type)
    guard type.isHistogram else { return writer.summary(labels, points, to: &page) }
    if format == .protobuf { points.native = NativeHistogram(group, metric.native) }
    writer.histogram(labels, points, to: &page)
  }

  // MARK: Times

  /// The families of the groups' times.
  static let times: [(name: StaticString, help: StaticString)] = [
    (
      "push_failure_time_seconds",
      "Last Unix time when changing this group in the Pushgateway failed."
    ),
    (
      "push_time_seconds",
      "Last Unix time when changing this group in the Pushgateway succeeded."
    ),
  ]

  var hasTimes: Bool { groupCount > 0 }

  /// Appends the groups' times from `place` on until `page` has `end` bytes; returns whether it has
  /// all.
  func writeTimes(
    _ family: Int, from place: inout Int, _ writer: any FamilyWriter, to page: inout ByteBuffer,
    end: Int
  ) -> Bool {
    while place < groups.count {
      if page.count >= end { return false }
      if let group = groups[place] {
        let labels = group.key.fullText
        unsafe writer.number(
          labels.span.bytes, family == 0 ? group.times.failed : group.times.pushed, to: &page)
      }
      place += 1
    }
    return true
  }
}
