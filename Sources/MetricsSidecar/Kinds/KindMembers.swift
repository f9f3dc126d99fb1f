import SidecarPlatform
import SidecarRules

/// What a family in a rules file may say of native histograms, summaries, sets and gauges of several
/// clients.
enum KindMembers {
  static let types = "counter, gauge, histogram, summary, set or event"
  static let names = [
    "native", "bucket_factor", "zero_threshold", "max_buckets", "quantiles", "exact", "merge",
    "client", "exemplar", "minus", "window",
  ]

  /// `index` is of `names`.
  static func read(
    _ index: Int, _ json: JSON, into options: KindOptions
  ) throws(JSON.Mistake) {
    switch index {
    case 0:
      options.isNative = try json.flag()
    case 1:
      options.schema = schema(try number(json, 1.0027, 65_536, "a factor from 1.0027 to 65536"))
    case 2: options.zeroThreshold = try number(json, 0, 1e300, "a number from 0 up")
    case 3: options.maxBuckets = Int(try number(json, 16, 1000, "from 16 to 1000 buckets"))
    case 4: options.quantiles = try quantiles(json)
    case 5: options.exact = Int(try number(json, 16, 40_000, "from 16 to 40000 values"))
    case 6: try merge(json, into: options)
    case 7: options.clientTag = Array(try json.text().utf8)
    case 8:
      options.exemplar = Array(try json.text().utf8)
      if options.exemplar.isEmpty || options.exemplar.count > 64 {
        throw json.mistake("expected the name of a tag, up to 64 bytes")
      }
    case 9:
      guard let minus = GaugeMinus(name: try json.text()), minus != .auto else {
        throw json.mistake("\"minus\" is step or value")
      }
      options.minus = minus
    default:
      // As milliseconds within 32 bits.
      guard let window = Quantity.milliseconds(try json.text()), window >= 1000,
        window <= 24 * 86_400_000
      else { throw json.mistake("expected a time from 1s to 576h, such as \"10m\"") }
      options.windowMilliseconds = UInt64(window)
    }
  }

  /// Makes a native histogram or a gauge of several clients of the type, and tells what does not
  /// belong to it.
  static func finish(
    _ kind: inout Record.Kind?, _ family: FamilyRule, _ members: [(name: String, value: JSON)],
    _ mistakes: inout [JSON.Mistake]
  ) {
    guard var type = kind else { return }
    if type == .histogram, family.options.isNative { type = .nativeHistogram }
    if type == .gauge, family.options.merge != .last { type = .clientGauge }
    kind = type
    for member in members {
      if type == .summary, member.name == "labels",
        family.labels.contains(where: { $0.name == "quantile" })
      {
        mistakes.append(member.value.mistake("the label quantile is the summary's own"))
      }
      if member.name == "exemplar",
        family.labels.contains(where: { $0.source == .tag(family.options.exemplar) })
      {
        mistakes.append(member.value.mistake("an exemplar's tag cannot be a label too"))
      }
      guard let index = names.firstIndex(of: member.name), let owner = owner(index, type) else {
        continue
      }
      mistakes.append(member.value.mistake(joined("\"", member.name, "\" is for ", owner)))
    }
  }

  /// Whose a member is, where it is not this kind's.
  private static func owner(_ index: Int, _ kind: Record.Kind) -> String? {
    let isNative = kind == .nativeHistogram
    switch index {
    case 0: return isNative || kind == .histogram ? nil : "histograms"
    case 1, 2: return isNative ? nil : "histograms with \"native\": true"
    case 3:
      return isNative || kind == .summary
        ? nil : "summaries and histograms with \"native\": true"
    case 4: return kind == .summary ? nil : "summaries"
    case 5: return kind == .set ? nil : "sets"
    case 6: return kind == .clientGauge || kind == .gauge ? nil : "gauges"
    case 7: return kind == .clientGauge ? nil : "gauges with a \"merge\" of several clients"
    case 8:
      return isNative || kind == .counter || kind == .histogram ? nil : "counters and histograms"
    case 9: return kind == .clientGauge || kind == .gauge ? nil : "gauges"
    default:
      return kind == .clientGauge || kind == .summary || kind == .set
        ? nil : "summaries, sets and gauges with a \"merge\" of several clients"
    }
  }

  @inline(never)
  private static func number(
    _ json: JSON, _ least: Double, _ most: Double, _ words: StaticString
  ) throws(JSON.Mistake) -> Double {
    guard case .number(let number) = json.value, number >= least, number <= most else {
      throw json.mistake("expected \(words)")
    }
    return number
  }

  private static func quantiles(_ json: JSON) throws(JSON.Mistake) -> [Double] {
    var list: [Double] = []
    for item in try json.items() {
      let quantile = try number(item, 0, 1, "a number from 0 to 1")
      if let last = list.last, quantile <= last {
        throw item.mistake("each quantile is above the one before it")
      }
      list.append(quantile)
    }
    if list.isEmpty || list.count > 32 { throw json.mistake("expected from 1 to 32 quantiles") }
    return list
  }

  private static func merge(_ json: JSON, into options: KindOptions) throws(JSON.Mistake) {
    let words = ["last", "sum", "min", "max", "livesum", "livemin", "livemax"]
    guard let index = words.firstIndex(of: try json.text()) else {
      throw json.mistake("\"merge\" is last, sum, min, max, livesum, livemin or livemax")
    }
    options.isLive = index > 3
    options.merge =
      KindOptions.Merge(rawValue: UInt8(options.isLive ? index - 3 : index)) ?? .last
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
