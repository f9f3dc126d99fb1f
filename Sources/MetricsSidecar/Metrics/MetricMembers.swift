import SidecarPlatform
import SidecarRules

/// A member that a family in a rules file may have for some metric types: the types' files define
/// the members that only they have.
struct MetricMember: Sendable {
  let name: String
  /// The types that have it, and their name in messages.
  let types: [MetricType]
  let owners: String
  let read: @Sendable (JSON, KindOptions) throws(JSON.Mistake) -> Void

  init(
    _ name: String, of types: [MetricType], _ owners: String,
    _ read: @escaping @Sendable (JSON, KindOptions) throws(JSON.Mistake) -> Void
  ) {
    self.name = name
    self.types = types
    self.owners = owners
    self.read = read
  }
}

/// All such members of a family in a rules file: one table.
enum MetricMembers {
  static let types = "counter, gauge, histogram, summary, set or event"

  static let table =
    Histogram.members + ExponentialHistogram.members + [maxBuckets] + Summary.members
    + DistinctSet.members + ClientGauge.members + [exemplar] + Gauge.members + [window]

  static let names = table.map { $0.name }

  private static let maxBuckets = MetricMember(
    "max_buckets", of: [.nativeHistogram, .summary],
    "summaries and histograms with \"native\": true"
  ) { json, options throws(JSON.Mistake) in
    options.maxBuckets = Int(try number(json, 16, 1000, "from 16 to 1000 buckets"))
  }

  private static let exemplar = MetricMember(
    "exemplar", of: [.counter, .histogram, .nativeHistogram], "counters and histograms"
  ) { json, options throws(JSON.Mistake) in
    options.exemplar = Array(try json.text().utf8)
    if options.exemplar.isEmpty || options.exemplar.count > 64 {
      throw json.mistake("expected the name of a tag, up to 64 bytes")
    }
  }

  private static let window = MetricMember(
    "window", of: [.clientGauge, .summary, .set],
    "summaries, sets and gauges with a \"merge\" of several clients"
  ) { json, options throws(JSON.Mistake) in
    // As milliseconds within 32 bits.
    guard let window = Quantity.milliseconds(try json.text()), window >= 1000,
      window <= 24 * 86_400_000
    else { throw json.mistake("expected a time from 1s to 576h, such as \"10m\"") }
    options.windowMilliseconds = UInt64(window)
  }

  /// Turns the type into a native histogram or a gauge of several clients, and reports members that
  /// do not belong to it.
  static func finish(
    _ kind: inout MetricType?, _ family: FamilyRule, _ members: [(name: String, value: JSON)],
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
      guard let known = table.first(where: { $0.name == member.name }), !known.types.contains(type)
      else { continue }
      mistakes.append(member.value.mistake(joined("\"", member.name, "\" is for ", known.owners)))
    }
  }

  @inline(never)
  static func number(
    _ json: JSON, _ least: Double, _ most: Double, _ words: StaticString
  ) throws(JSON.Mistake) -> Double {
    guard case .number(let number) = json.value, number >= least, number <= most else {
      throw json.mistake("expected \(words)")
    }
    return number
  }
}
