import SidecarPlatform

/// The options of a push in its query and header.
struct PushOptions {
  var mode = GroupWriter.Mode.replace
  var timeToLive = 0.0
  var isDryRun = false

  init() {}

  init(
    query: RawSpan, field: RawSpan?, isPut: Bool, _ settings: PushSettings
  ) throws(PushError) {
    var aggregates = settings.aggregates
    var gauges = settings.gauges
    timeToLive = settings.timeToLive
    if let field { timeToLive = try Self.seconds(String(copying: field)) }
    if query.byteCount > 0 {
      for pair in SeriesKey.array(query).split(separator: UInt8(ascii: "&")) {
        let parts = pair.split(
          separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : ""
        switch String(decoding: parts[0], as: UTF8.self) {
        case "mode":
          guard value == "aggregate" || value == "replace" else {
            throw PushError(joined("mode is aggregate or replace, not \"", value, "\""))
          }
          aggregates = value == "aggregate"
        case "gauges":
          guard let rule = GaugeRule(name: value) else {
            throw PushError(joined("gauges is last, sum or max, not \"", value, "\""))
          }
          gauges = rule
        case "ttl": timeToLive = try Self.seconds(value)
        case "check": isDryRun = value != "0" && value != "false"
        default: break
        }
      }
    }
    mode = aggregates ? .aggregate(gauges) : isPut ? .replace : .merge
  }

  private static func seconds(_ text: String) throws(PushError) -> Double {
    if text == "0" { return 0 }
    guard let milliseconds = Quantity.milliseconds(text), milliseconds > 0 else {
      throw PushError(joined("a time to live is 90s, 5m, 12h or 0 for no end, not \"", text, "\""))
    }
    return Double(milliseconds) / 1000
  }
}

extension GaugeRule {
  init?(name: String) {
    switch name {
    case "last": self = .last
    case "sum": self = .sum
    case "max": self = .max
    default: return nil
    }
  }
}
