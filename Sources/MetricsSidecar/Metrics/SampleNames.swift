import SidecarPlatform

/// What samples are called beside their family, and so which families cannot be on one page: a gauge
/// `a_count` beside a histogram `a` would be taken for its count, and a scrape with both refused whole.
enum SampleNames {
  /// What a sample's name says it is of its family.
  enum Part {
    case whole, count, sum, bucket, created

    /// What stands behind the family's name.
    var ending: StaticString {
      switch self {
      case .whole: ""
      case .count: "_count"
      case .sum: "_sum"
      case .bucket: "_bucket"
      case .created: "_created"
      }
    }

    /// Whether families of a type have such samples. OpenMetrics alone has start times.
    func isOf(_ type: FamilyType) -> Bool {
      switch self {
      case .whole: !type.isHistogram
      case .bucket: type.isHistogram
      case .count, .sum, .created: type.hasPoints
      }
    }
  }

  /// The parts that histograms and summaries have.
  static let parts: [Part] = [.count, .sum, .bucket, .created]

  /// What a counter's name ends in; OpenMetrics leaves it off the family's name.
  static let total: StaticString = "_total"

  // MARK: Names

  /// The family whose sample of that part is called `name`, going by the name alone.
  static func base(_ name: [UInt8], _ ending: StaticString) -> [UInt8]? {
    has(name, ending) ? Array(name.dropLast(ending.utf8CodeUnitCount)) : nil
  }

  static func has(_ name: [UInt8], _ ending: StaticString) -> Bool {
    let start = name.count - ending.utf8CodeUnitCount
    guard start >= 0 else { return false }
    for index in 0..<ending.utf8CodeUnitCount
    where unsafe name[start + index] != ending.utf8Start[index] {
      return false
    }
    return true
  }

  static func joined(_ name: [UInt8], _ ending: StaticString) -> [UInt8] {
    // Sound: a static string's bytes live as long as the program.
    unsafe name + UnsafeBufferPointer(start: ending.utf8Start, count: ending.utf8CodeUnitCount)
  }

  /// The families that `?name[]=` means by a name: the one called so, and those that have such a
  /// sample. OpenMetrics calls `a_total` the family `a` with samples `a_total` and `a_created`.
  static func families(meantBy name: [UInt8]) -> [[UInt8]] {
    var families = [name, joined(name, total)]
    for ending in parts.map({ $0.ending }) + [total] {
      if let base = base(name, ending) { families.append(base) }
    }
    if let base = base(name, Part.created.ending) { families.append(joined(base, total)) }
    return families
  }

  // MARK: Clashes

  /// Calls `isFound` with each name that may clash with a family called `name`, until it is: those of
  /// its own samples (`isOwn`), and families of which it would be a sample.
  @inline(__always)
  private static func first(
    _ name: [UInt8], _ isFound: (_ other: [UInt8], _ part: Part, _ isOwn: Bool) -> Bool
  ) -> [UInt8]? {
    for part in parts {
      let longer = joined(name, part.ending)
      if isFound(longer, part, true) { return longer }
      if let base = base(name, part.ending), !base.isEmpty, isFound(base, part, false) {
        return base
      }
    }
    return nil
  }

  /// The family of `types` that clashes with one of that name and type: `nil` where none does. Events
  /// and rules leave all names of samples to histograms and summaries alike.
  static func clash(
    _ name: [UInt8], _ type: FamilyType, _ types: ([UInt8]) -> FamilyType?
  ) -> [UInt8]? {
    first(name) { other, _, isOwn in
      if isOwn, !type.hasPoints { return false }
      guard let known = types(other) else { return false }
      return isOwn || known.hasPoints
    }
  }

  /// The same for pushed families, of which text 0.0.4 is to tell the samples: as Pushgateway has it,
  /// each type has its own, and none a start time.
  static func pushedClash(
    _ name: [UInt8], _ type: FamilyType, _ types: ([UInt8]) -> FamilyType?
  ) -> [UInt8]? {
    var found: [UInt8]?
    forEachPushedClash(name, type, types) { if found == nil { found = $0 } }
    return found
  }

  static func forEachPushedClash(
    _ name: [UInt8], _ type: FamilyType, _ types: ([UInt8]) -> FamilyType?,
    _ body: ([UInt8]) -> Void
  ) {
    _ = first(name) { other, part, isOwn in
      guard part != .created, !isOwn || part.isOf(type), let known = types(other),
        isOwn || part.isOf(known)
      else { return false }
      body(other)
      return false
    }
  }

  // MARK: OpenMetrics

  /// A counter's name in OpenMetrics: `nil` where it has none, or where that, or a sample of it, is
  /// another family's or a sample of one. Such a family is of type `unknown`, so that it never spoils
  /// the page.
  static func short(
    _ counter: [UInt8], isFamily: ([UInt8]) -> Bool, hasSamples: ([UInt8]) -> Bool
  ) -> [UInt8]? {
    guard let short = base(counter, total), !short.isEmpty else { return nil }
    // Another counter's sample: `jobs_created` of `jobs_total`.
    if let base = base(short, Part.created.ending), isFamily(joined(base, total)) { return nil }
    if isFamily(short) || isFamily(joined(short, Part.created.ending)) { return nil }
    for part in parts {
      if let base = base(short, part.ending), !base.isEmpty, hasSamples(base) { return nil }
    }
    return short
  }

  /// The base units that names end with.
  static func unit(of name: [UInt8]) -> StaticString? {
    let units: [StaticString] = [
      "seconds", "bytes", "ratio", "meters", "grams", "joules", "volts", "amperes", "celsius",
    ]
    for unit in units where endsInUnit(name, unit) { return unit }
    return nil
  }

  /// Whether a name is more than a unit, which it ends in after a `_`.
  static func endsInUnit(_ name: [UInt8], _ unit: StaticString) -> Bool {
    let place = name.count - unit.utf8CodeUnitCount - 1
    return place > 0 && name[place] == UInt8(ascii: "_") && has(name, unit)
  }
}
