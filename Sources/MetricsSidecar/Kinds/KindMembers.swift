import Platform

/// What a family in a rules file may say of native histograms, summaries, sets and gauges of several
/// clients.
enum KindMembers {
  static let types = "counter, gauge, histogram, summary or set"
  static let names = [
    "native", "bucket_factor", "max_buckets", "zero_threshold", "quantiles", "window", "exact",
    "merge", "client",
  ]

  static func read(
    _ name: String, _ json: JSON, into options: inout KindOptions
  ) throws(JSON.Mistake) {
    switch name {
    case "native":
      guard case .bool(let isNative) = json.value else { throw json.mistake("expected true") }
      options.isNative = isNative
    case "bucket_factor":
      options.schema = schema(try number(json, 1.0027...65_536, "a factor from 1.0027 to 65536"))
    case "max_buckets":
      options.maxBuckets = Int(try number(json, 16...1000, "from 16 to 1000 buckets"))
    case "zero_threshold":
      options.zeroThreshold = try number(json, 0...1e300, "a number from 0 up")
    case "quantiles": options.quantiles = try quantiles(json)
    case "window":
      guard let window = Quantity.milliseconds(try json.text()), window >= 1000,
        window <= 366 * 86_400_000
      else { throw json.mistake("expected a time from 1s to 8784h, such as \"10m\"") }
      options.windowMilliseconds = UInt64(window)
    case "exact": options.exact = Int(try number(json, 16...40_000, "from 16 to 40000 values"))
    case "merge": try merge(json, into: &options)
    default: options.clientTag = Array(try json.text().utf8)
    }
  }

  /// Makes a native histogram or a gauge of several clients of the type, and tells what does not
  /// belong to it.
  static func finish(
    _ kind: inout Record.Kind?, _ family: FamilyRule, _ members: [(name: String, value: JSON)],
    _ mistakes: inout [JSON.Mistake]
  ) {
    let options = family.options
    if kind == .histogram, options.isNative { kind = .nativeHistogram }
    if kind == .gauge, options.merge != .last { kind = .clientGauge }
    if kind == .summary, family.labels.contains(where: { $0.name == "quantile" }) {
      mistakes.append(members[0].value.mistake("the label quantile is the summary's own"))
    }
    guard let kind else { return }
    for (name, value) in members {
      let owner: String?
      switch name {
      case "native": owner = kind == .nativeHistogram || kind == .histogram ? nil : "histograms"
      case "max_buckets":
        owner =
          kind == .nativeHistogram || kind == .summary
          ? nil : "summaries and histograms with \"native\": true"
      case "bucket_factor", "zero_threshold":
        owner = kind == .nativeHistogram ? nil : "histograms with \"native\": true"
      case "quantiles": owner = kind == .summary ? nil : "summaries"
      case "exact": owner = kind == .set ? nil : "sets"
      case "merge": owner = kind == .clientGauge || kind == .gauge ? nil : "gauges"
      case "client":
        owner = kind == .clientGauge ? nil : "gauges with a \"merge\" of several clients"
      case "window":
        owner =
          kind == .summary || kind == .set || kind == .clientGauge
          ? nil : "summaries, sets and gauges with a \"merge\" of several clients"
      default: owner = nil
      }
      if let owner { mistakes.append(value.mistake("\"\(name)\" is for \(owner)")) }
    }
  }

  private static func number(
    _ json: JSON, _ range: ClosedRange<Double>, _ words: String
  ) throws(JSON.Mistake) -> Double {
    guard case .number(let number) = json.value, range.contains(number) else {
      throw json.mistake("expected " + words)
    }
    return number
  }

  private static func quantiles(_ json: JSON) throws(JSON.Mistake) -> [Double] {
    var list: [Double] = []
    for item in try json.items() {
      let quantile = try number(item, 0...1, "a number from 0 to 1")
      if let last = list.last, quantile <= last { throw item.mistake("quantiles have to rise") }
      list.append(quantile)
    }
    if list.isEmpty || list.count > 32 { throw json.mistake("from 1 to 32 quantiles") }
    return list
  }

  private static func merge(
    _ json: JSON, into options: inout KindOptions
  ) throws(JSON.Mistake) {
    switch try json.text() {
    case "last": options.merge = .last
    case "sum": options.merge = .sum
    case "min": options.merge = .min
    case "max": options.merge = .max
    case "livesum": (options.merge, options.isLive) = (.sum, true)
    case "livemin": (options.merge, options.isLive) = (.min, true)
    case "livemax": (options.merge, options.isLive) = (.max, true)
    default:
      throw json.mistake("\"merge\" is last, sum, min, max, livesum, livemin or livemax")
    }
  }

  /// The coarsest schema whose buckets grow by no more than the factor, as with the official clients.
  private static func schema(_ factor: Double) -> Int {
    var schema = ExponentialScale.schemas.lowerBound
    while schema < ExponentialScale.schemas.upperBound,
      ExponentialScale.upperBound(of: 1, schema: schema) > factor
    {
      schema += 1
    }
    return schema
  }
}
