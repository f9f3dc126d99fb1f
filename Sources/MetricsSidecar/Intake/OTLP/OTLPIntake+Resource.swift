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
    var tags: [(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>)] = []
    for attribute in attributes.list where !Self.isOmitted(attribute.key) {
      if attribute.value.count > registry.limits.labelValueByteCount { continue }
      tags.append((attribute.key[...], attribute.value[...]))
    }
    guard let service = attributes.value(of: "service.name"), !service.isEmpty,
      tags.count <= registry.limits.labels
    else {
      seenResources.insert(hash)
      return
    }
    var labels: [Registry.Label] = []
    for tag in tags {
      let name = OTLPNames.label(Array(tag.name))
      if !name.isEmpty, !labels.contains(where: { $0.name == name }) {
        labels.append((name, tag.value))
      }
    }
    if show(labels, of: service) { seenResources.insert(hash) }
  }

  private static func isOmitted(_ key: [UInt8]) -> Bool {
    for name in omitted {
      let text = name.description.utf8
      if name.description.utf8.last == UInt8(ascii: ".") {
        if key.starts(with: text) { return true }
      } else if key.elementsEqual(text) {
        return true
      }
    }
    return false
  }

  /// Returns whether there was room for it.
  private func show(_ labels: [Registry.Label], of service: [UInt8]) -> Bool {
    let name = Array("target_info".utf8)
    // Workers of one service have the same labels. Others replace a series, for which all lines are
    // forgotten: where that came too often, they come again with the next request.
    var key = ByteBuffer(capacity: 256)
    SeriesKey.append(name, labels, to: &key)
    let labelsHash = UInt32(truncatingIfNeeded: registry.lines.key.hash(key.bytes))
    let serviceHash = unsafe UInt32(
      truncatingIfNeeded: registry.lines.key.hash(service.span.bytes))
    if let shown = shownResources[serviceHash] {
      if shown == labelsHash { return true }
      guard registry.mayForgetLines() else { return false }
    }
    var outcome = Registry.Resolution()
    do throws(Registry.Rejection) {
      let index = try registry.pointFamily(
        name, .gauge, help: Array("Target metadata".utf8), bounds: nil, merge: ""
      ) { _ in false }
      // It is written once, and holds as long as the service sends.
      registry.families[index].timeToLive = registry.families[index].timeToLive ?? 0
      registry.feed(
        index, labels, EventDescription(name: name, type: .gauge, tags: []), into: &outcome,
        scale: 0)
      guard let target = outcome.targets.first else { return false }
      registry.addPoint(target, 1, isSet: true)
      removeOthers(registry.families[index], service, but: target.cell)
      if shownResources.count >= 4096 { shownResources = [:] }
      shownResources[serviceHash] = labelsHash
      return true
    } catch {
      processor.counts.reject(error)
      return false
    }
  }

  /// Series of the same service with different labels.
  private func removeOthers(_ family: Family, _ service: [UInt8], but cell: UInt32) {
    var label = ByteBuffer(capacity: 128)
    SeriesKey.append([], [(Array("service_name".utf8), service[...])], to: &label)
    let wanted = label.array.dropFirst().dropLast()
    var kept: [Record] = []
    let state = registry.state
    for record in family.series {
      let key = SeriesKey.array(state.key(record))
      if UInt32(record.headCell) != cell, Self.has(wanted, key) {
        registry.removeSeries(record, family)
      } else {
        kept.append(record)
      }
    }
    guard kept.count < family.series.count else { return }
    family.series = kept
    registry.forgetLines()
  }

  /// Whether a series' key has the label: quotes within values are escaped, so it is not part of
  /// one.
  private static func has(_ label: ArraySlice<UInt8>, _ key: [UInt8]) -> Bool {
    var index = key.firstIndex(of: UInt8(ascii: "{")) ?? key.count
    while index + label.count < key.count {
      if key[index] == UInt8(ascii: "{") || key[index] == UInt8(ascii: ","),
        key[(index + 1)...].starts(with: label)
      {
        return true
      }
      index += 1
    }
    return false
  }
}
