import SidecarEvents
import SidecarHTTP
import SidecarPlatform

/// What the sidecar says about itself, served with the rest: one row a metric.
struct SelfMetrics: OwnMetricLines {
  var connections = 0
  var scrapeSeconds = 0.0
  var supervision: (restarts: UInt64, recovered: UInt64, lost: UInt64)?
  var stateResets: UInt64 = 0
  var reloads = Reloads()
  var openFileLimit = 0
  /// HTTP connections open now, and those that were closed at a limit.
  var http = (count: 0, closed: ClosedConnections())
  /// Requests that a browser sent for a page that has no right to them.
  var foreignOriginCount: UInt64 = 0
  var unknownHostCount: UInt64 = 0
  /// What clients hold of `--max-client-memory`.
  var clientMemoryByteCount = 0
  /// The sockets that there are; the others have no lines.
  var isOpen = [Bool](repeating: false, count: IntakeCounts.Source.allCases.count)
  /// Datagrams that the kernel threw away because the UDP socket's buffer was full.
  var udpDropCount: Int64 = 0
  let startSeconds = Double(Clock.unixNanoseconds) / 1e9

  /// One line or family a row, always in this order.
  func append(_ applier: Applier, to page: inout ByteBuffer) {
    intake(applier, &page)
    series(applier.registry, &page)
    clients(applier, &page)
    own(applier.registry, &page)
    workers(&page)
    head("metrics_sidecar_build_info", "gauge", "The version, as a label", &page)
    labelled("metrics_sidecar_build_info", "version", Array(Version.number.utf8), 1, &page)
    process(&page)
  }

  private func intake(_ applier: Applier, _ page: inout ByteBuffer) {
    let counts = applier.counts
    head("metrics_sidecar_events_total", "counter", "Events that were counted", &page)
    for source in IntakeCounts.Source.allCases where isOpen[source.rawValue] {
      for (letter, name) in IntakeCounts.types(of: source) {
        page.append("metrics_sidecar_events_total{socket=\"")
        page.append(source.name)
        page.append("\",type=\"")
        page.append(name)
        page.append("\"} ")
        number(Double(counts.events(source, letter)), &page)
      }
    }
    rejected(counts, applier.registry, &page)
    if isOpen[IntakeCounts.Source.udp.rawValue] {
      one(
        "metrics_sidecar_udp_drops_total", "counter",
        "Datagrams that the kernel dropped because the UDP socket's buffer was full",
        Double(udpDropCount), &page)
    }
    head("metrics_sidecar_frames_total", "counter", "Frames by what became of them", &page)
    for (result, count) in [
      (StaticString("applied"), counts.framesApplied), ("duplicate", counts.framesDuplicate),
      ("rejected", counts.framesRejected), ("poisoned", counts.framesPoisoned),
    ] { labelled("metrics_sidecar_frames_total", "result", result, Double(count), &page) }
  }

  private func series(_ registry: Registry, _ page: inout ByteBuffer) {
    one("metrics_sidecar_series", "gauge", "Series kept", Double(registry.seriesCount), &page)
    one(
      "metrics_sidecar_series_limit", "gauge", "Series that may be kept",
      Double(registry.limits.series), &page)
    one(
      "metrics_sidecar_exposition_bytes", "gauge", "Text of all series' lines, about",
      Double(registry.textByteCount), &page)
    one(
      "metrics_sidecar_exposition_limit_bytes", "gauge",
      "Text of all series' lines that there may be",
      Double(registry.limits.expositionByteCount), &page)
    one(
      "metrics_sidecar_series_refused_total", "counter",
      "Events whose series was refused at the limit", Double(registry.refusedSeries), &page)
    one(
      "metrics_sidecar_series_expired_total", "counter",
      "Series that had no event for their time to live", Double(registry.expiredSeries), &page)
    one(
      "metrics_sidecar_families", "gauge", "Families kept", Double(registry.familyCount), &page)
    overflowing(registry, &page)
  }

  private func clients(_ applier: Applier, _ page: inout ByteBuffer) {
    one(
      "metrics_sidecar_sessions", "gauge", "Sessions remembered",
      Double(applier.registry.sessions.count),
      &page)
    one(
      "metrics_sidecar_sessions_evicted_total", "counter", "Sessions that had to make room",
      Double(applier.registry.sessions.evicted), &page)
    one(
      "metrics_sidecar_sessions_expired_total", "counter",
      "Sessions that were silent for their time to live", Double(applier.registry.sessions.expired),
      &page)
    one("metrics_sidecar_connections", "gauge", "Clients connected", Double(connections), &page)
    one(
      "metrics_sidecar_connections_refused_total", "counter", "Clients refused at the limit",
      Double(applier.counts.connectionsRefused), &page)
    let closed: StaticString = "metrics_sidecar_connections_closed_total"
    head(closed, "counter", "Clients closed, by the reason", &page)
    labelled(closed, "reason", "evicted", Double(applier.counts.closed.evicted), &page)
    labelled(closed, "reason", "memory", Double(applier.counts.closed.memory), &page)
    labelled(closed, "reason", "http_request", Double(applier.counts.closed.request), &page)
    one(
      "metrics_sidecar_http_connections", "gauge", "HTTP connections open", Double(http.count),
      &page)
    let name: StaticString = "metrics_sidecar_http_connections_closed_total"
    head(name, "counter", "HTTP connections closed at a limit", &page)
    labelled(name, "reason", "refused", Double(http.closed.refused), &page)
    labelled(name, "reason", "evicted", Double(http.closed.evicted), &page)
    labelled(name, "reason", "slow", Double(http.closed.slow), &page)
    labelled(name, "reason", "memory", Double(http.closed.memory), &page)
    browsers(&page)
    one(
      "metrics_sidecar_client_memory_bytes", "gauge",
      "What clients hold: unfinished requests and frames, answers that nobody has read yet",
      Double(clientMemoryByteCount), &page)
  }

  private func browsers(_ page: inout ByteBuffer) {
    let name: StaticString = "metrics_sidecar_http_requests_refused_total"
    head(name, "counter", "Requests refused because a page may have had a browser send them", &page)
    labelled(name, "reason", "origin", Double(foreignOriginCount), &page)
    labelled(name, "reason", "host", Double(unknownHostCount), &page)
  }

  /// What it does besides: scrapes, its state, its rules.
  private func own(_ registry: Registry, _ page: inout ByteBuffer) {
    one(
      "metrics_sidecar_scrape_duration_seconds", "gauge", "How long the last scrape took to write",
      scrapeSeconds, &page)
    one(
      "metrics_sidecar_state_resets_total", "counter",
      "State files set aside as damaged since the start", Double(stateResets), &page)
    one(
      "metrics_sidecar_state_bytes", "gauge", "Bytes of the state file in use",
      Double(registry.state.usedByteCount), &page)
    head("metrics_sidecar_reloads_total", "counter", "Reloads of the rules file", &page)
    page.append("metrics_sidecar_reloads_total{result=\"ok\"} ")
    number(Double(reloads.successCount), &page)
    page.append("metrics_sidecar_reloads_total{result=\"failed\"} ")
    number(Double(reloads.failureCount), &page)
    one(
      "metrics_sidecar_config_last_reload_successful", "gauge",
      "Whether the last reload of the rules succeeded", reloads.hasLastSucceeded ? 1 : 0, &page)
    one(
      "metrics_sidecar_config_last_reload_success_timestamp_seconds", "gauge",
      "When rules were last loaded, in Unix time", reloads.lastSuccessSeconds, &page)
  }

  private func workers(_ page: inout ByteBuffer) {
    guard let supervision else { return }
    one(
      "metrics_sidecar_worker_restarts_total", "counter", "Workers that were killed",
      Double(supervision.restarts), &page)
    one(
      "metrics_sidecar_datagrams_recovered_total", "counter",
      "Datagrams that a killed worker had received, applied by its successor",
      Double(supervision.recovered), &page)
    one(
      "metrics_sidecar_datagrams_lost_total", "counter",
      "Datagrams given up because worker after worker died of them", Double(supervision.lost),
      &page)
  }

  private func rejected(_ counts: IntakeCounts, _ registry: Registry, _ page: inout ByteBuffer) {
    let name: StaticString = "metrics_sidecar_events_rejected_total"
    head(name, "counter", "Lines and events that were not counted", &page)
    for (index, error) in LineError.allCases.enumerated() {
      labelled(name, "reason", error.reason, Double(counts.lineErrors[index]), &page)
    }
    for (index, rejection) in Registry.Rejection.allCases.enumerated() {
      labelled(name, "reason", rejection.reason, Double(counts.rejections[index]), &page)
    }
    labelled(name, "reason", "datagram_too_long", Double(counts.datagramsTruncated), &page)
    labelled(name, "reason", "poisoned", Double(counts.linesPoisoned), &page)
    labelled(name, "reason", "client_limit", Double(registry.refusedClients), &page)
    labelled(name, "reason", "value_out_of_range", Double(registry.refusedValues), &page)
    labelled(name, "reason", "exemplar_limit", Double(registry.exemplars?.refused ?? 0), &page)
    conflicts(registry.conflicts, &page)
  }

  private func conflicts(_ conflicts: TypeConflicts, _ page: inout ByteBuffer) {
    let name: StaticString = "metrics_sidecar_type_conflicts_total"
    head(name, "counter", "Events whose type was not their family's", &page)
    for index in conflicts.names.indices {
      labelled(name, "family", conflicts.names[index], Double(conflicts.counts[index]), &page)
    }
    if conflicts.overflow > 0 {
      page.append(name)
      page.append("{overflow=\"true\"} ")
      number(Double(conflicts.overflow), &page)
    }
  }

  private func overflowing(_ registry: Registry, _ page: inout ByteBuffer) {
    let name: StaticString = "metrics_sidecar_overflowing_family"
    head(name, "gauge", "Families that have refused series, 1 for each", &page)
    for family in registry.families where family.overflow != nil {
      labelled(name, "family", family.name, 1, &page)
    }
  }

  private func process(_ page: inout ByteBuffer) {
    var scratch = ByteBuffer(capacity: 256)
    let status = ProcessStatus.read(openFileLimit: openFileLimit, scratch: &scratch)
    one(
      "process_cpu_seconds_total", "counter", "User and system CPU time in seconds",
      status.cpuSeconds, &page)
    one(
      "process_resident_memory_bytes", "gauge", "Resident memory in bytes",
      Double(status.residentByteCount), &page)
    one(
      "process_virtual_memory_bytes", "gauge", "Virtual memory in bytes",
      Double(status.virtualByteCount), &page)
    one("process_open_fds", "gauge", "Open file descriptors", Double(status.openFileCount), &page)
    one(
      "process_max_fds", "gauge", "Most open file descriptors", Double(status.openFileLimit), &page)
    one(
      "process_start_time_seconds", "gauge", "Start of the process in Unix time", startSeconds,
      &page)
  }
}
