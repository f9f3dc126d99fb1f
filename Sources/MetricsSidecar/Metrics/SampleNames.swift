import SidecarPlatform

/// The names of a family's samples, and so which families cannot be in one exposition: a gauge
/// `a_count` beside a histogram `a` would look like its count, and Prometheus would refuse the
/// whole scrape.
enum SampleNames {
  /// The part of its family that a sample's name denotes.
  enum Part {
    case whole, count, sum, bucket, created

    /// The suffix after the family's name.
    var ending: StaticString {
      switch self {
      case .whole: ""
      case .count: "_count"
      case .sum: "_sum"
      case .bucket: "_bucket"
      case .created: "_created"
      }
    }

    /// Whether families of a type have such samples. Only OpenMetrics has start times.
    func isOf(_ type: FamilyType) -> Bool {
      switch self {
      case .whole: !type.isHistogram
      case .bucket: type.isHistogram
      case .count, .sum, .created: type.hasPoints
      }
    }
  }

  /// The parts of histograms and summaries.
  static let parts: [Part] = [.count, .sum, .bucket, .created]

  /// The suffix of a counter's name; OpenMetrics removes it from the family's name.
  static let total: StaticString = "_total"

  // MARK: Names

  /// The family whose sample of that part is called `name`, judging by the name alone.
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

  /// The families that a name in `?name[]=` matches: the family with this name, and those with such
  /// a sample. In OpenMetrics `a_total` is the family `a` with samples `a_total` and `a_created`.
  static func families(meantBy name: [UInt8]) -> [[UInt8]] {
    var families = [name, joined(name, total)]
    for ending in parts.map({ $0.ending }) + [total] {
      if let base = base(name, ending) { families.append(base) }
    }
    if let base = base(name, Part.created.ending) { families.append(joined(base, total)) }
    return families
  }

  // MARK: Clashes

  /// Calls `isFound` with each name that may clash with a family called `name`, until it returns
  /// true: those of its own samples (`isOwn`), and families of which it would be a sample.
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

  /// The family of `types` that clashes with one of that name and type: `nil` if none does. Events
  /// and rules reserve all sample names for histograms and summaries alike.
  static func clash(
    _ name: [UInt8], _ type: FamilyType, _ types: ([UInt8]) -> FamilyType?
  ) -> [UInt8]? {
    first(name) { other, _, isOwn in
      if isOwn, !type.hasPoints { return false }
      guard let known = types(other) else { return false }
      return isOwn || known.hasPoints
    }
  }

  /// The same for pushed families in text 0.0.4: as in Pushgateway, each type has its own samples,
  /// and none has a start time.
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

  /// A counter's name in OpenMetrics: `nil` if it has none, or if that, or a sample of it, belongs
  /// to another family. Such a family has the type `unknown`, so that it never invalidates the
  /// exposition.
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

  /// The base units at the ends of names.
  static func unit(of name: [UInt8]) -> StaticString? {
    let units: [StaticString] = [
      "seconds", "bytes", "ratio", "meters", "grams", "joules", "volts", "amperes", "celsius",
    ]
    for unit in units where endsInUnit(name, unit) { return unit }
    return nil
  }

  /// Whether a name ends in this unit after a `_`, and is more than the unit.
  static func endsInUnit(_ name: [UInt8], _ unit: StaticString) -> Bool {
    let place = name.count - unit.utf8CodeUnitCount - 1
    return place > 0 && name[place] == UInt8(ascii: "_") && has(name, unit)
  }
}
