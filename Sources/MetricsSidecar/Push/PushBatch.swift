import SidecarPlatform

/// The content of one body: families with their metrics, labels already merged with the grouping
/// key's.
///
/// One batch is kept and emptied for each push, so a push of a known shape allocates nothing here.
/// What must stay true: all ranges are within `bytes`; a metric's labels are sorted by name,
/// escaped as in the text format and free of duplicates; no two metrics of a family have the same
/// labels.
final class PushBatch {
  var bytes = ByteBuffer(capacity: 4096)
  private(set) var families: [PushedFamily] = []
  private(set) var metrics: [PushedMetric] = []
  var points: [Point] = []
  var pointLists: [Points] = []
  /// The first inconsistency in a readable body; nothing of the body may be stored.
  private(set) var problem: String?
  var key = GroupingKey()
  /// Set if the body will be added up: how its gauges are merged.
  private(set) var adds: GaugeRule?
  private var familyIndex = HashIndex()
  private var metricIndex = HashIndex()
  var labels: [Label] = []
  var hasUnsorted = false

  /// A label of the line being read, as ranges of the body.
  struct Label {
    var name: Range<Int>
    var value: Range<Int>
    /// Whether the value must be escaped; otherwise it is in the text format already.
    var isRaw: Bool
  }

  /// Forgets the last body. Labels of `key` are added to every metric and override the body's.
  func begin(_ key: GroupingKey, adds: GaugeRule? = nil) {
    self.key = key
    self.adds = adds
    bytes.removeAll()
    families.removeAll(keepingCapacity: true)
    metrics.removeAll(keepingCapacity: true)
    points.removeAll(keepingCapacity: true)
    pointLists.removeAll(keepingCapacity: true)
    labels.removeAll(keepingCapacity: true)
    problem = nil
    hasUnsorted = false
    familyIndex.removeAll()
    metricIndex.removeAll()
  }

  /// Forgets the body, and releases the memory of a large one.
  func trim() {
    guard heldByteCount > Self.keptByteCount else { return }
    begin(GroupingKey())
    bytes.shrink(to: 4096)
    families = []
    metrics = []
    points = []
    pointLists = []
  }

  /// The memory kept from one push to the next, so that pushes of a known shape allocate nothing.
  static let keptByteCount = 256 << 10

  /// The memory of its parts.
  var heldByteCount: Int {
    bytes.capacity + families.capacity * MemoryLayout<PushedFamily>.stride
      + metrics.capacity * MemoryLayout<PushedMetric>.stride
      + points.capacity * MemoryLayout<Point>.stride
      + pointLists.capacity * MemoryLayout<Points>.stride
  }

  /// Refuses a body that exceeds the space of all groups or of one, before all of it is read.
  @inline(__always)
  func check(_ limits: PushLimits) throws(PushError) {
    if metrics.count > limits.series || bytes.count > limits.groupByteCount {
      throw tooLarge(limits)
    }
  }

  @inline(never)
  private func tooLarge(_ limits: PushLimits) -> PushError {
    metrics.count > limits.series
      ? PushError(
        joined(
          metrics.count.description, " pushed series would be more than the limit of ",
          limits.series.description),
        status: 507)
      : PushError(
        joined(
          "the group would have more than ", limits.groupByteCount.description,
          " bytes, with the labels of its path"),
        status: 507)
  }

  func note(_ problem: @autoclosure () -> String) {
    if self.problem == nil { self.problem = problem() }
  }

  // MARK: Families

  func findFamily(_ name: RawSpan) -> Int? {
    if let last = families.last, ByteCompare.equal(bytes.bytes.extracting(last.name), name) {
      return families.count - 1
    }
    return findFamily(name, SeriesHash.family(name))
  }

  private func findFamily(_ name: RawSpan, _ hash: UInt64) -> Int? {
    familyIndex.find(at: hash) { place in
      let family = families[place]
      guard family.hash == hash else { return false }
      return bytes.isEqual(family.name, name)
    }
  }

  /// The family called `name`, created if it is new.
  func family(_ name: RawSpan) -> Int {
    if let last = families.last, ByteCompare.equal(bytes.bytes.extracting(last.name), name) {
      return families.count - 1
    }
    let hash = SeriesHash.family(name)
    if let known = findFamily(name, hash) { return known }
    families.append(PushedFamily(namePlace: Place(append(name)), hash: hash))
    let index = families.count - 1
    familyIndex.insert(hash, at: index)
    return index
  }

  /// The family of a sample's line: `a_sum` is one of the histogram `a`, if there is no `a_sum`.
  func sampleFamily(_ name: RawSpan) -> (family: Int, part: SampleNames.Part) {
    if let known = findFamily(name) { return (known, .whole) }
    for part in SampleNames.parts where part != .created {
      let count = name.byteCount - part.ending.utf8CodeUnitCount
      guard count > 0, name.extracting(count..<name.byteCount).isEqual(to: part.ending),
        let base = findFamily(name.extracting(0..<count))
      else { continue }
      let type = families[base].type
      if type != .gaugeHistogram, part.isOf(type) { return (base, part) }
    }
    return (family(name), .whole)
  }

  func setHelp(_ family: Int, _ help: RawSpan) {
    families[family].helpPlace = Place(append(help))
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

  // MARK: Metrics

  /// A metric with the labels added since the last one; a duplicate is a problem.
  func addMetric(_ family: Int, _ body: RawSpan) -> Int {
    let (index, isNew) = metric(family, body)
    if !isNew { noteDuplicate(index) }
    return index
  }

  /// The metric of `family` with the labels added since the last one, created if it is new.
  func metric(_ family: Int, _ body: RawSpan) -> (index: Int, isNew: Bool) {
    let (labels, digest) = mergeLabels(body)
    let origin = UInt32(truncatingIfNeeded: digest)
    let last = Int(families[family].last)
    if last >= 0, isEqual(metrics[last].labels, labels) {
      bytes.truncate(to: labels.lowerBound)
      if metrics[last].origin != origin { noteDuplicate(last) }
      return (last, false)
    }
    let hash = SeriesHash.series(bytes.bytes.extracting(labels), of: families[family].hash)
    let known = metricIndex.find(at: hash) {
      let metric = metrics[$0]
      return metric.hash == hash && metric.family == family && isEqual(metric.labels, labels)
    }
    if let known {
      bytes.truncate(to: labels.lowerBound)
      if metrics[known].origin != origin { noteDuplicate(known) }
      return (known, false)
    }
    let index = metrics.count
    let number = Int32(index)
    metrics.append(
      PushedMetric(
        labelPlace: Place(labels), familyIndex: Int32(family), hash: hash, origin: origin))
    metricIndex.insert(hash, at: index)
    if last >= 0 { metrics[last].nextIndex = number } else { families[family].first = number }
    families[family].last = number
    families[family].count += 1
    if families[family].type.hasPoints {
      metrics[index].points = Int32(pointLists.count)
      pointLists.append(Points(metric: index))
      checkPointLabel(index)
    }
    return (index, true)
  }

  /// A label `le` of a histogram would occur twice in its lines, and so would a summary's
  /// `quantile`: Prometheus refuses a whole exposition with that.
  private func checkPointLabel(_ metric: Int) {
    let name: StaticString =
      families[metrics[metric].family].type == .summary ? "quantile" : "le"
    if Labels.has(name, bytes.bytes.extracting(metrics[metric].labels)) {
      note(joined(describe(metric), " has a label ", name.description, " of its own"))
    }
  }

  private func isEqual(_ a: Range<Int>, _ b: Range<Int>) -> Bool {
    bytes.areEqual(a, b)
  }

  func setValue(_ metric: Int, _ value: Double) { metrics[metric].value = value }
  func setSum(_ metric: Int, _ sum: Double) { metrics[metric].value = sum }
  func setCount(_ metric: Int, _ count: Double) {
    pointLists[Int(metrics[metric].points)].count = count
  }

  /// The points of a histogram or summary.
  func pointList(_ metric: Int) -> Points { pointLists[Int(metrics[metric].points)] }

  func setNative(_ metric: Int, _ native: NativeHistogram) {
    let start = bytes.count
    native.append(to: &bytes)
    pointLists[Int(metrics[metric].points)].native = start..<bytes.count
  }

  func noteDuplicate(_ metric: Int) { note(joined(describe(metric), " is there twice")) }

  func describe(_ metric: Int) -> String {
    joined(name(metrics[metric].family), "{", text(metrics[metric].labels), "}")
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
