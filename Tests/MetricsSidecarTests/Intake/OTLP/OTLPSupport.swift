import Foundation
import SidecarPlatform

@testable import MetricsSidecar

/// A message of protobuf, field by field.
struct Message {
  var bytes: [UInt8] = []

  static func varint(_ number: UInt64) -> [UInt8] {
    var rest = number
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  mutating func number(_ field: UInt64, _ value: UInt64) {
    bytes += Self.varint(field << 3) + Self.varint(value)
  }

  mutating func signed(_ field: UInt64, _ value: Int64) {
    number(field, UInt64(bitPattern: value << 1 ^ value >> 63))
  }

  mutating func fixed(_ field: UInt64, _ value: UInt64) {
    bytes += Self.varint(field << 3 | 1)
    withUnsafeBytes(of: value.littleEndian) { bytes += Array($0) }
  }

  mutating func double(_ field: UInt64, _ value: Double) { fixed(field, value.bitPattern) }

  mutating func part(_ field: UInt64, _ content: [UInt8]) {
    bytes += Self.varint(field << 3 | 2) + Self.varint(UInt64(content.count)) + content
  }

  mutating func text(_ field: UInt64, _ text: String) { part(field, Array(text.utf8)) }

  mutating func attributes(_ field: UInt64, _ attributes: [(String, String)]) {
    for (key, value) in attributes {
      var text = Message()
      text.text(1, value)
      var attribute = Message()
      attribute.text(1, key)
      attribute.part(2, text.bytes)
      part(field, attribute.bytes)
    }
  }
}

/// A request with one metric of one worker.
struct Export {
  var resource = [("service.name", "shop"), ("service.instance.id", "a")]
  var scope = "m"
  var name = "jobs"
  var unit = ""
  var help = ""
  /// The field of `Metric`: 5 gauge, 7 sum, 9 histogram, 10 exponential histogram.
  var type: UInt64 = 7
  /// 1 delta, 2 cumulative.
  var temporality: UInt64 = 2
  var isMonotonic = true
  var points: [[UInt8]] = []

  static func number(
    _ value: Double, start: UInt64 = 1, time: UInt64 = 10, _ attributes: [(String, String)] = [],
    flags: UInt64 = 0
  ) -> [UInt8] {
    var point = Message()
    point.fixed(2, start)
    point.fixed(3, time)
    point.double(4, value)
    point.attributes(7, attributes)
    if flags != 0 { point.number(8, flags) }
    return point.bytes
  }

  /// One point of `jobs{queue="mail"}` from a worker.
  static func sum(
    _ value: Double, worker: String = "a", start: UInt64 = 1, time: UInt64 = 10, delta: Bool = false
  ) -> Export {
    var export = Export()
    export.resource[1].1 = worker
    export.temporality = delta ? 1 : 2
    export.points = [number(value, start: start, time: time, [("queue", "mail")])]
    return export
  }

  static func histogram(
    _ counts: [UInt64], _ bounds: [Double], sum: Double? = nil, start: UInt64 = 1,
    time: UInt64 = 10, _ attributes: [(String, String)] = []
  ) -> [UInt8] {
    var point = Message()
    point.attributes(9, attributes)
    point.fixed(2, start)
    point.fixed(3, time)
    point.fixed(4, counts.reduce(0, +))
    if let sum { point.double(5, sum) }
    for count in counts { point.fixed(6, count) }
    var packed = Message()
    for bound in bounds { packed.double(1, bound) }
    var bytes: [UInt8] = []
    for (index, byte) in packed.bytes.enumerated() where index % 9 != 0 { bytes.append(byte) }
    point.part(7, bytes)
    return point.bytes
  }

  static func exponential(
    scale: Int64, offset: Int64, _ counts: [UInt64], zeros: UInt64 = 0, start: UInt64 = 1,
    time: UInt64 = 10
  ) -> [UInt8] {
    var side = Message()
    side.signed(1, offset)
    side.part(2, counts.flatMap { Message.varint($0) })
    var point = Message()
    point.fixed(2, start)
    point.fixed(3, time)
    point.fixed(4, counts.reduce(zeros, +))
    point.signed(6, scale)
    point.fixed(7, zeros)
    point.part(8, side.bytes)
    return point.bytes
  }

  var bytes: [UInt8] {
    var data = Message()
    for point in points { data.part(1, point) }
    if type != 5 && type != 11 { data.number(2, temporality) }
    if type == 7, isMonotonic { data.number(3, 1) }
    var metric = Message()
    metric.text(1, name)
    metric.text(2, help)
    metric.text(3, unit)
    metric.part(type, data.bytes)
    var scope = Message()
    scope.text(1, self.scope)
    var scopeMetrics = Message()
    scopeMetrics.part(1, scope.bytes)
    scopeMetrics.part(2, metric.bytes)
    var resource = Message()
    resource.attributes(1, self.resource)
    var resourceMetrics = Message()
    resourceMetrics.part(1, resource.bytes)
    resourceMetrics.part(2, scopeMetrics.bytes)
    var request = Message()
    request.part(1, resourceMetrics.bytes)
    return request.bytes
  }
}

/// What `--otlp` brings to a registry, without sockets.
final class OTLPFixture {
  let fixture: Fixture
  var intake: OTLPIntake!
  var settings = OTLPSettings()

  init(
    rules: String = "{}", limits: Limits = Limits(), settings: OTLPSettings = OTLPSettings()
  ) throws {
    var limits = limits
    limits.otlpByteCount = settings.byteCount
    fixture = try Fixture(rules: rules, limits: limits)
    self.settings = settings
    restart()
  }

  private func restart() {
    let processor = LineProcessor(registry: fixture.registry, limits: fixture.limits)
    processor.log = Log(minimum: .error, format: .text)
    intake = OTLPIntake(processor, settings)
  }

  /// As a killed sidecar's successor has it.
  func reopen() throws {
    intake = nil
    try fixture.reopen()
    restart()
  }

  /// "" where all points were taken, the reason of the first one that was not, or the status.
  @discardableResult
  func take(_ bytes: [UInt8], isJSON: Bool = false, commits: Bool = true) -> String {
    var answer = intake.take(bytes.span.bytes, isJSON: isJSON, .plain)
    if commits { fixture.registry.commit() }
    while case .later = answer, let done = turn() { answer = done }
    return words(answer)
  }

  /// Continues with long requests for as long as one takes; the answer of one that is done.
  func turn() -> OTLPAnswer? {
    while intake.isBusy {
      let done = intake.goOn(until: 0, mayBegin: true)
      if !intake.isHalfApplied { fixture.registry.commit() }
      if let done { return done.answer }
    }
    return nil
  }

  func words(_ answer: OTLPAnswer) -> String {
    switch answer {
    case .later: return "later"
    case .accepted(let refused, let message): return refused == 0 ? "" : "\(refused) \(message)"
    case .refused(let status, let message): return "\(status) \(message)"
    }
  }

  @discardableResult
  func take(_ export: Export) -> String { take(export.bytes) }

  func value(_ series: String) -> Double? { fixture.value(series) }
  var page: String { fixture.page }
  func rejected(_ reason: Registry.Rejection) -> UInt64 {
    intake.processor.counts.rejections[reason.rawValue]
  }
}
