import SidecarPlatform

/// The memory that the limits allow, compared with the container's: `Limits` lists its parts. It
/// excludes the state file and that of pushed groups, which are mapped from disk.
struct MemoryBound {
  private let limits: Limits
  /// 0 if pushing is off.
  private let pushByteCount: Int64
  /// The container's limit, in bytes; 0 if it has none.
  let limit: Int64
  private(set) var byteCount: Int64 = 0

  init(_ settings: Settings, limit: Int64) {
    limits = settings.limits
    pushByteCount = settings.push.isOn ? Int64(settings.push.limits.bodyByteCount) : 0
    self.limit = limit
    // The code, a turn's answers, a read buffer.
    var sum: Int64 = 3 << 20
    forEach { sum += $1 }
    byteCount = sum
  }

  /// Each flag, and the bytes that it allows.
  private func forEach(_ body: (StaticString, Int64) -> Void) {
    let series = Int64(limits.series)
    body("--max-client-memory", Int64(limits.clientMemoryByteCount))
    body("--max-exposition-size", Int64(limits.expositionByteCount))
    // The table of known lines, and the rest of each series.
    let lines = max(4 << 20, 400 * series)
    body("--max-series", lines + 250 * series)
    body("--max-exemplars", 150 * Int64(limits.exemplars))
    body("--max-datagram-size", Int64(Datagrams.capacity * limits.datagramByteCount))
    body("--max-sessions", 100 * Int64(limits.sessions))
    body("--history", Int64(limits.historyByteCount))
    body("--max-push-size", 6 * pushByteCount)
    guard limits.otlpByteCount > 0 else { return }
    // Known lines, a slot in each of two tables; the digests of those that made room.
    let streams = Int64(limits.knownLineByteCount) - lines + 60 * Int64(limits.otlpStreams)
    body("--max-otlp-streams", streams + (1 << 20))
    body("--max-otlp-size", Int64(limits.otlpScratchByteCount - limits.reservedByteCount))
  }

  /// One line with the flags that allow the most; empty if everything fits.
  var warning: String {
    guard limit > 0, byteCount > limit else { return "" }
    var flags = ""
    forEach { flag, part in
      if part * 6 >= byteCount {
        flags += joined(" ", flag.description, " (", Self.text(part), ")")
      }
    }
    return joined(
      "The limits allow ", Self.text(byteCount), " of memory and the container has ",
      Self.text(limit), ", so its kernel may kill this under load. Lower", flags,
      ", or give the container more")
  }

  /// `55 MiB`.
  private static func text(_ byteCount: Int64) -> String {
    joined(((byteCount + 524_288) >> 20).description, " MiB")
  }
}
