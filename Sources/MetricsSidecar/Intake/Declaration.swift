import SidecarEvents
import SidecarPlatform
import SidecarRules

/// A client's declaration of a family that no rule makes: one parsed line.
///
///     _family|<name>|<type>|<help>[|b:<bound>,<bound>…][|m:<merge>]
///     _family|wait_seconds|histogram|Time in the queue|b:0.1,1,10
///
/// `type` is counter, gauge, histogram, native or summary. In `help`, `\\`, `\n` and `\p` stand for
/// a backslash, a newline and a bar. Bounds are ascending and finite; +Inf is added, or is the only
/// one. `merge` is as in a rule, or `all`, `liveall` (for series with a label for each client),
/// `mostrecent`, `livemostrecent`. Unknown fields are ignored.
struct Declaration {
  let name: [UInt8]
  /// The text of the line after `_family|`.
  let text: [UInt8]
  private(set) var kind: MetricType
  private(set) var help: [UInt8] = []
  private(set) var bounds: [Double] = []
  private(set) var merge = KindOptions.Merge.last
  private(set) var isLive = false
  /// Whether each series has one client, identified by a label.
  private(set) var isOwn = false

  /// As in a rules file.
  static let boundLimit = 200
  /// How long a live series of one client stays after its last event: it has a label of its own, so
  /// series of former clients would accumulate. A client resends its gauges every minute.
  static let ownTimeToLive: UInt64 = 300_000_000_000

  /// Parses the text after `_family|`.
  /// - Throws: `.badDeclaration` for any mistake.
  init(_ text: [UInt8]) throws(LineError) {
    let fields = text.split(
      separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
    guard fields.count >= 3, Self.isName(fields[0]), let kind = Self.kind(fields[1]) else {
      throw .badDeclaration
    }
    name = Array(fields[0])
    self.text = text
    self.kind = kind
    guard let help = Self.unescaped(fields[2]) else { throw .badDeclaration }
    self.help = help
    var hasBounds = false
    for field in fields.dropFirst(3) {
      if field.starts(with: "b:".utf8) {
        hasBounds = true
        bounds = try Self.bounds(field.dropFirst(2))
      } else if field.starts(with: "m:".utf8) {
        try setMerge(field.dropFirst(2))
      }
    }
    guard kind == .histogram || bounds.isEmpty, kind == .gauge || merge == .last && !isOwn else {
      throw .badDeclaration
    }
    if kind == .histogram, !hasBounds { bounds = FamilyRule.defaultBuckets }
    if kind == .gauge, merge != .last { self.kind = .clientGauge }
  }

  /// The declared family. `clients` is the limit of clients of a merged gauge.
  func family(clients: Int) -> Family {
    let options = KindOptions()
    options.merge = merge
    options.isLive = isLive
    options.maxClients = isOwn ? 1 : clients
    if kind == .summary { options.quantiles = [] }
    // As fine as samples may come: many of them make the buckets coarser.
    if kind == .nativeHistogram { options.schema = ExponentialScale.schemas.upperBound }
    if kind == .counter || kind == .histogram || kind == .nativeHistogram {
      options.exemplar = KindOptions.anyExemplar
    }
    let family = Family(
      name: name, kind: kind, help: String(decoding: help, as: UTF8.self), bounds: bounds,
      options: options)
    family.isDeclared = true
    family.isDeclaredByClient = true
    if isOwn, isLive { family.timeToLive = Self.ownTimeToLive }
    return family
  }

  // MARK: Fields

  /// A metric's name without colons, which end an event's name.
  private static func isName(_ name: ArraySlice<UInt8>) -> Bool {
    guard let first = name.first, first &- 48 > 9 else { return false }
    return name.allSatisfy(Names.isWordByte)
  }

  private static func kind(_ word: ArraySlice<UInt8>) -> MetricType? {
    let words: [(StaticString, MetricType)] = [
      ("counter", .counter), ("gauge", .gauge), ("histogram", .histogram), ("summary", .summary),
      ("native", .nativeHistogram),
    ]
    for (name, kind) in words where word.elementsEqual(name) { return kind }
    return nil
  }

  private static func bounds(_ text: ArraySlice<UInt8>) throws(LineError) -> [Double] {
    var list: [Double] = []
    for word in text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      let number = unsafe Array(word).withUnsafeBytes { bytes in
        unsafe Decimal.parse(RawSpan(_unsafeBytes: bytes))
      }
      if number == .infinity { break }
      guard number.isFinite, list.last.map({ $0 < number }) ?? true, list.count < boundLimit else {
        throw .badDeclaration
      }
      list.append(number)
    }
    return list
  }

  private mutating func setMerge(_ word: ArraySlice<UInt8>) throws(LineError) {
    var word = word
    if word.starts(with: "live".utf8) {
      isLive = true
      word = word.dropFirst(4)
    }
    let words: [(StaticString, KindOptions.Merge)] = [
      ("sum", .sum), ("min", .min), ("max", .max), ("mostrecent", .mostRecent), ("all", .max),
    ]
    guard let found = words.first(where: { word.elementsEqual($0.0) }) else {
      throw .badDeclaration
    }
    merge = found.1
    isOwn = word.elementsEqual("all" as StaticString)
  }

  /// A text in which `\\`, `\n`, `\p` and `\c` stand for a backslash, a newline, a bar and a comma;
  /// `nil` if anything else follows a backslash.
  static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.contains(UInt8(ascii: "\\")) else { return Array(text) }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var rest = text
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        result.append(byte)
        continue
      }
      switch rest.popFirst() {
      case UInt8(ascii: "\\"): result.append(UInt8(ascii: "\\"))
      case UInt8(ascii: "n"): result.append(UInt8(ascii: "\n"))
      case UInt8(ascii: "p"): result.append(UInt8(ascii: "|"))
      case UInt8(ascii: "c"): result.append(UInt8(ascii: ","))
      default: return nil
      }
    }
    return result
  }
}

extension ArraySlice<UInt8> {
  fileprivate func elementsEqual(_ word: StaticString) -> Bool {
    // Sound: a static string's bytes live as long as the program.
    unsafe elementsEqual(
      UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
  }
}
