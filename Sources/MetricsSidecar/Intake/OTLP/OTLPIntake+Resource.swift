import SidecarPlatform

/// `target_info{service_name="shop",…} 1`: the attributes of a service's resource, once per service
/// name, from the last resource. Attributes that distinguish workers and restarts are omitted.
extension OTLPIntake {
  private static let omitted: [StaticString] = [
    "service.instance.id", "container.id", "process.", "telemetry.sdk.",
  ]

  /// Call it after a point of the resource has been counted.
  func showResource(_ metric: OTLPMetric, _ request: WireCursor) {
    if metric.resource.isEmpty { return }
    let hash = registry.lines.key.hash(request.span(metric.resource))
    if seenResources.contains(hash) { return }
    if seenResources.count >= 4096 { seenResources = [] }
    guard let attributes = OTLPAttributes(request.over(metric.resource), field: 1) else { return }
    var labels: [Registry.Label] = []
    for attribute in attributes.list where !Self.isOmitted(attribute.key) {
      let name = OTLPNames.label(attribute.key)
      if attribute.value.count <= registry.limits.labelValueByteCount, !name.isEmpty,
        !labels.contains(where: { $0.name == name })
      {
        labels.append((name, attribute.value[...]))
      }
    }
    let service = attributes.value(of: "service.name") ?? []
    if service.isEmpty || labels.count > registry.limits.labels || show(labels, of: service) {
      seenResources.insert(hash)
    }
  }

  private static func isOmitted(_ key: [UInt8]) -> Bool {
    for name in omitted {
      let text = name.bytes
      if text.last == UInt8(ascii: ".") ? key.starts(with: text) : key == text { return true }
    }
    return false
  }

  /// Returns whether there was room for it.
  private func show(_ labels: [Registry.Label], of service: [UInt8]) -> Bool {
    let name = Array("target_info".utf8)
    let state = registry.state
    var key = ByteBuffer(capacity: 256)
    SeriesKey.append(name, labels, to: &key)
    var label = ByteBuffer(capacity: 128)
    SeriesKey.append([], [(Array("service_name".utf8), service[...])], to: &label)
    let serviceHash = hash(label.bytes.extracting(1..<label.count - 1))
    if shownRemovals != registry.removals { findShown(registry.familyIndex[name]) }
    let shown = shownResources[serviceHash].map { Record(unit: $0) }
    if let shown {
      // Workers of one service have the same labels. Others replace a series, for which all lines
      // are forgotten: where that came too often, they come again with the next request.
      if ByteCompare.equal(state.key(shown), key.bytes) { return true }
      guard registry.mayForgetLines() else { return false }
    }
    var outcome = Registry.Resolution()
    do throws(Registry.Rejection) {
      let index = try registry.pointFamily(
        name, .gauge, help: Array("Target metadata".utf8), bounds: nil, merge: ""
      ) { _ in false }
      let family = registry.families[index]
      // It is written once, and holds as long as the service sends.
      family.timeToLive = family.timeToLive ?? 0
      registry.feed(
        index, labels, EventDescription(name: name, type: .gauge, tags: []), into: &outcome,
        scale: 0)
      guard let target = outcome.targets.first else { return false }
      registry.addPoint(target, 1, isSet: true)
      if let shown, let place = family.series.firstIndex(of: shown) {
        family.series.remove(at: place)
        registry.removeSeries(shown, family)
        registry.forgetLines()
        shownRemovals = registry.removals
      }
      shownResources[serviceHash] = target.cell
      return true
    } catch {
      processor.counts.reject(error)
      return false
    }
  }

  /// Finds the series of each service, which may be an earlier process'.
  private func findShown(_ family: Int?) {
    shownRemovals = registry.removals
    shownResources = [:]
    guard let family else { return }
    let state = registry.state
    for record in registry.families[family].series {
      let key = state.key(record)
      // Quotes within values are escaped, so this is not part of one.
      let label: StaticString = "service_name=\""
      var start = 0
      while start + label.utf8CodeUnitCount < key.byteCount {
        let end = start + label.utf8CodeUnitCount
        if key.extracting(start..<end).isEqual(to: label) { break }
        start += 1
      }
      var end = start + label.utf8CodeUnitCount
      while end < key.byteCount, key.at(end) != UInt8(ascii: "\"") {
        end += key.at(end) == UInt8(ascii: "\\") ? 2 : 1
      }
      if end >= key.byteCount { continue }
      shownResources[hash(key.extracting(start..<end + 1))] = record.unit
    }
  }

  private func hash(_ bytes: RawSpan) -> UInt32 {
    UInt32(truncatingIfNeeded: registry.lines.key.hash(bytes))
  }
}
