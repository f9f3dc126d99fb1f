import SidecarPlatform

/// What one body says: families with their metrics, labels already merged with the grouping key's.
///
/// One batch is kept and emptied for each push, so a push of a known shape allocates nothing here.
/// What must stay true: all ranges lie in `bytes`; a metric's labels are sorted by name, escaped as
/// the text format has them and free of duplicates; no two metrics of a family have the same labels.
final class PushBatch {
  struct Family {
    var name: Range<Int>
    /// Escaped as in the text format.
    var help = 0..<0
    var type = FamilyType.untyped
    var hasHelp = false
    var hasType = false
    var firstMetric = -1
    var lastMetric = -1
    var metricCount = 0
    fileprivate var hash: UInt64
  }

  struct Metric {
    var labels: Range<Int>
    var family: Int
    var next = -1
    /// The value, or the sum of a histogram or summary.
    var value = 0.0
    /// The number of observations, histograms and summaries only.
    var count = Double.nan
    var firstPoint = -1
    var lastPoint = -1
    var pointCount = 0
    fileprivate var isSorted = true
    /// What labels of the body gave way to the grouping key's; see `mergeLabels`.
    fileprivate var origin: UInt64
    /// The bytes of a `NativeHistogram`.
    var native = 0..<0
    fileprivate var hash: UInt64
  }

  /// A bucket with its cumulative count, or a quantile with its value.
  struct Point {
    var bound: Double
    var value: Double
    var next = -1
  }

  private(set) var bytes = ByteBuffer(capacity: 4096)
  private(set) var families: [Family] = []
  private(set) var metrics: [Metric] = []
  private(set) var points: [Point] = []
  /// The first thing that makes a readable body inconsistent; nothing of it may be stored.
  private(set) var problem: String?
  private var key = GroupingKey()
  /// Set where the body will be added up: what becomes of its gauges.
  private(set) var adds: GaugeRule?
  private var familySlots = IndexSlots()
  private var metricSlots = IndexSlots()
  private var labels: [Label] = []
  private var hasUnsorted = false

  /// A label of the line being read, as ranges of the body.
  private struct Label {
    var name: Range<Int>
    var value: Range<Int>
    /// The value has to be escaped; otherwise it is the text format's already.
    var isRaw: Bool
  }

  /// Forgets the last body. Labels of `key` go into every metric and win over the body's.
  func begin(_ key: GroupingKey, adds: GaugeRule? = nil) {
    self.key = key
    self.adds = adds
    bytes.removeAll()
    bytes.shrink(to: 1 << 20)
    families.removeAll(keepingCapacity: true)
    metrics.removeAll(keepingCapacity: true)
    points.removeAll(keepingCapacity: true)
    labels.removeAll(keepingCapacity: true)
    problem = nil
    hasUnsorted = false
    familySlots.removeAll()
    metricSlots.removeAll()
  }

  func note(_ problem: @autoclosure () -> String) {
    if self.problem == nil { self.problem = problem() }
  }

  // MARK: Families

  func findFamily(_ name: RawSpan) -> Int? {
    if let last = families.last, ByteCompare.equal(bytes.bytes.extracting(last.name), name) {
      return families.count - 1
    }
    let hash = HashKey.process.hash(name)
    var probe = familySlots.probe(hash)
    while let index = familySlots.next(&probe) {
      let family = families[index]
      if family.hash == hash, ByteCompare.equal(bytes.bytes.extracting(family.name), name) {
        return index
      }
    }
    return nil
  }

  /// The family called `name`, made if it is new.
  func family(_ name: RawSpan) -> Int {
    if let known = findFamily(name) { return known }
    let hash = HashKey.process.hash(name)
    families.append(Family(name: append(name), hash: hash))
    let index = families.count - 1
    familySlots.add(hash, index) { families[$0].hash }
    return index
  }

  /// What a sample's name says it is of its family.
  enum Part { case whole, bucket, sum, count }

  /// The family of a sample's line: `a_sum` is one of the histogram `a`, if there is no `a_sum`.
  func sampleFamily(_ name: RawSpan) -> (family: Int, part: Part) {
    if let known = findFamily(name) { return (known, .whole) }
    for (suffix, part) in Self.suffixes {
      let count = name.byteCount - suffix.utf8CodeUnitCount
      guard count > 0, name.extracting(count..<name.byteCount).isEqual(to: suffix),
        let base = findFamily(name.extracting(0..<count))
      else { continue }
      let type = families[base].type
      if type == .histogram || type == .summary && part != .bucket { return (base, part) }
    }
    return (family(name), .whole)
  }

  private static let suffixes: [(StaticString, Part)] = [
    ("_bucket", .bucket), ("_sum", .sum), ("_count", .count),
  ]

  func setHelp(_ family: Int, _ help: RawSpan) {
    families[family].help = append(help)
    families[family].hasHelp = true
  }

  func setType(_ family: Int, _ type: FamilyType) {
    families[family].type = type
    families[family].hasType = true
  }

  func name(_ family: Int) -> String {
    text(families[family].name)
  }

  private func append(_ span: RawSpan) -> Range<Int> {
    let start = bytes.count
    bytes.append(span)
    return start..<bytes.count
  }

  // MARK: Labels

  func addLabel(name: Range<Int>, value: Range<Int>, isRaw: Bool) {
    labels.append(Label(name: name, value: value, isRaw: isRaw))
  }

  var labelCount: Int { labels.count }

  /// Sorts the line's labels, merges them with the grouping key's and appends the result.
  /// The ranges given to `addLabel` were of `body`.
  ///
  /// `origin` is a digest of the labels that gave way: lines of a histogram or summary that differ in
  /// those alone were two series where they come from, which would become one here.
  private func mergeLabels(_ body: RawSpan) -> (labels: Range<Int>, origin: UInt64) {
    var origin: UInt64 = 0
    for index in 0..<labels.count {
      var at = index
      while at > 0, body.order(labels[at - 1].name, body, labels[at].name) > 0 {
        labels.swapAt(at - 1, at)
        at -= 1
      }
    }
    let start = bytes.count
    let keyBytes = key.bytes
    var next = 0
    for label in labels {
      var isOverridden = false
      while next < key.labels.count {
        let own = key.labels[next]
        let order = unsafe keyBytes.span.bytes.order(own.name, body, label.name)
        if order > 0 { break }
        if order == 0 {
          isOverridden = !own.isDefault
          if own.isDefault { next += 1 }
          let key = HashKey.process
          origin = key.fold(origin, key.hash(body.extracting(label.name)))
          origin = key.fold(origin, key.hash(body.extracting(label.value)))
          break
        }
        appendKeyLabel(keyBytes, own.text, start)
        next += 1
      }
      if !isOverridden { appendBodyLabel(label, body, start) }
    }
    while next < key.labels.count {
      appendKeyLabel(keyBytes, key.labels[next].text, start)
      next += 1
    }
    labels.removeAll(keepingCapacity: true)
    return (start..<bytes.count, origin)
  }

  /// Whether the line's labels have this name already. They are few: parsers see to that first.
  func hasLabel(_ name: Range<Int>, in body: RawSpan) -> Bool {
    let wanted = body.extracting(name)
    for label in labels where ByteCompare.equal(body.extracting(label.name), wanted) {
      return true
    }
    return false
  }

  private func appendKeyLabel(_ keyBytes: [UInt8], _ text: Range<Int>, _ start: Int) {
    if bytes.count > start { bytes.append(UInt8(ascii: ",")) }
    unsafe bytes.append(keyBytes.span.bytes.extracting(text))
  }

  private func appendBodyLabel(_ label: Label, _ body: RawSpan, _ start: Int) {
    if bytes.count > start { bytes.append(UInt8(ascii: ",")) }
    bytes.append(body.extracting(label.name))
    bytes.append("=\"")
    let value = body.extracting(label.value)
    if label.isRaw { LabelText.appendEscaped(value, to: &bytes) } else { bytes.append(value) }
    bytes.append(UInt8(ascii: "\""))
  }

  // MARK: Metrics

  /// A metric with the labels added since the last one; one that is there already is a problem.
  func addMetric(_ family: Int, _ body: RawSpan) -> Int {
    let (index, isNew) = metric(family, body)
    if !isNew { noteDuplicate(index) }
    return index
  }

  /// The metric of `family` with the labels added since the last one, made if it is new.
  func metric(_ family: Int, _ body: RawSpan) -> (index: Int, isNew: Bool) {
    let (labels, origin) = mergeLabels(body)
    let last = families[family].lastMetric
    if last >= 0, isEqual(metrics[last].labels, labels) {
      bytes.truncate(to: labels.lowerBound)
      if metrics[last].origin != origin { noteDuplicate(last) }
      return (last, false)
    }
    let hash = HashKey.process.fold(
      HashKey.process.hash(bytes.bytes.extracting(labels)), UInt64(truncatingIfNeeded: family))
    var probe = metricSlots.probe(hash)
    while let index = metricSlots.next(&probe) {
      let metric = metrics[index]
      if metric.hash == hash, metric.family == family, isEqual(metric.labels, labels) {
        bytes.truncate(to: labels.lowerBound)
        if metric.origin != origin { noteDuplicate(index) }
        return (index, false)
      }
    }
    let index = metrics.count
    metrics.append(Metric(labels: labels, family: family, origin: origin, hash: hash))
    metricSlots.add(hash, index) { metrics[$0].hash }
    if last >= 0 { metrics[last].next = index } else { families[family].firstMetric = index }
    families[family].lastMetric = index
    families[family].metricCount += 1
    if families[family].type.hasPoints { checkPointLabel(index) }
    return (index, true)
  }

  /// A label `le` of a histogram would stand twice in its lines, and so a summary's `quantile`: a page
  /// with that is refused whole.
  private func checkPointLabel(_ metric: Int) {
    let name: StaticString =
      families[metrics[metric].family].type == .summary ? "quantile" : "le"
    if LabelText.has(name, bytes.bytes.extracting(metrics[metric].labels)) {
      note("\(describe(metric)) has a label \(name) of its own")
    }
  }

  private func isEqual(_ a: Range<Int>, _ b: Range<Int>) -> Bool {
    bytes.areEqual(a, b)
  }

  func setValue(_ metric: Int, _ value: Double) { metrics[metric].value = value }
  func setSum(_ metric: Int, _ sum: Double) { metrics[metric].value = sum }
  func setCount(_ metric: Int, _ count: Double) { metrics[metric].count = count }

  func setNative(_ metric: Int, _ native: NativeHistogram) {
    let start = bytes.count
    native.append(to: &bytes)
    metrics[metric].native = start..<bytes.count
  }

  /// Adds a bucket or quantile. They are in the order of their bounds once `finish` has been called.
  func addPoint(_ metric: Int, bound: Double, value: Double) {
    let index = points.count
    points.append(Point(bound: bound, value: value))
    metrics[metric].pointCount += 1
    let last = metrics[metric].lastPoint
    metrics[metric].lastPoint = index
    guard last >= 0 else { return metrics[metric].firstPoint = index }
    points[last].next = index
    if !(points[last].bound < bound) {
      metrics[metric].isSorted = false
      hasUnsorted = true
    }
  }

  /// Ends the body.
  func finish() {
    guard hasUnsorted else { return }
    hasUnsorted = false
    for metric in metrics.indices where !metrics[metric].isSorted { sortPoints(metric) }
  }

  /// For the rare metric whose bounds do not rise.
  private func sortPoints(_ metric: Int) {
    metrics[metric].isSorted = true
    var rest = metrics[metric].firstPoint
    var at = sorted(&rest, metrics[metric].pointCount)
    metrics[metric].firstPoint = at
    while points[at].next >= 0 {
      let next = points[at].next
      if points[next].bound == points[at].bound { note("\(describe(metric)) has a bound twice") }
      at = next
    }
    metrics[metric].lastPoint = at
  }

  /// Takes `count` points from the list `rest`, and gives the first of them as a sorted list.
  private func sorted(_ rest: inout Int, _ count: Int) -> Int {
    if count == 1 {
      let point = rest
      rest = points[point].next
      points[point].next = -1
      return point
    }
    var left = sorted(&rest, count / 2)
    var right = sorted(&rest, count - count / 2)
    var first = -1
    var last = -1
    while left >= 0 || right >= 0 {
      let isLeft = right < 0 || left >= 0 && points[left].bound <= points[right].bound
      let point = isLeft ? left : right
      if isLeft { left = points[point].next } else { right = points[point].next }
      if last >= 0 { points[last].next = point } else { first = point }
      last = point
    }
    points[last].next = -1
    return first
  }

  func noteDuplicate(_ metric: Int) { note("\(describe(metric)) is there twice") }

  func describe(_ metric: Int) -> String {
    "\(name(metrics[metric].family)){\(text(metrics[metric].labels))}"
  }

  private func text(_ range: Range<Int>) -> String {
    bytes.text(range)
  }
}

extension ByteBuffer {
  func areEqual(_ a: Range<Int>, _ b: Range<Int>) -> Bool {
    ByteCompare.equal(bytes.extracting(a), bytes.extracting(b))
  }

  func text(_ range: Range<Int>) -> String { String(copying: bytes.extracting(range)) }
}
