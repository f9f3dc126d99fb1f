import SidecarPlatform

/// What clients and the log are told.
extension OTLPIntake {
  func text(_ range: Range<Int>, _ request: WireCursor) -> String {
    Poison.text(request.span(range), limit: 128)
  }

  func tellShared(_ metric: OTLPMetric, _ request: WireCursor) {
    tell(
      registry.lines.key.hash(request.span(metric.name)),
      joined(
        "OTLP: two writers send ", text(metric.name, request),
        " as one stream, with the same resource "
          + "and start time, so part of it is refused: give each its service.instance.id"))
  }

  /// Two services that feed one series are told of once.
  func noteService(_ target: Target, _ metric: OTLPMetric, _ request: WireCursor) {
    if names.service.isEmpty { return }
    let name = names.service
    let hash = unsafe registry.lines.key.hash(name.span.bytes)
    let service = UInt32(truncatingIfNeeded: hash >> 32)
    if let known = services[target.cell], known != service {
      tell(
        4,
        joined(
          "OTLP: two services feed one series of ", text(metric.name, request),
          "; --otlp-resource-labels service.name tells them apart"))
    }
    if services.count > 2 * registry.limits.series { services = [:] }
    services[target.cell] = service
  }

  /// Counts a point that was refused; the first one's reason is for the answer.
  func refuse(_ error: Registry.Rejection, _ metric: OTLPMetric, _ request: WireCursor) {
    processor.counts.reject(error)
    let name = request.array(metric.name)
    unsafe processor.refusals.note(error.reason, "otlp", name.span.bytes)
    refusedCount += 1
    guard refusedCount == 1 else { return }
    refusal = joined(
      String(decoding: name.prefix(256), as: UTF8.self), ": ", Self.words(error).description)
    if error == .typeConflict || error == .declarationConflict {
      let family = OTLPNames.family(
        name, unit: request.array(metric.unit), isCounter: metric.kind.kind == .counter,
        isGauge: metric.kind == .gauge)
      refusal += joined(" ", String(decoding: family, as: UTF8.self))
    }
  }

  private static func words(_ error: Registry.Rejection) -> StaticString {
    switch error {
    case .typeConflict:
      "its type is not that of the family, or its name is a line of another one's:"
    case .declarationConflict: "its buckets are not those of the family"
    case .noTemporality: "it has no aggregation temporality"
    case .badPoint: "a point without a value or time, or whose numbers do not belong together"
    case .badName: "no letter or digit is left of its name"
    case .reservedLabel: "an attribute has the name of the type's own label, le or quantile"
    case .streamLimit: "there are more streams than --max-otlp-streams"
    case .sharedStream: "two writers have the same resource and start time"
    case .unsupportedType: "its type is not taken"
    case .seriesLimit: "there are as many series as --max-series allows"
    case .expositionLimit: "there is as much text as --max-exposition-size allows"
    case .familyLimit: "there are as many families as --max-families allows"
    case .tooManyLabels: "it has more attributes than --max-labels allows"
    case .nameTooLong: "a name is longer than --max-name-length"
    case .valueTooLong: "a value is longer than --max-label-value-length"
    case .stateFull: "the state file has no room"
    default: error.reason
    }
  }
}
