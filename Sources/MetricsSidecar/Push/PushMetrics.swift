import Platform

/// What the sidecar says about pushes.
extension PushAPI: OwnMetricLines {
  func appendSelfMetrics(hiddenCount: Int, to page: inout ByteBuffer) {
    head("metrics_sidecar_pushes_total", "counter", "Pushes by what became of them", &page)
    for (result, count) in [
      (StaticString("applied"), counts.applied), ("deleted", counts.deleted),
      ("rejected", counts.malformed), ("limited", counts.limited),
      ("unauthorized", counts.unauthorized),
    ] {
      labelled("metrics_sidecar_pushes_total", "result", result, Double(count), &page)
    }
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
    one(
      "metrics_sidecar_push_series_hidden", "gauge",
      "Pushed series left out, since events give their family another type or other buckets",
      Double(hiddenCount), &page)
    one(
      "metrics_sidecar_push_state_resets_total", "counter",
      "Files of groups that were set aside as damaged", Double(stateResets), &page)
    one(
      "metrics_sidecar_push_state_bytes", "gauge", "Bytes of the file of groups that are live",
      Double(store.file.liveByteCount), &page)
  }
}
