import Platform

/// What pushing adds to the sidecar.
extension Sidecar {
  /// Switches pushing on. No group may have a family of the sidecar's with another type.
  func take(_ push: PushAPI) {
    self.push = push
    let registry = applier.registry
    push.store.otherType = { name in Self.ownType(name, registry) }
  }

  /// Appends what was pushed to the sidecar's own metrics. Series of a family that events or the
  /// sidecar itself have are put to those, so that a family stands once on the page; should its type
  /// have become another one since the push, they are left out.
  func appendPushed(to text: inout ByteBuffer, _ snapshot: Snapshot) {
    guard let push else { return }
    push.appendSelfMetrics(to: &text)
    let pushed = PushText(push.store, now: Double(Clock.unixNanoseconds) / 1e9)
    var others: Set<[UInt8]> = []
    for part in snapshot.parts {
      let name = part.family.name
      guard let type = pushed.type(of: name) else { continue }
      others.insert(name)
      if type == Self.type(part.family.kind) {
        snapshot.pushedText[name] = pushed.samples(of: name)
      }
    }
    for name in Self.ownNames.map({ Array($0.utf8) }) {
      guard pushed.type(of: name) != nil, others.insert(name).inserted else { continue }
      Self.insert(pushed.samples(of: name), after: name, in: &text)
    }
    pushed.append(to: &text, except: others)
  }

  /// Puts lines behind those of the family called `name`.
  private static func insert(_ lines: [UInt8], after name: [UInt8], in text: inout ByteBuffer) {
    let bytes = text.array
    let head = Array("# TYPE ".utf8) + name + [32]
    var start = 0
    while start < bytes.count, !bytes[start...].starts(with: head) { start = next(bytes, start) }
    var end = next(bytes, start)
    while end < bytes.count, bytes[end] != UInt8(ascii: "#") { end = next(bytes, end) }
    text.truncate(to: min(end, bytes.count))
    text.append(lines)
    text.append(Array(bytes[min(end, bytes.count)...]))
  }

  private static func next(_ bytes: [UInt8], _ start: Int) -> Int {
    (bytes[min(start, bytes.count)...].firstIndex(of: 10) ?? bytes.count) + 1
  }

  private static let ownNames = [
    "process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes",
    "process_open_fds", "process_max_fds", "process_start_time_seconds",
  ]

  private static func type(_ kind: Record.Kind?) -> PushType? {
    switch kind {
    case .counter: .counter
    case .gauge: .gauge
    case .histogram: .histogram
    default: nil
    }
  }

  /// The type of a family that the sidecar exposes without a push.
  private static func ownType(_ name: String, _ registry: Registry) -> PushType? {
    if let index = ownNames.firstIndex(of: name) { return index == 0 ? .counter : .gauge }
    return type(registry.kind(of: Array(name.utf8)))
  }
}
