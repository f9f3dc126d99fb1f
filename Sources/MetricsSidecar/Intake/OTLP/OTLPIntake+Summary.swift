import SidecarPlatform

/// A client's summary: its last quantiles, count and sum. Quantiles cannot be added up, so each is
/// a gauge: `wait_seconds{quantile="0.5"}`, `wait_seconds_sum`, `wait_seconds_count`.
extension OTLPIntake {
  private static let quantileLimit = 32

  /// Applies one point; returns whether it counts. They are rare, so each is resolved again.
  func applySummary(
    _ point: OTLPPoint, _ metric: OTLPMetric, _ request: WireCursor
  ) throws(Registry.Rejection) -> Bool {
    if point.time == 0 { throw .badPoint }
    guard registry.rules.exposesUnmatched else {
      processor.counts.reject(.dropped)
      return false
    }
    let event = try description(point, metric, request).0
    let labels = try labels(event, reserved: "quantile")
    let name = try family(event, metric, request)
    var count = Double.nan
    var sum = Double.nan
    var quantiles = 0
    var cursor = request.over(point.message)
    while cursor.next() {
      switch cursor.number {
      case 4: count = Double(cursor.bits)
      case 5: sum = Double(bitPattern: cursor.bits)
      case 6:
        quantiles += 1
        if quantiles > Self.quantileLimit { throw .badPoint }
        try set(name, labels, quantile: cursor.inside, event, metric, request)
      default: break
      }
    }
    if sum.isFinite { try set(name + Array("_sum".utf8), labels, sum, event, metric, request) }
    if count.isFinite {
      try set(name + Array("_count".utf8), labels, count, event, metric, request)
    }
    return true
  }

  private func set(
    _ name: [UInt8], _ labels: [Registry.Label], quantile: WireCursor,
    _ event: EventDescription, _ metric: OTLPMetric, _ request: WireCursor
  ) throws(Registry.Rejection) {
    var quantile = quantile
    var rank = 0.0
    var value = 0.0
    while quantile.next() {
      if quantile.number == 1 { rank = Double(bitPattern: quantile.bits) }
      if quantile.number == 2 { value = Double(bitPattern: quantile.bits) }
    }
    guard rank >= 0, rank <= 1 else { throw .badPoint }
    var text = ByteBuffer(capacity: 32)
    NumberFormat.append(rank, to: &text)
    let label = (name: Array("quantile".utf8), value: text.array[...])
    try set(name, labels + [label], value, event, metric, request)
  }

  private func set(
    _ name: [UInt8], _ labels: [Registry.Label], _ value: Double, _ event: EventDescription,
    _ metric: OTLPMetric, _ request: WireCursor
  ) throws(Registry.Rejection) {
    let index = try registry.pointFamily(
      name, .gauge, help: request.array(metric.description), bounds: nil, merge: ""
    ) { index in isSilent(index) }
    var outcome = Registry.Resolution()
    registry.feed(index, labels, event, into: &outcome, scale: 0)
    guard let target = outcome.targets.first else { throw outcome.refusal ?? .stateFull }
    registry.addPoint(target, value, isSet: true)
  }
}
