import Foundation
import Platform
import Testing

@testable import MetricsSidecar

/// A store on a file of its own, and what tests do to it.
final class PushFixture {
  let path: String
  var store: PushStore!
  let batch = PushBatch()
  var limits: PushLimits
  var now = 1_700_000_000.0

  private let fileByteCount: Int

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
      file: try PushFile(try MappedFile(path: path, limit: fileByteCount)), limits: limits)
  }

  static func key(_ path: String) throws -> GroupingKey {
    let bytes = Array(path.utf8)
    return try GroupingKey(path: bytes.span.bytes, limits: PushLimits())
  }

  func parse(_ path: String, _ text: String) throws -> GroupingKey {
    let key = try Self.key(path)
    batch.begin(key)
    let bytes = Array(text.utf8)
    try TextParser.parse(bytes.span.bytes, into: batch, limits: limits)
    return key
  }

  func push(
    _ path: String, _ text: String, mode: GroupWriter.Mode = .replace, ttl: Double = 0,
    isDryRun: Bool = false
  ) throws {
    let key = try parse(path, text)
    try store.push(key, batch, mode: mode, timeToLive: ttl, now: now, isDryRun: isDryRun)
  }

  /// The message with which a push is refused.
  func refusal(_ body: () throws -> Void) -> String? {
    do {
      try body()
      return nil
    } catch { return (error as? PushError)?.message ?? "another error" }
  }

  /// The exposition without the groups' times.
  var page: String {
    var page = ByteBuffer()
    PushText(store, now: now).append(to: &page)
    let text = String(decoding: page.array, as: UTF8.self)
    return text.components(separatedBy: "# HELP push_failure_time_seconds")[0]
  }

  var times: String {
    var page = ByteBuffer()
    PushText(store, now: now).append(to: &page)
    let text = String(decoding: page.array, as: UTF8.self)
    return text.split(separator: "\n").filter { $0.hasPrefix("push_") }.joined(separator: "\n")
  }
}
