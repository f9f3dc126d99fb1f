import Platform

/// What pushing adds to the sidecar.
extension Sidecar {
  /// Switches pushing on. No group may have a family of the sidecar's with another type.
  func take(_ push: PushAPI) {
    self.push = push
    let registry = applier.registry
    push.store.otherType = { name in Self.ownType(name, registry) }
  }

  func appendPushed(to page: inout ByteBuffer) {
    guard let push else { return }
    push.appendSelfMetrics(to: &page)
    PushText(push.store, now: Double(Clock.unixNanoseconds) / 1e9).append(to: &page)
  }

  /// The type of a family that the sidecar exposes without a push.
  private static func ownType(_ name: String, _ registry: Registry) -> PushType? {
    switch name {
    case "process_cpu_seconds_total": return .counter
    case "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds",
      "process_max_fds", "process_start_time_seconds":
      return .gauge
    default: break
    }
    switch registry.kind(of: Array(name.utf8)) {
    case .counter: return .counter
    case .gauge: return .gauge
    case .histogram: return .histogram
    default: return nil
    }
  }
}
