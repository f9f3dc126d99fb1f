import SidecarPlatform

/// One of the sidecar's own metrics. `OwnMetric.table` has them all: `/metrics`, the reserved names
/// and the list in docs/exposition.md follow from it.
struct OwnMetric: Sendable {
  let name: StaticString
  let type: FamilyType
  let help: StaticString
  private let values: Values

  private enum Values: Sendable {
    /// The value of a single series without labels; `nil` if the metric is not shown.
    case one(@Sendable (OwnMoment) -> Double?)
    /// Writes several series; returns whether the metric is shown.
    case several(@Sendable (OwnMoment, inout OwnFamily) -> Bool)
  }

  init(
    _ name: StaticString, _ type: FamilyType, _ help: StaticString,
    _ value: @escaping @Sendable (OwnMoment) -> Double?
  ) {
    self.name = name
    self.type = type
    self.help = help
    values = .one(value)
  }

  init(
    _ name: StaticString, _ type: FamilyType, _ help: StaticString,
    several: @escaping @Sendable (OwnMoment, inout OwnFamily) -> Bool
  ) {
    self.name = name
    self.type = type
    self.help = help
    values = .several(several)
  }

  /// The sidecar's own families at this moment.
  static func families(_ moment: OwnMoment) -> [OwnFamily] {
    var families: [OwnFamily] = []
    for row in table {
      var family = OwnFamily(name: row.name.bytes, type: row.type, help: row.help.bytes)
      switch row.values {
      case .one(let value):
        guard let value = value(moment) else { continue }
        family.samples.append(([], value))
      case .several(let add): guard add(moment, &family) else { continue }
      }
      families.append(family)
    }
    return families
  }

  /// The type of one of the `process_` families: other programs may push series of these.
  static func processType(of name: [UInt8]) -> FamilyType? {
    guard name.starts(with: "process_".utf8) else { return nil }
    for row in table where unsafe name.span.bytes.isEqual(to: row.name) { return row.type }
    return nil
  }
}

/// One of the sidecar's own families, as exposed.
struct OwnFamily {
  let name: [UInt8]
  let type: FamilyType
  let help: [UInt8]
  /// Labels in the text format, without braces.
  var samples: [(labels: [UInt8], value: Double)] = []

  /// Adds a series with one label, whose value needs no escaping.
  mutating func add(_ label: StaticString, _ text: [UInt8], _ value: Double) {
    var labels = label.bytes
    labels += Array("=\"".utf8)
    labels += text
    labels.append(UInt8(ascii: "\""))
    samples.append((labels, value))
  }

  mutating func add(_ label: StaticString, _ text: StaticString, _ count: UInt64) {
    add(label, text.bytes, Double(count))
  }
}

/// The source of the table's values.
struct OwnMoment {
  let own: SelfMetrics
  let processor: LineProcessor
  let push: PushAPI?
  let process: ProcessStatus

  init(_ own: SelfMetrics, _ processor: LineProcessor, _ push: PushAPI?) {
    self.own = own
    self.processor = processor
    self.push = push
    var scratch = ByteBuffer(capacity: 256)
    process = ProcessStatus.read(openFileLimit: own.openFileLimit, scratch: &scratch)
  }

  var registry: Registry { processor.registry }
}

extension StaticString {
  /// A copy of its bytes.
  var bytes: [UInt8] {
    // Sound: they live as long as the program.
    unsafe [UInt8](UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount))
  }
}
