import SidecarPlatform

extension OwnMetric {
  /// The metrics of `--push`.
  static let pushes = [
    OwnMetric(
      "metrics_sidecar_pushes_total", .counter, "Pushes by what became of them",
      several: { moment, family in
        guard let counts = moment.push?.counts else { return false }
        family.add("result", "applied", counts.applied)
        family.add("result", "deleted", counts.deleted)
        family.add("result", "rejected", counts.malformed)
        family.add("result", "too_large", counts.tooLarge)
        family.add("result", "limited", counts.limited)
        family.add("result", "unauthorized", counts.unauthorized)
        family.add("result", "poisoned", counts.poisoned)
        return true
      }),
    OwnMetric(
      "metrics_sidecar_pushes_repeated_total", .counter,
      "Pushes that were not added again: their Idempotency-Key was known"
    ) { $0.push.map { Double($0.counts.repeated) } },
    OwnMetric("metrics_sidecar_push_groups", .gauge, "Groups kept") {
      $0.push.map { Double($0.store.groupCount) }
    },
    OwnMetric("metrics_sidecar_push_groups_limit", .gauge, "Groups that may be kept") {
      $0.push.map { Double($0.store.limits.groups) }
    },
    OwnMetric(
      "metrics_sidecar_push_groups_expired_total", .counter, "Groups whose time to live was over"
    ) { $0.push.map { Double($0.store.expiredCount) } },
    OwnMetric("metrics_sidecar_push_series", .gauge, "Pushed series kept") {
      $0.push.map { Double($0.store.seriesCount) }
    },
    OwnMetric("metrics_sidecar_push_series_limit", .gauge, "Pushed series that may be kept") {
      $0.push.map { Double($0.store.limits.series) }
    },
    // The series are known once the families of events are written: see `HiddenSeries`.
    OwnMetric(
      HiddenSeries.metric, .gauge,
      "Pushed series left out of their families, since events have them otherwise or too",
      several: { moment, _ in moment.push != nil }),
    OwnMetric(
      "metrics_sidecar_push_state_resets_total", .counter,
      "Files of groups that were set aside as damaged"
    ) { $0.push.map { Double($0.stateResets) } },
    OwnMetric(
      "metrics_sidecar_push_state_bytes", .gauge, "Bytes of the file of groups that are live"
    ) { $0.push.map { Double($0.store.file.liveByteCount) } },
  ]
}

extension HiddenSeries {
  static let metric: StaticString = "metrics_sidecar_push_series_hidden"

  func add(to family: inout OwnFamily) {
    for (name, count) in families { family.add("family", name, Double(count)) }
    if overflow > 0 { family.add("overflow", "true", UInt64(overflow)) }
  }
}
