import SidecarPlatform

/// Messages for clients and the log.
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

  /// Two services that feed one series are reported once.
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

  /// Shows `tail` a point that counts, by its metric's name.
  @inline(never)
  func show(_ metric: OTLPMetric, _ request: WireCursor) {
    let name = request.array(metric.name)
    unsafe processor.tap?.show(name.span.bytes, "otlp")
  }

  /// Keeps the name of a metric whose point counts, and has lost a part of what it says.
  @inline(never)
  func noteLoss(_ metric: OTLPMetric, _ request: WireCursor) {
    let name = request.array(metric.name)
    unsafe processor.noteLoss(name.span.bytes, .otlp)
  }

  /// Counts a refused point; the answer has the reason of the first one.
  func refuse(_ error: Registry.Rejection, _ metric: OTLPMetric, _ request: WireCursor) {
    processor.counts.reject(error)
    let name = request.array(metric.name)
    unsafe processor.refusals.note(error.reason, "otlp", name.span.bytes)
    refusedCount += 1
    guard refusedCount == 1 else { return }
    refusal = joined(
      String(decoding: name.prefix(256), as: UTF8.self), ": ",
      RefusalWords.words(error.reason).description)
    if error == .typeConflict || error == .declarationConflict {
      let family = OTLPNames.family(
        name, unit: request.array(metric.unit), isCounter: metric.kind.kind == .counter,
        isGauge: metric.kind == .gauge)
      refusal += joined(" ", String(decoding: family, as: UTF8.self))
    }
  }
}
