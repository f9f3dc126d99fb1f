import SidecarPlatform

/// What the sidecar says about pushes.
extension PushAPI: OwnMetricLines {
  /// Gives where the lines of `HiddenSeries` belong, which are known later.
  func appendSelfMetrics(to page: inout ByteBuffer) -> Int {
    head("metrics_sidecar_pushes_total", "counter", "Pushes by what became of them", &page)
    for (result, count) in [
      (StaticString("applied"), counts.applied), ("deleted", counts.deleted),
      ("rejected", counts.malformed), ("too_large", counts.tooLarge), ("limited", counts.limited),
      ("unauthorized", counts.unauthorized), ("poisoned", counts.poisoned),
    ] {
      labelled("metrics_sidecar_pushes_total", "result", result, Double(count), &page)
    }
    one(
      "metrics_sidecar_pushes_repeated_total", "counter",
      "Pushes that were not added again: their Idempotency-Key was known", Double(counts.repeated),
      &page)
    one("metrics_sidecar_push_groups", "gauge", "Groups kept", Double(store.groupCount), &page)
    one(
      "metrics_sidecar_push_groups_limit", "gauge", "Groups that may be kept",
      Double(store.limits.groups), &page)
    one(
      "metrics_sidecar_push_groups_expired_total", "counter", "Groups whose time to live was over",
      Double(store.expiredCount), &page)
    one(
      "metrics_sidecar_push_series", "gauge", "Pushed series kept", Double(store.seriesCount), &page
    )
    one(
      "metrics_sidecar_push_series_limit", "gauge", "Pushed series that may be kept",
      Double(store.limits.series), &page)
    head(
      HiddenSeries.metric, "gauge",
      "Pushed series left out of their families, since events have them otherwise or too", &page)
    let hiddenAt = page.count
    one(
      "metrics_sidecar_push_state_resets_total", "counter",
      "Files of groups that were set aside as damaged", Double(stateResets), &page)
    one(
      "metrics_sidecar_push_state_bytes", "gauge", "Bytes of the file of groups that are live",
      Double(store.file.liveByteCount), &page)
    return hiddenAt
  }
}

extension HiddenSeries: OwnMetricLines {
  static let metric: StaticString = "metrics_sidecar_push_series_hidden"

  func append(to page: inout ByteBuffer) {
    for (family, count) in families {
      labelled(Self.metric, "family", family, Double(count), &page)
    }
    if overflow > 0 { labelled(Self.metric, "overflow", "true", Double(overflow), &page) }
  }
}
