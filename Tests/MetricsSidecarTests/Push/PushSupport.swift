import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

extension PushFile {
  /// Makes `group` the content of `key`, and goes on with a move as the turns of a loop do.
  func replace(_ key: ByteKey, with group: borrowing ByteBuffer) throws(Errno) {
    var left = Int.max
    _ = try prepare(key, group.count, &left)
    store(key, group)
    // A move is over long before the quarter of a region is full that is free when it begins.
    goOnMoving(max(256 << 10, group.count * 8))
  }
}

extension PushBatch {
  /// Parses a whole body.
  func take(_ body: RawSpan, isProtobuf: Bool, _ limits: PushLimits) throws(PushError) {
    var parsing = PushParsing()
    var left = Int.max
    _ = try parsing.goOn(body, isProtobuf: isProtobuf, into: self, limits, &left)
  }
}

/// A store on a file of its own, and what tests do to it.
final class PushFixture {
  let path: String
  var store: PushStore!
  let batch = PushBatch()
  var limits: PushLimits
  var now = 1_700_000_000.0

  private let fileByteCount: Int
  /// No events, whose exposition these groups are on.
  private lazy var events = try! Fixture()

  init(_ limits: PushLimits = PushLimits(), fileByteCount: Int = 64 << 20) throws {
    self.fileByteCount = fileByteCount
    path = NSTemporaryDirectory() + "push-\(UUID().uuidString.prefix(8))"
    self.limits = limits
    try reopen()
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func reopen() throws {
    store = nil
    store = PushStore(
      file: try PushFile(try MappedFile(path: path, limit: fileByteCount)), limits: limits,
      now: moment)
  }

  /// What somebody has set the wall clock by.
  var wallShift = 0.0

  /// Now, by both clocks.
  var moment: PushMoment { PushMoment(unix: now + wallShift, steady: now - 1_600_000_000) }

  static func key(_ path: String) throws -> GroupingKey {
    let bytes = Array(path.utf8)
    return try GroupingKey(path: bytes.span.bytes, limits: PushLimits())
  }

  func parse(
    _ path: String, _ text: String, mode: GroupWriter.Mode = .replace
  ) throws -> GroupingKey {
    let key = try Self.key(path)
    batch.begin(key, adds: mode.rule)
    let bytes = Array(text.utf8)
    try batch.take(bytes.span.bytes, isProtobuf: false, limits)
    return key
  }

  func push(
    _ path: String, _ text: String, mode: GroupWriter.Mode = .replace, ttl: Double = 0,
    isDryRun: Bool = false
  ) throws {
    let key = try parse(path, text, mode: mode)
    try store.push(key, batch, mode: mode, timeToLive: ttl, now: moment, isDryRun: isDryRun)
  }

  func push(
    _ path: String, protobuf: [UInt8], mode: GroupWriter.Mode = .replace, isDryRun: Bool = false
  ) throws {
    let key = try Self.key(path)
    batch.begin(key, adds: mode.rule)
    try batch.take(protobuf.span.bytes, isProtobuf: true, limits)
    try store.push(key, batch, mode: mode, timeToLive: 0, now: moment, isDryRun: isDryRun)
  }

  /// The same in steps of so many series; how many there were, and what is called after each.
  @discardableResult
  func push(
    _ path: String, _ text: String, mode: GroupWriter.Mode = .replace, isDryRun: Bool = false,
    step: Int, afterStep: () -> Void = {}
  ) throws -> Int {
    let key = try Self.key(path)
    batch.begin(key, adds: mode.rule)
    let body = Array(text.utf8)
    var place = TextParser.Place()
    var count = 0
    var left = 0
    repeat {
      count += 1
      left = step
      afterStep()
    } while try !TextParser.parse(body.span.bytes, &place, into: batch, limits: limits, &left)
    store.begin(key, mode: mode, timeToLive: 0, now: moment, isDryRun: isDryRun)
    repeat {
      count += 1
      left = step
      afterStep()
    } while try !store.goOn(batch, &left)
    return count
  }

  func delete(_ path: String) {
    if let key = try? Self.key(path) { store.delete(key.identity) }
  }

  func fail(_ path: String) {
    if let key = try? Self.key(path) { store.fail(key, timeToLive: 0, now: moment) }
  }

  /// The message with which a push is refused.
  func refusal(_ body: () throws -> Void) -> String? {
    do {
      try body()
      return nil
    } catch { return (error as? PushError)?.message ?? "another error" }
  }

  /// All lines of the exposition, so many bytes a call.
  func lines(_ format: ExpositionFormat = .text004, slice: Int = 1 << 20) -> ByteBuffer {
    store.expire(moment.steady)
    let snapshot = Snapshot(events.registry, filter: NameFilter())
    snapshot.pushed = FamilyConflicts(
      PushedFamilies(store, now: moment, format: format), events.registry)
    let writer = ExpositionWriter(
      snapshot, shape: ExpositionShape(format: format), filter: NameFilter())
    var page = ByteBuffer()
    while !writer.write(into: &page, byteCount: slice) {}
    return page
  }

  /// The exposition without the groups' times.
  var page: String {
    let text = String(copying: lines().bytes)
    return text.components(separatedBy: "# HELP push_failure_time_seconds")[0]
  }

  /// The protobuf exposition.
  var protobufPage: [UInt8] {
    lines(.protobuf).array
  }

  var times: String {
    let text = String(copying: lines().bytes)
    return text.split(separator: "\n").filter { $0.hasPrefix("push_") }.joined(separator: "\n")
  }
}

/// Writes messages as a client does.
enum Wire {
  static func varint(_ number: UInt64) -> [UInt8] {
    number < 128 ? [UInt8(number)] : [UInt8(number & 127) | 128] + varint(number >> 7)
  }
  static func field(_ number: Int, _ content: [UInt8]) -> [UInt8] {
    varint(UInt64(number << 3 | 2)) + varint(UInt64(content.count)) + content
  }
  static func field(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
  static func number(_ field: Int, _ value: UInt64) -> [UInt8] {
    varint(UInt64(field << 3)) + varint(value)
  }
  static func double(_ number: Int, _ value: Double) -> [UInt8] {
    varint(UInt64(number << 3 | 1))
      + (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(8 * $0)) }
  }
  static func label(_ name: String, _ value: String) -> [UInt8] {
    field(1, field(1, name) + field(2, value))
  }
  static func family(
    _ name: String, _ type: UInt64, help: String? = nil, _ metrics: [[UInt8]]
  ) -> [UInt8] {
    let message =
      metrics.flatMap { field(4, $0) } + (help.map { field(2, $0) } ?? []) + field(1, name)
      + number(3, type)
    return varint(UInt64(message.count)) + message
  }

  static func signed(_ field: Int, _ value: Int) -> [UInt8] { number(field, zigzag(value)) }
  static func zigzag(_ value: Int) -> UInt64 { UInt64(bitPattern: Int64(value << 1 ^ value >> 63)) }
  static func span(_ field: Int, _ offset: Int, _ length: UInt64) -> [UInt8] {
    self.field(field, signed(1, offset) + number(2, length))
  }
  /// A family `h` of one histogram.
  static func histogram(_ fields: [UInt8]...) -> [UInt8] {
    family("h", 4, [field(7, fields.flatMap { $0 })])
  }
}
