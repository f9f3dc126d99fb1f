import SidecarPlatform

/// The answer to `GET /api/v1/metrics`: all groups of one moment as JSON, some series per call.
/// https://github.com/prometheus/pushgateway#query-api
final class GroupsJSON {
  private let moment: PushedFamilies
  private var hasBegun = false
  /// The group being written, its family, and the next metric there; 0 before the first.
  private var place = 0
  private var hasHead = false
  private var family = 0
  private var metric = 0
  private var isFirst = true

  init(_ moment: PushedFamilies) { self.moment = moment }

  /// Appends about `byteCount` bytes, or the rest. Returns whether that is all.
  func write(into page: inout ByteBuffer, byteCount: Int) -> Bool {
    let end = page.count + byteCount
    if !hasBegun { page.append("{\"status\":\"success\",\"data\":[") }
    hasBegun = true
    while place < moment.groups.count {
      if let group = moment.groups[place] {
        if !hasHead { head(group, to: &page) }
        hasHead = true
        while family < group.families.count {
          var isDone = true
          let offset = group.families[family].offset
          moment.read(place) { isDone = writeFamily($0, offset, to: &page, end: end) }
          guard isDone else { return false }
          family += 1
          metric = 0
        }
        page.append("}")
        isFirst = false
      }
      place += 1
      hasHead = false
      family = 0
    }
    page.append("]}")
    return true
  }

  private func head(_ group: PushGroup, to page: inout ByteBuffer) {
    let identity = group.key.identity.bytes
    let times = group.times
    if !isFirst { page.append(",") }
    page.append("{\"labels\":")
    unsafe JSONText.append(labels: identity.span.bytes, to: &page)
    page.append(",\"last_push_successful\":")
    page.append(times.failed <= times.pushed ? "true" : "false")
    if times.timeToLive > 0 {
      page.append(",\"expires\":\"")
      JSONText.append(time: moment.expiry(of: group), to: &page)
      page.append("\"")
    }
    appendTime(PushedFamilies.times[1], group, times.pushed, to: &page)
    appendTime(PushedFamilies.times[0], group, times.failed, to: &page)
  }

  /// Whether all of the family is written.
  private func writeFamily(
    _ bytes: RawSpan, _ offset: Int, to page: inout ByteBuffer, end: Int
  ) -> Bool {
    guard let family = GroupBytes.family(bytes, at: offset) else { return true }
    if page.count >= end { return false }
    if metric == 0 {
      metric = family.metrics.lowerBound
      page.append(",")
      JSONText.append(escaped: bytes.extracting(family.name), to: &page)
      page.append(":{\"time_stamp\":\"")
      JSONText.append(time: family.time, to: &page)
      page.append("\",\"type\":\"")
      page.append(family.type.capitals)
      if !family.help.isEmpty {
        page.append("\",\"help\":")
        JSONText.append(escaped: bytes.extracting(family.help), to: &page)
        page.append(",\"metrics\":[")
      } else {
        page.append("\",\"metrics\":[")
      }
    }
    while metric < family.metrics.upperBound {
      if page.count >= end { return false }
      let next = GroupBytes.metric(bytes, at: metric)
      if metric > family.metrics.lowerBound { page.append(",") }
      append(next, family.type, bytes, to: &page)
      metric = next.range.upperBound
    }
    page.append("]}")
    return true
  }

  private func appendTime(
    _ family: (name: StaticString, help: StaticString), _ group: PushGroup, _ value: Double,
    to page: inout ByteBuffer
  ) {
    page.append(",\"")
    page.append(family.name)
    page.append("\":{\"time_stamp\":\"")
    JSONText.append(time: max(group.times.pushed, group.times.failed), to: &page)
    page.append("\",\"type\":\"GAUGE\",\"help\":\"")
    page.append(family.help)
    page.append("\",\"metrics\":[{\"labels\":")
    let labels = group.key.fullText
    unsafe JSONText.append(labels: labels.span.bytes, to: &page)
    page.append(",\"value\":\"")
    JSONText.append(number: value, to: &page)
    page.append("\"}]}")
  }

  private func append(
    _ metric: GroupBytes.MetricRecord, _ type: FamilyType, _ bytes: RawSpan,
    to page: inout ByteBuffer
  ) {
    page.append("{\"labels\":")
    JSONText.append(labels: bytes.extracting(metric.labels), to: &page)
    guard type.hasPoints else {
      page.append(",\"value\":\"")
      JSONText.append(number: bytes.double(at: metric.value), to: &page)
      page.append("\"}")
      return
    }
    if let native = NativeHistogram(bytes, metric.native), native.hasSpans {
      page.append(",\"buckets\":")
      native.appendJSON(to: &page)
    } else {
      page.append(type.isHistogram ? ",\"buckets\":{" : ",\"quantiles\":{")
      for point in 0..<metric.pointCount {
        page.append(point > 0 ? ",\"" : "\"")
        JSONText.append(number: bytes.double(at: metric.bound(point)), to: &page)
        page.append("\":\"")
        JSONText.append(number: bytes.double(at: metric.pointValue(point)), to: &page)
        page.append("\"")
      }
      page.append("}")
    }
    page.append(",\"count\":\"")
    JSONText.append(number: bytes.double(at: metric.count), to: &page)
    page.append("\",\"sum\":\"")
    JSONText.append(number: bytes.double(at: metric.value), to: &page)
    page.append("\"}")
  }
}
