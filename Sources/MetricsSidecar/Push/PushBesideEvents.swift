import SidecarPlatform

/// Families that are exposed without a push.
protocol OtherFamilies: AnyObject {
  /// The type of such a family; `nil` where there is none.
  func type(of name: [UInt8]) -> FamilyType?
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

extension Registry: OtherFamilies {
  static let ownNames = [
    "process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes",
    "process_open_fds", "process_max_fds", "process_start_time_seconds",
  ]

  func type(of name: [UInt8]) -> FamilyType? {
    if let index = familyIndex[name] { return FamilyType(families[index].kind) }
    guard name.starts(with: "process_".utf8) else { return nil }
    for (index, own) in Self.ownNames.enumerated() where own.utf8.elementsEqual(name) {
      return index == 0 ? .counter : .gauge
    }
    return nil
  }

  func bounds(of name: [UInt8]) -> [Double]? {
    familyIndex[name].flatMap { families[$0].pushBounds }
  }

  func hasSeries(_ key: RawSpan) -> Bool {
    guard let plain = Labels.withoutEmpty(key) else {
      return table.find(key, in: state) != nil
    }
    return table.find(plain.bytes, in: state) != nil
  }

  /// Whether there was a series of that key at the moment of the page that is being written.
  func hadSeries(_ key: RawSpan) -> Bool {
    guard let plain = Labels.withoutEmpty(key) else { return hadPlainSeries(key) }
    return hadPlainSeries(plain.bytes)
  }

  private func hadPlainSeries(_ key: RawSpan) -> Bool {
    if let record = table.find(key, in: state), state.wasInUse(record) { return true }
    return !removed.isEmpty && removed.contains(HashKey.process.hash(key))
  }
}

extension Family {
  /// The buckets that pushed series of this family must have, without +Inf.
  var pushBounds: [Double]? { kind == .histogram ? bounds : nil }
}
