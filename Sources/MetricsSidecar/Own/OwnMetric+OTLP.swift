import SidecarPlatform

extension OwnMetric {
  /// What `--otlp` adds.
  static let otlp = [
    OwnMetric(
      "metrics_sidecar_otlp_requests_total", .counter, "Requests of OTLP by what became of them",
      several: { moment, family in
        guard moment.hasOTLP else { return false }
        family.add("result", "applied", moment.own.otlp.applied)
        family.add("result", "repeated", moment.own.otlp.repeated)
        family.add("result", "refused", moment.own.otlp.refused)
        return true
      }),
    OwnMetric(
      "metrics_sidecar_otlp_streams", .gauge, "Writers of cumulative series remembered"
    ) { $0.hasOTLP ? Double($0.registry.streams.count) : nil },
    OwnMetric(
      "metrics_sidecar_otlp_streams_evicted_total", .counter, "Streams that had to make room"
    ) { $0.hasOTLP ? Double($0.registry.streams.evicted) : nil },
  ]
}

extension OwnMoment {
  fileprivate var hasOTLP: Bool { own.isOpen[IntakeCounts.Source.otlp.rawValue] }
}
