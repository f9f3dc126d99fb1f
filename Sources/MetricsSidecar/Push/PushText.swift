import SidecarPlatform

/// Pushed groups of one moment in text format 0.0.4, some series a call. Families of one name in
/// several groups become one.
///
/// What must stay true: every group is shown as it was at that moment. One that changes meanwhile
/// leaves what it had in its `PushGroup` here; the others still have it in the file. One such text at
/// a time.
final class PushText {
  private let store: PushStore
  private let format: PageFormat
  let groups: [PushGroup?]
  private let now: PushMoment
  private let groupCount: Int
  /// The blocks of each name, one after the other: where each name's start, and where each is.
  private let starts: [Int]
  private var next: [Int]
  private var blocks: [(group: Int, offset: Int)]
  /// Groups whose families are among the blocks.
  private var sortedCount = 0
  /// The family being written, its block, and the next metric there; 0 before the first.
  private var name = -1
  private var block = 0
  private var metric = 0
  /// Series of the family that were left out.
  private(set) var hiddenCount = 0
  /// How far `look(at:_:)` is in its family.
  private var looked = (block: 0, metric: 0)
  /// How far the groups' times are: both of their families, one after the other.
  private var time = 0

  /// Series looked at in one call: they cost time where they are left out, too.
  private static let sliceCount = 1024

  /// Takes the moment: groups whose time has come are not in it any more.
  init(_ store: PushStore, now: PushMoment, format: PageFormat = .text004) {
    store.beginReading()
    self.store = store
    self.format = format
    self.now = now
    groups = store.liveGroups(now.steady)
    // Not by the names' own counts: a push may be in the middle of changing those.
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

  /// When a group's time to live is over, in Unix seconds.
  func expiry(of group: PushGroup) -> Double { now.unix + group.deadline - now.steady }

  deinit { store.endReading() }

  // MARK: Names

  /// Sorts the groups' families by name: about `left` of them, which it counts down. Whether all are
  /// sorted, as they have to be for what follows.
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

  /// Names by number, some of which no group had.
  var nameCount: Int { starts.count - 1 }

  /// How many groups had it.
  func groupCount(of name: Int) -> Int { starts[name + 1] - starts[name] }

  func text(of name: Int) -> [UInt8] { store.names.entries[name].name }

  /// The number of a name that groups had.
  func find(_ name: [UInt8]) -> Int? {
    guard let index = unsafe store.names.find(name.span.bytes), index < nameCount,
      groupCount(of: index) > 0
    else { return nil }
    return index
  }

  /// The type of a family that groups had.
  func type(of name: Int) -> FamilyType {
    var type = FamilyType.untyped
    let (group, offset) = blocks[starts[name]]
    read(group) { bytes in
      if let family = GroupBytes.family(bytes, at: offset) { type = family.type }
    }
    return type
  }

  /// How many series of the name there were.
  func seriesCount(of name: Int) -> Int {
    var count = 0
    for block in blocks[starts[name]..<starts[name + 1]] {
      read(block.group) { bytes in
        count += GroupBytes.family(bytes, at: block.offset)?.metricCount ?? 0
      }
    }
    return count
  }

  /// The bytes that a group had.
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

  // MARK: What OpenMetrics has no lines for

  /// Counters some series of which are NaN or below 0.
  private(set) var oddCounters: Set<Int> = []
  /// Series that are left out, by name.
  private(set) var unfitCounts: [(name: Int, count: Int)] = []

  /// Looks for what OpenMetrics has no lines for in a family: about `left` numbers, which it counts
  /// down. Whether that was all of it.
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
    _ metric: GroupBytes.Metric, of bytes: RawSpan, _ type: FamilyType, _ name: Int
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

  // MARK: Families

  /// Appends lines of a family until `page` has `end` bytes; whether it has all of them. `family` is
  /// that of the events whose head they stand under: series that it has too are left out, and
  /// histograms with other buckets than its.
  func write(
    _ name: Int, hasHead: Bool, beside family: Family? = nil, in registry: Registry? = nil,
    to page: inout ByteBuffer, end: Int
  ) -> Bool {
    if name != self.name {
      self.name = name
      block = starts[name]
      metric = 0
      hiddenCount = 0
    }
    var lines = PushedLines(text(of: name), format, isOdd: oddCounters.contains(name))
    let bounds = family?.pushBounds
    var left = Self.sliceCount
    while block < starts[name + 1] {
      let isFirst = hasHead && block == starts[name] && metric == 0
      let (group, offset) = blocks[block]
      var isDone = true
      read(group) { bytes in
        guard let family = GroupBytes.family(bytes, at: offset) else { return }
        if isFirst { lines.head(bytes.extracting(family.help), family.type, to: &page) }
        metric = max(metric, family.metrics.lowerBound)
        while metric < family.metrics.upperBound {
          if page.count >= end || left == 0 {
            isDone = false
            return
          }
          left -= 1
          let next = GroupBytes.metric(bytes, at: metric)
          metric = next.range.upperBound
          if let bounds, !GroupBytes.hasBounds(next, of: bytes, bounds) {
            hiddenCount += 1
          } else if let registry,
            registry.hadSeries(lines.series.key(bytes.extracting(next.labels)))
          {
            hiddenCount += 1
          } else if lines.leavesOut(next, of: bytes, family.type) {
            hiddenCount += 1
          } else {
            lines.append(next, of: bytes, family.type, to: &page)
          }
        }
      }
      guard isDone else { return false }
      metric = 0
      block += 1
    }
    return true
  }

  // MARK: Times

  static let pushedHelp: StaticString =
    "Last Unix time when changing this group in the Pushgateway succeeded."
  static let failedHelp: StaticString =
    "Last Unix time when changing this group in the Pushgateway failed."
  static let pushedName: StaticString = "push_time_seconds"
  static let failedName: StaticString = "push_failure_time_seconds"

  /// Whether the page has the families of the groups' times.
  var hasTimes: Bool { groupCount > 0 }

  /// Appends lines of the groups' times until `page` has `end` bytes; whether it has all of them.
  func writeTimes(to page: inout ByteBuffer, end: Int) -> Bool {
    guard hasTimes else { return true }
    while time < 2 * groups.count {
      if page.count >= end { return false }
      let isFailure = time < groups.count
      let name = isFailure ? Self.failedName : Self.pushedName
      let place = isFailure ? time : time - groups.count
      if place == 0 {
        page.append("# HELP ")
        page.append(name)
        page.append(UInt8(ascii: " "))
        page.append(isFailure ? Self.failedHelp : Self.pushedHelp)
        page.append("\n# TYPE ")
        page.append(name)
        page.append(" gauge\n")
      }
      time += 1
      guard let group = groups[place] else { continue }
      page.append(name)
      page.append(UInt8(ascii: "{"))
      page.append(group.key.fullText)
      page.append("} ")
      NumberFormat.append(isFailure ? group.times.failed : group.times.pushed, to: &page)
      page.append(UInt8(ascii: "\n"))
    }
    return true
  }
}
