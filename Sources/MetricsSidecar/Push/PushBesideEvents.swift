import Platform

/// Families that are exposed without a push.
protocol OtherFamilies: AnyObject {
  /// The type of such a family; `nil` where there is none.
  func type(of name: [UInt8]) -> PushType?
  /// The upper bounds, without +Inf, that such a histogram has.
  func bounds(of name: [UInt8]) -> [Double]?
  /// Whether there is a series of that key, `name{labels}`.
  func hasSeries(_ key: RawSpan) -> Bool
}

/// Keys under which events would have a pushed family's series.
struct OtherSeries: ~Copyable {
  private var bytes = ByteBuffer(capacity: 128)
  private let nameByteCount: Int

  init(_ name: [UInt8]) {
    bytes.append(name)
    bytes.append(UInt8(ascii: "{"))
    nameByteCount = bytes.count
  }

  /// `name{labels}`; a pushed series has at least the label `job`.
  @_lifetime(&self)
  mutating func key(_ labels: RawSpan) -> RawSpan {
    bytes.truncate(to: nameByteCount)
    bytes.append(labels)
    bytes.append(UInt8(ascii: "}"))
    return bytes.bytes
  }
}

/// Pushed series that a page leaves out, by family.
struct HiddenSeries {
  private(set) var families: [(name: [UInt8], count: Int)] = []
  /// Those of further families.
  private(set) var overflow = 0
  private static let familyLimit = 100

  mutating func add(_ name: [UInt8], _ count: Int) {
    if count == 0 { return }
    if families.count < Self.familyLimit {
      families.append((name, count))
    } else {
      overflow += count
    }
  }
}

/// Puts pushed series into the families that events have, for one page.
///
/// A push that does not go with what events have is refused, but events are never held up by what was
/// pushed: where an event's series or family comes after the push, the events are shown, and the
/// pushed series that do not go with them (any more) are left out and counted. Groups keep them, so
/// they are back when the events' series have gone.
///
/// What must stay true: no series is there twice on the page, no family has two types, and no line of
/// one family would be taken for one of another.
struct PushBesideEvents {
  /// Names of pushed families that stand elsewhere on the page, or are left out.
  var elsewhere: Set<[UInt8]> = []
  private(set) var hidden = HiddenSeries()

  init(_ pushed: PushText, _ snapshot: Snapshot, _ registry: Registry) {
    for part in snapshot.parts {
      let family = part.family
      hideLines(of: family, pushed)
      guard let type = pushed.type(of: family.name), elsewhere.insert(family.name).inserted else {
        continue
      }
      if type == family.pushType {
        let (lines, hiddenCount) = pushed.samples(of: family.name, beside: registry)
        snapshot.pushedText[family.name] = lines
        hidden.add(family.name, hiddenCount)
      } else {
        hidden.add(family.name, pushed.seriesCount(of: family.name))
      }
    }
  }

  /// Hides `a_count` beside the events' histogram `a`, and the histogram `a` beside their `a_count`.
  private mutating func hideLines(of family: Family, _ pushed: PushText) {
    for suffix in ["_count", "_sum", "_bucket"] {
      let ending = Array(suffix.utf8)
      if family.pushType.hasLines(ending) { hide(family.name + ending, pushed) }
      guard family.name.suffix(ending.count) == ending[...] else { continue }
      let base = Array(family.name.dropLast(ending.count))
      if pushed.type(of: base)?.hasLines(ending) == true { hide(base, pushed) }
    }
  }

  private mutating func hide(_ name: [UInt8], _ pushed: PushText) {
    guard pushed.type(of: name) != nil, elsewhere.insert(name).inserted else { return }
    hidden.add(name, pushed.seriesCount(of: name))
  }
}

extension PushType {
  /// Whether lines of such a family end in `_count`, `_sum` or `_bucket`.
  fileprivate func hasLines(_ ending: [UInt8]) -> Bool {
    isHistogram || self == .summary && !ending.elementsEqual("_bucket".utf8)
  }
}

extension Registry: OtherFamilies {
  static let ownNames = [
    "process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes",
    "process_open_fds", "process_max_fds", "process_start_time_seconds",
  ]

  func type(of name: [UInt8]) -> PushType? {
    if let index = familyIndex[name] { return families[index].pushType }
    guard name.starts(with: "process_".utf8) else { return nil }
    for (index, own) in Self.ownNames.enumerated() where own.utf8.elementsEqual(name) {
      return index == 0 ? .counter : .gauge
    }
    return nil
  }

  func bounds(of name: [UInt8]) -> [Double]? {
    familyIndex[name].flatMap { families[$0].pushBounds }
  }

  func hasSeries(_ key: RawSpan) -> Bool { table.find(key, in: state) != nil }
}

extension Family {
  /// The type that pushed series of this family must have.
  fileprivate var pushType: PushType {
    switch kind {
    case .counter: .counter
    case .histogram, .nativeHistogram: .histogram
    case .summary: .summary
    case .gauge, .set, .clientGauge, .session, .spelling: .gauge
    }
  }

  /// The buckets that they must have, without +Inf.
  fileprivate var pushBounds: [Double]? { kind == .histogram ? bounds : nil }
}
