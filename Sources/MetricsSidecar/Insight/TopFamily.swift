import SidecarPlatform

/// A family in an exposition of /metrics, for `top`: its cost, and the tag that makes it large.
final class TopFamily {
  let name: [UInt8]
  let type: [UInt8]
  var seriesCount = 0
  /// The bytes of its lines, including the `#` ones.
  var byteCount = 0
  /// The count of its events: the sum of its counters, or its observations; NaN for a gauge.
  var total = Double.nan
  /// The same per second; NaN if it cannot be known.
  var rate = Double.nan
  /// Each label, and its number of values.
  private var labels: [[UInt8]] = []
  private var valueCounts: [Int] = []
  private var values: Set<UInt64> = []

  init(name: [UInt8], type: [UInt8], byteCount: Int) {
    self.name = name
    self.type = type
    self.byteCount = byteCount
  }

  /// Whether it is one of the sidecar's own.
  var isOwn: Bool {
    name.starts(with: Array("metrics_sidecar_".utf8)) || name.starts(with: Array("process_".utf8))
  }

  /// The label with the most values, and their number; 0 if it has none.
  var widest: (name: [UInt8], count: Int) {
    var found = (name: [UInt8](), count: 0)
    for index in labels.indices where valueCounts[index] > found.count {
      found = (labels[index], valueCounts[index])
    }
    return found
  }

  /// Whether its lines are buckets or quantiles, `_sum` and `_count`.
  private var isDistribution: Bool {
    type.first == UInt8(ascii: "h") || type.first == UInt8(ascii: "s")
  }

  /// The families of an exposition in text 0.0.4, in its order.
  static func read(_ page: RawSpan) -> [TopFamily] {
    var families: [TopFamily] = []
    var headByteCount = 0
    var start = 0
    while start < page.byteCount {
      let end = page.index(of: "\n", from: start)
      let line = page.extracting(start..<end)
      start = end + 1
      if line.starts(with: "# TYPE ") {
        let nameEnd = line.index(of: " ", from: 7)
        families.append(
          TopFamily(
            name: SeriesKey.array(line.extracting(7..<nameEnd)),
            type: SeriesKey.array(line.extracting(min(nameEnd + 1, line.byteCount)...)),
            byteCount: headByteCount + line.byteCount + 1))
        headByteCount = 0
      } else if line.starts(with: "#") {
        headByteCount = line.byteCount + 1
      } else {
        families.last?.take(line)
      }
    }
    return families
  }

  private func take(_ line: RawSpan) {
    byteCount += line.byteCount + 1
    // A bucket's line is not a series of its own, nor is a sum's.
    if isDistribution, !line.extracting(min(name.count, line.byteCount)...).starts(with: "_count") {
      return
    }
    seriesCount += 1
    var at = min(line.index(of: "{", from: 0), line.index(of: " ", from: 0))
    if at < line.byteCount, line.at(at) == UInt8(ascii: "{") { takeLabels(line, &at) }
    let end = line.index(of: " ", from: at + 1)
    guard at < end, type.first == UInt8(ascii: "c") || isDistribution else { return }
    let value = Decimal.parse(line.extracting(at + 1..<end))
    total = total.isNaN ? value : total + value
  }

  /// Parses `{a="b",c="d"}` and moves `at` past it.
  private func takeLabels(_ line: RawSpan, _ at: inout Int) {
    while at < line.byteCount, line.at(at) != UInt8(ascii: "}") {
      let start = at + 1
      let equals = line.index(of: "=", from: start)
      guard equals + 2 <= line.byteCount else { return at = line.byteCount }
      let name = SeriesKey.array(line.extracting(start..<equals))
      at = equals + 2
      while at < line.byteCount, line.at(at) != UInt8(ascii: "\"") {
        at += line.at(at) == UInt8(ascii: "\\") ? 2 : 1
      }
      let value = line.extracting(equals..<min(at, line.byteCount))
      at += 1
      var label = 0
      while label < labels.count, labels[label] != name { label += 1 }
      if label == labels.count {
        labels.append(name)
        valueCounts.append(0)
      }
      let hash = HashKey.process.fold(HashKey.process.hash(value), UInt64(label))
      if values.insert(hash).inserted { valueCounts[label] += 1 }
    }
    at += 1
  }
}
