import SidecarEvents
import SidecarPlatform

/// Counts of the intake since startup, for the self-metrics.
struct IntakeCounts {
  enum Source: Int, CaseIterable {
    case events, statsd, udp, tcp, spectator, otlp

    /// The label `socket` of the self-metrics.
    var name: StaticString {
      switch self {
      case .events: "events"
      case .statsd: "statsd"
      case .udp: "udp"
      case .tcp: "tcp"
      case .spectator: "spectator"
      case .otlp: "otlp"
      }
    }
  }

  /// The types of a socket's lines, by letter.
  static func types(of source: Source) -> [(letter: UInt8, name: StaticString)] {
    source == .spectator ? spectatorTypes : source == .otlp ? otlpTypes : types
  }

  private static let otlpTypes: [(letter: UInt8, name: StaticString)] = [
    (0x63, "sum"), (0x67, "gauge"), (0x68, "histogram"), (0x78, "exponential_histogram"),
    (0x73, "summary"),
  ]

  private static let types: [(letter: UInt8, name: StaticString)] = [
    (0x63, "c"), (0x67, "g"), (0x6d, "ms"), (0x68, "h"), (0x64, "d"), (0x73, "s"),
  ]

  private static let spectatorTypes: [(letter: UInt8, name: StaticString)] = [
    (0x63, "c"), (0x43, "C"), (0x55, "U"), (0x58, "X"), (0x67, "g"), (0x6d, "m"), (0x41, "A"),
    (0x64, "d"), (0x44, "D"), (0x74, "t"), (0x54, "T"), (0x53, "S"),
  ]

  private(set) var accepted = [UInt64](repeating: 0, count: Source.allCases.count * 128)
  private(set) var lineErrors = [UInt64](repeating: 0, count: LineError.allCases.count)
  private(set) var rejections = [UInt64](repeating: 0, count: Registry.Rejection.allCases.count)
  var datagramsTruncated: UInt64 = 0
  var framesApplied: UInt64 = 0
  var framesDuplicate: UInt64 = 0
  var framesRejected: UInt64 = 0
  /// Frames skipped since they had killed two workers in a row.
  var framesPoisoned: UInt64 = 0
  /// Datagrams and plain lines, likewise.
  var linesPoisoned: UInt64 = 0
  var connectionsRefused: UInt64 = 0
  /// Clients closed to make room, for the memory they held, and for an HTTP request.
  var closed = (evicted: UInt64(0), memory: UInt64(0), request: UInt64(0))

  /// Lines and events that were not counted, for whatever reason.
  var rejectedCount: UInt64 {
    var count = lineErrors.reduce(0, +) + datagramsTruncated + linesPoisoned
    for rejection in Registry.Rejection.allCases where !rejection.isCounted {
      count += rejections[rejection.rawValue]
    }
    return count
  }

  /// Events of all sockets and types.
  var acceptedCount: UInt64 { accepted.reduce(0, +) }

  func events(_ source: Source, _ letter: UInt8) -> UInt64 {
    accepted[source.rawValue * 128 + Int(letter)]
  }

  @inline(__always)
  @_optimize(speed)
  mutating func accept(_ source: Source, _ letter: UInt8, _ count: UInt64 = 1) {
    accepted[source.rawValue * 128 + Int(letter)] += count
  }

  mutating func reject(_ error: LineError) {
    lineErrors[error.rawValue] += 1
  }

  mutating func reject(_ error: Registry.Rejection) {
    rejections[error.rawValue] += 1
  }
}
