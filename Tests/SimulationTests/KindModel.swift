import SidecarFuzzSupport

/// What every kind has to come to. Values are such that sums are exact in any order.
struct KindModel {
  private var sums: [String: Double] = [
    "done_total": 0, "wait_seconds_sum": 0, "wait_seconds_count": 0, "size_bytes_sum": 0,
    "size_bytes_count": 0, "query_seconds_sum": 0, "query_seconds_count": 0,
    #"wait_seconds_bucket{le="0.1"}"#: 0, #"wait_seconds_bucket{le="1.0"}"#: 0,
    #"wait_seconds_bucket{le="+Inf"}"#: 0,
  ]
  private var levels: [Int: Double] = [:]
  private var parts: [Int: Double] = [:]
  private var users: Set<Int> = []

  /// Whether each series has had an event, of each client.
  var isComplete: Bool {
    levels.count == 2 && parts.count == 2 && !users.isEmpty && !sums.values.contains(0)
  }

  /// The lines of a frame, which count from now on.
  mutating func lines(client: Int, _ dice: inout Dice) -> [String] {
    (0..<(1 + dice.below(6))).map { _ in line(client, &dice) }
  }

  private mutating func line(_ client: Int, _ dice: inout Dice) -> String {
    switch dice.below(7) {
    case 0:
      sums["done_total"]! += 1
      return "done:1|c"
    case 1:
      levels[client] = Double(dice.below(100))
      return "level:\(levels[client]!)|g|#who:\(client)"
    case 2:
      let value = [0.0625, 0.5, 4][dice.below(3)]
      observe("wait_seconds", value)
      for (bound, text) in [(0.1, "0.1"), (1, "1.0"), (.infinity, "+Inf")] where value <= bound {
        sums["wait_seconds_bucket{le=\"\(text)\"}"]! += 1
      }
      return "wait:\(value)|d"
    case 3:
      let value = Double(1 + dice.below(1000))
      observe("size_bytes", value)
      return "size:\(value)|h"
    case 4:
      let value = Double(dice.below(40)) / 4
      observe("query_seconds", value)
      return "query:\(value)|d"
    case 5:
      let user = dice.below(40)
      users.insert(user)
      return "user:u\(user)|s"
    default:
      parts[client] = Double(dice.below(100))
      return "busy:\(parts[client]!)|g"
    }
  }

  private mutating func observe(_ family: String, _ value: Double) {
    sums[family + "_sum"]! += value
    sums[family + "_count"]! += 1
  }

  /// What a page has otherwise, or `nil`.
  func difference(from page: [String: Double]) -> String? {
    var expected = sums
    for (client, level) in levels { expected["level{who=\"\(client)\"}"] = level }
    expected["busy"] = parts.values.reduce(0, +)
    expected["users"] = Double(users.count)
    for (series, value) in expected.sorted(by: { $0.key < $1.key })
    where page[series, default: 0] != value {
      return "\(series) is \(page[series] ?? -1), not \(value)"
    }
    return nil
  }
}
