import SidecarHTTP
import SidecarPlatform

/// Values of counters, gauges and histograms at earlier scrapes, so that a plot begins before you
/// opened its page: about an hour, in as many steps as fit into `--history`.
///
/// What must stay true: nothing wakes up for it, and it costs events nothing. A scrape adds a
/// column if the last one is old enough, 8 bytes per series; the oldest ones make room.
///
///     column: time, then for each series its first cell << 32 | its value as a 32-bit float
final class History {
  private struct Column {
    /// In Unix milliseconds.
    var time: UInt64
    var values: [UInt64]
  }

  private let byteLimit: Int
  private var columns: [Column] = []
  private var byteCount = 0

  private static let spanMilliseconds = 3_600_000
  private static let leastMilliseconds = 5_000
  /// The most series of an answer: more plots than anyone looks at.
  private static let seriesLimit = 2_000

  init(byteLimit: Int) { self.byteLimit = byteLimit }

  /// Stores the values of this moment, if it is time.
  func note(_ registry: Registry) {
    let size = 8 * registry.seriesCount + 64
    guard size <= byteLimit else { return }
    let now = Clock.unixNanoseconds / 1_000_000
    let step = max(Self.leastMilliseconds, Self.spanMilliseconds / (byteLimit / size))
    if let last = columns.last, now &- last.time < UInt64(step) { return }
    var values: [UInt64] = []
    values.reserveCapacity(registry.seriesCount)
    for family in registry.families {
      for record in family.series {
        guard let value = Self.value(record, family, registry.state) else { break }
        values.append(UInt64(record.headCell) << 32 | UInt64(Float(value).bitPattern))
      }
    }
    byteCount += 8 * values.count + 64
    columns.append(Column(time: now, values: values))
    while byteCount > byteLimit { byteCount -= 8 * columns.removeFirst().values.count + 64 }
  }

  /// The value to plot for a series: its number, or its count of observations; `nil` for other
  /// types.
  private static func value(_ record: Record, _ family: Family, _ state: StateFile) -> Double? {
    switch family.kind {
    case .counter, .gauge: return state.number(record.headCell + 1)
    case .histogram:
      var count = 0.0
      for bucket in 0...family.bounds.count {
        count += state.number(record.headCell + HistogramCells.firstBucket + bucket)
      }
      return count
    default: return nil
    }
  }

  /// Appends the columns of the families that the filter names:
  /// `{"times":[…],"series":{"jobs_total{queue=\"mail\"}":[1,null,…]}}`.
  func append(_ filter: NameFilter, _ registry: Registry, to page: inout ByteBuffer) {
    page.append("{\"times\":[")
    for (index, column) in columns.enumerated() {
      if index > 0 { page.append(",") }
      Decimal.append(column.time, to: &page)
    }
    page.append("],\"series\":{")
    var places = [Int](repeating: 0, count: columns.count)
    var count = 0
    let state = registry.state
    for family in registry.families where filter.includes(family.name) {
      for record in family.series where count < Self.seriesLimit {
        page.append(count > 0 ? ",\n\"" : "\n\"")
        count += 1
        let key = state.key(record)
        JSONText.append(inQuotes: key.extracting(0..<family.name.count), to: &page)
        if family.kind == .histogram { page.append("_count") }
        JSONText.append(inQuotes: key.extracting(family.name.count..<key.byteCount), to: &page)
        page.append("\":[")
        append(record, state.createdMilliseconds(record), &places, to: &page)
        page.append("]")
      }
    }
    page.append("}}\n")
  }

  /// Series keep their order, so the search for each starts after the previous one.
  private func append(
    _ record: Record, _ created: UInt64, _ places: inout [Int], to page: inout ByteBuffer
  ) {
    for (index, column) in columns.enumerated() {
      if index > 0 { page.append(",") }
      var place = places[index]
      // Cells may have belonged to another series before.
      if column.time < created { place = column.values.count }
      while place < column.values.count, column.values[place] >> 32 != UInt64(record.headCell) {
        place += 1
      }
      guard place < column.values.count else {
        page.append("null")
        continue
      }
      places[index] = place + 1
      let value = Double(Float(bitPattern: UInt32(truncatingIfNeeded: column.values[place])))
      if value.isFinite { Decimal.append(value, to: &page) } else { page.append("null") }
    }
  }
}

extension Sidecar {
  /// `GET /api/v1/history?name[]=FAMILY`.
  func answerHistory(_ query: RawSpan, _ response: inout ResponseWriter) {
    let filter = NameFilter(query: query)
    if filter.names.isEmpty {
      return response.problem(status: 400, detail: "name[]=FAMILY is missing")
    }
    beginJSON(&response)
    history.append(filter, processor.registry, to: &response.buffer)
    response.end()
  }

  /// `GET /api/v1/rules`: the file with the rules in force.
  func answerRules(_ response: inout ResponseWriter) {
    var text = ByteBuffer()
    if settings.rules.isEmpty {
      text.append("{}")
    } else {
      do throws(RuleLoading.Failure) { try RuleLoading.read(settings.rules, into: &text) } catch {
        return response.problem(status: 503, detail: "the rules file cannot be read")
      }
      guard RuleLoading.Mark(text.bytes) == selfMetrics.reloads.inForce else {
        return response.problem(
          status: 503, detail: "the rules file has changed since it was read: POST /-/reload")
      }
    }
    beginJSON(&response)
    response.buffer.append(text.bytes)
    response.end()
  }

  func beginJSON(_ response: inout ResponseWriter) {
    response.begin(
      status: 200, contentType: "application/json", extraFields: "Cache-Control: no-store\r\n")
  }
}
