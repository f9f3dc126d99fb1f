import SidecarPlatform

extension OwnMetric {
  /// All of them, in the order of `/metrics`.
  static let table: [OwnMetric] =
    intake + otlp + series + clients + scrapes + workers + process + pushes

  private static let intake = [
    OwnMetric(
      "metrics_sidecar_events_total", .counter, "Events that were counted",
      several: { moment, family in
        for source in IntakeCounts.Source.allCases where moment.own.isOpen[source.rawValue] {
          for (letter, name) in IntakeCounts.types(of: source) {
            family.add(
              "socket", source.name.bytes + Array("\",type=\"".utf8) + name.bytes,
              Double(moment.processor.counts.events(source, letter)))
          }
        }
        return true
      }),
    OwnMetric(
      "metrics_sidecar_events_rejected_total", .counter, "Lines and events that were not counted",
      several: { moment, family in
        moment.processor.eachRefusal { reason, count in family.add("reason", reason, count) }
        return true
      }),
    OwnMetric(
      "metrics_sidecar_events_suspicious_total", .counter,
      "Lines that count and look like a mistake, by the likely one",
      several: { moment, family in
        moment.processor.eachSuspicion { reason, count in family.add("reason", reason, count) }
        return true
      }),
    OwnMetric(
      "metrics_sidecar_type_conflicts_total", .counter,
      "Events whose type was not their family's",
      several: { moment, family in
        let conflicts = moment.registry.conflicts
        for index in conflicts.names.indices {
          family.add("family", conflicts.names[index], Double(conflicts.counts[index]))
        }
        if conflicts.overflow > 0 { family.add("overflow", "true", conflicts.overflow) }
        return true
      }),
    OwnMetric(
      "metrics_sidecar_udp_drops_total", .counter,
      "Datagrams that the kernel dropped because the UDP socket's buffer was full"
    ) { $0.own.isOpen[IntakeCounts.Source.udp.rawValue] ? Double($0.own.udpDropCount) : nil },
    OwnMetric(
      "metrics_sidecar_frames_total", .counter, "Frames by what became of them",
      several: { moment, family in
        let counts = moment.processor.counts
        family.add("result", "applied", counts.framesApplied)
        family.add("result", "duplicate", counts.framesDuplicate)
        family.add("result", "rejected", counts.framesRejected)
        family.add("result", "poisoned", counts.framesPoisoned)
        return true
      }),
  ]

  private static let series = [
    OwnMetric("metrics_sidecar_series", .gauge, "Series kept") { Double($0.registry.seriesCount) },
    OwnMetric("metrics_sidecar_series_limit", .gauge, "Series that may be kept") {
      Double($0.registry.limits.series)
    },
    OwnMetric(
      "metrics_sidecar_exposition_bytes", .gauge, "Text of all series' lines, about"
    ) { Double($0.registry.textByteCount + ($0.push?.store.textByteCount ?? 0)) },
    OwnMetric(
      "metrics_sidecar_exposition_limit_bytes", .gauge,
      "Text of all series' lines that there may be"
    ) { Double($0.registry.limits.expositionByteCount) },
    OwnMetric(
      "metrics_sidecar_series_refused_total", .counter,
      "Events whose series was refused at the limit"
    ) { Double($0.registry.refusedSeries) },
    OwnMetric(
      "metrics_sidecar_series_expired_total", .counter,
      "Series that had no event for their time to live"
    ) { Double($0.registry.expiredSeries) },
    OwnMetric("metrics_sidecar_families", .gauge, "Families kept") {
      Double($0.registry.familyCount)
    },
    OwnMetric(
      "metrics_sidecar_overflowing_family", .gauge,
      "Families that have refused series, 1 for each",
      several: { moment, family in
        for each in moment.registry.families where each.overflow != nil {
          family.add("family", each.name, 1)
        }
        return true
      }),
  ]

  private static let clients = [
    OwnMetric("metrics_sidecar_sessions", .gauge, "Sessions remembered") {
      Double($0.registry.sessions.count)
    },
    OwnMetric(
      "metrics_sidecar_sessions_evicted_total", .counter, "Sessions that had to make room"
    ) { Double($0.registry.sessions.evicted) },
    OwnMetric(
      "metrics_sidecar_sessions_expired_total", .counter,
      "Sessions that were silent for their time to live"
    ) { Double($0.registry.sessions.expired) },
    OwnMetric("metrics_sidecar_connections", .gauge, "Clients connected") {
      Double($0.own.connections)
    },
    OwnMetric(
      "metrics_sidecar_connections_refused_total", .counter, "Clients refused at the limit"
    ) { Double($0.processor.counts.connectionsRefused) },
    OwnMetric(
      "metrics_sidecar_connections_closed_total", .counter, "Clients closed, by the reason",
      several: { moment, family in
        let closed = moment.processor.counts.closed
        family.add("reason", "evicted", closed.evicted)
        family.add("reason", "memory", closed.memory)
        family.add("reason", "http_request", closed.request)
        return true
      }),
    OwnMetric("metrics_sidecar_http_connections", .gauge, "HTTP connections open") {
      Double($0.own.http.count)
    },
    OwnMetric(
      "metrics_sidecar_http_connections_closed_total", .counter,
      "HTTP connections closed at a limit",
      several: { moment, family in
        let closed = moment.own.http.closed
        family.add("reason", "refused", UInt64(closed.refused))
        family.add("reason", "evicted", UInt64(closed.evicted))
        family.add("reason", "slow", UInt64(closed.slow))
        family.add("reason", "memory", UInt64(closed.memory))
        return true
      }),
    OwnMetric(
      "metrics_sidecar_http_requests_refused_total", .counter,
      "Requests refused because a page may have had a browser send them",
      several: { moment, family in
        family.add("reason", "origin", moment.own.foreignOriginCount)
        family.add("reason", "host", moment.own.unknownHostCount)
        return true
      }),
    OwnMetric(
      "metrics_sidecar_client_memory_bytes", .gauge,
      "What clients hold: unfinished requests and frames, answers that nobody has read yet"
    ) { Double($0.own.clientMemoryByteCount) },
  ]

  private static let scrapes = [
    OwnMetric(
      "metrics_sidecar_scrape_duration_seconds", .gauge, "How long the last scrape took to write"
    ) { $0.own.scrapeSeconds },
    OwnMetric(
      "metrics_sidecar_state_resets_total", .counter,
      "State files set aside as damaged since the start"
    ) { Double($0.own.stateResets) },
    OwnMetric("metrics_sidecar_state_bytes", .gauge, "Bytes of the state file in use") {
      Double($0.registry.state.usedByteCount)
    },
    OwnMetric(
      "metrics_sidecar_reloads_total", .counter, "Reloads of the rules file",
      several: { moment, family in
        family.add("result", "ok", moment.own.reloads.successCount)
        family.add("result", "failed", moment.own.reloads.failureCount)
        return true
      }),
    OwnMetric(
      "metrics_sidecar_config_last_reload_successful", .gauge,
      "Whether the last reload of the rules succeeded"
    ) { $0.own.reloads.hasLastSucceeded ? 1 : 0 },
    OwnMetric(
      "metrics_sidecar_config_last_reload_success_timestamp_seconds", .gauge,
      "When rules were last loaded, in Unix time"
    ) { $0.own.reloads.lastSuccessSeconds },
  ]

  private static let workers = [
    OwnMetric(
      "metrics_sidecar_memory_bound_bytes", .gauge, "Memory that the limits allow, about"
    ) { $0.own.memory.map { Double($0.byteCount) } },
    OwnMetric(
      "metrics_sidecar_memory_limit_bytes", .gauge, "Memory that the container has"
    ) { $0.own.memory.flatMap { $0.limit > 0 ? Double($0.limit) : nil } },
    OwnMetric(
      "metrics_sidecar_worker_restarts_total", .counter, "Workers that were killed"
    ) { $0.own.supervision.map { Double($0.restarts) } },
    OwnMetric(
      "metrics_sidecar_datagrams_recovered_total", .counter,
      "Datagrams that a killed worker had received, applied by its successor"
    ) { $0.own.supervision.map { Double($0.recovered) } },
    OwnMetric(
      "metrics_sidecar_datagrams_lost_total", .counter,
      "Datagrams given up because worker after worker died of them"
    ) { $0.own.supervision.map { Double($0.lost) } },
    OwnMetric(
      "metrics_sidecar_build_info", .gauge, "The version, as a label",
      several: { _, family in
        family.add("version", Array(Version.number.utf8), 1)
        return true
      }),
  ]

  private static let process = [
    OwnMetric(
      "process_cpu_seconds_total", .counter, "User and system CPU time in seconds"
    ) { $0.process.cpuSeconds },
    OwnMetric("process_resident_memory_bytes", .gauge, "Resident memory in bytes") {
      Double($0.process.residentByteCount)
    },
    OwnMetric("process_virtual_memory_bytes", .gauge, "Virtual memory in bytes") {
      Double($0.process.virtualByteCount)
    },
    OwnMetric("process_open_fds", .gauge, "Open file descriptors") {
      Double($0.process.openFileCount)
    },
    OwnMetric("process_max_fds", .gauge, "Most open file descriptors") {
      Double($0.process.openFileLimit)
    },
    OwnMetric("process_start_time_seconds", .gauge, "Start of the process in Unix time") {
      $0.own.startSeconds
    },
  ]
}
