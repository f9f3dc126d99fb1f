import Platform

/// Pushed groups in text format 0.0.4. Families of one name in several groups become one.
struct PushText {
  private let store: PushStore
  /// Native histograms' buckets are written too, in lines that only `TextFamilies` reads.
  private let hasNative: Bool
  /// The blocks of each name, one after the other: where each name's start, and where each is.
  private var starts: [Int]
  private var blocks: [(group: Int, offset: Int)]

  /// Removes what has expired and sorts the groups' families by name.
  init(_ store: PushStore, now: Double, hasNative: Bool = false) {
    store.expire(now)
    self.store = store
    self.hasNative = hasNative
    starts = [Int](repeating: 0, count: store.names.entries.count + 1)
    for group in store.groups {
      guard let group else { continue }
      for family in group.families { starts[family.name + 1] += 1 }
    }
    for name in 1..<max(1, starts.count) { starts[name] += starts[name - 1] }
    var next = starts
    blocks = [(group: Int, offset: Int)](
      repeating: (0, 0), count: starts.last ?? 0)
    for place in store.groups.indices {
      guard let group = store.groups[place] else { continue }
      for family in group.families {
        blocks[next[family.name]] = (place, family.offset)
        next[family.name] += 1
      }
    }
  }

  /// Appends all families but those that stand elsewhere on the page.
  func append(to page: inout ByteBuffer, except others: Set<[UInt8]> = []) {
    for name in store.names.entries.indices where starts[name] < starts[name + 1] {
      if others.isEmpty || !others.contains(store.names.entries[name].name) {
        appendFamily(name, hasHead: true, to: &page)
      }
    }
    appendTimes(to: &page)
  }

  /// The type of a family that was pushed.
  func type(of name: [UInt8]) -> PushType? { unsafe store.names.type(of: name.span.bytes) }

  /// A family's lines without its head, and how many of its series were left out: those that `others`
  /// have too, and histograms with other buckets than theirs.
  func samples(
    of name: [UInt8], beside others: (any OtherFamilies)? = nil
  ) -> (lines: [UInt8], hiddenCount: Int) {
    guard let index = unsafe store.names.find(name.span.bytes) else { return ([], 0) }
    var lines = ByteBuffer()
    let hiddenCount = appendFamily(index, hasHead: false, beside: others, to: &lines)
    return (lines.array, hiddenCount)
  }

  /// How many series of the name were pushed.
  func seriesCount(of name: [UInt8]) -> Int {
    guard let index = unsafe store.names.find(name.span.bytes) else { return 0 }
    let file = store.file
    var count = 0
    for block in blocks[starts[index]..<starts[index + 1]] {
      guard let key = store.groups[block.group]?.key else { continue }
      let group = file.group(key.identity)
      count += GroupBytes.family(group, at: block.offset)?.metricCount ?? 0
    }
    return count
  }

  @discardableResult
  private func appendFamily(
    _ name: Int, hasHead: Bool, beside others: (any OtherFamilies)? = nil,
    to page: inout ByteBuffer
  ) -> Int {
    var hiddenCount = 0
    let entry = store.names.entries[name]
    let bounds = others?.bounds(of: entry.name)
    var series = OtherSeries(entry.name)
    let file = store.file
    for block in starts[name]..<starts[name + 1] {
      let (place, offset) = blocks[block]
      guard let key = store.groups[place]?.key else { continue }
      let group = file.group(key.identity)
      guard let family = GroupBytes.family(group, at: offset) else { continue }
      if block == starts[name], hasHead {
        appendHead(
          entry.name, group.extracting(family.help), family.type, to: &page)
      }
      var at = family.metrics.lowerBound
      while at < family.metrics.upperBound {
        let metric = GroupBytes.metric(group, at: at)
        at = metric.range.upperBound
        if let bounds, !GroupBytes.hasBounds(metric, of: group, bounds) {
          hiddenCount += 1
        } else if let others, others.hasSeries(series.key(group.extracting(metric.labels))) {
          hiddenCount += 1
        } else {
          append(metric, of: group, entry.name, family.type, to: &page)
        }
      }
    }
    return hiddenCount
  }

  private func appendHead(
    _ name: [UInt8], _ help: RawSpan, _ type: PushType, to page: inout ByteBuffer
  ) {
    if help.byteCount > 0 {
      page.append("# HELP ")
      page.append(name)
      page.append(UInt8(ascii: " "))
      page.append(help)
      page.append(UInt8(ascii: "\n"))
    }
    page.append("# TYPE ")
    page.append(name)
    page.append(UInt8(ascii: " "))
    // Text formats know no gauge histograms, as with the official clients.
    if type == .gaugeHistogram {
      page.append(hasNative ? "gaugehistogram" : "histogram")
    } else {
      page.append(type.text)
    }
    page.append(UInt8(ascii: "\n"))
  }

  private func append(
    _ metric: GroupBytes.Metric, of group: RawSpan, _ name: [UInt8], _ type: PushType,
    to page: inout ByteBuffer
  ) {
    let labels = group.extracting(metric.labels)
    guard type.hasPoints else {
      Self.appendLine(name, "", labels, group.double(at: metric.value), to: &page)
      return
    }
    for point in 0..<metric.pointCount {
      page.append(name)
      if type.isHistogram { page.append("_bucket") }
      page.append(UInt8(ascii: "{"))
      page.append(labels)
      page.append(type.isHistogram ? ",le=\"" : ",quantile=\"")
      NumberFormat.append(group.double(at: metric.bound(point)), to: &page)
      page.append("\"} ")
      NumberFormat.append(group.double(at: metric.pointValue(point)), to: &page)
      page.append(UInt8(ascii: "\n"))
    }
    Self.appendLine(name, "_sum", labels, group.double(at: metric.value), to: &page)
    let count = group.double(at: metric.count)
    if hasNative, let native = NativeHistogram(group, metric.native) {
      NativeLine.append(native, count, to: &page)
    }
    Self.appendLine(name, "_count", labels, count, to: &page)
  }

  private static func appendLine(
    _ name: [UInt8], _ suffix: StaticString, _ labels: RawSpan, _ value: Double,
    to page: inout ByteBuffer
  ) {
    page.append(name)
    page.append(suffix)
    page.append(UInt8(ascii: "{"))
    page.append(labels)
    page.append("} ")
    NumberFormat.append(value, to: &page)
    page.append(UInt8(ascii: "\n"))
  }

  // MARK: Times

  static let pushedHelp: StaticString =
    "Last Unix time when changing this group in the Pushgateway succeeded."
  static let failedHelp: StaticString =
    "Last Unix time when changing this group in the Pushgateway failed."

  private func appendTimes(to page: inout ByteBuffer) {
    guard store.groupCount > 0 else { return }
    page.append("# HELP push_failure_time_seconds ")
    page.append(Self.failedHelp)
    page.append("\n# TYPE push_failure_time_seconds gauge\n")
    for group in store.groups {
      guard let group else { continue }
      appendTime("push_failure_time_seconds", group.key, group.times.failed, to: &page)
    }
    page.append("# HELP push_time_seconds ")
    page.append(Self.pushedHelp)
    page.append("\n# TYPE push_time_seconds gauge\n")
    for group in store.groups {
      guard let group else { continue }
      appendTime("push_time_seconds", group.key, group.times.pushed, to: &page)
    }
  }

  private func appendTime(
    _ name: StaticString, _ key: GroupingKey, _ value: Double, to page: inout ByteBuffer
  ) {
    page.append(name)
    page.append(UInt8(ascii: "{"))
    page.append(key.fullText)
    page.append("} ")
    NumberFormat.append(value, to: &page)
    page.append(UInt8(ascii: "\n"))
  }
}
