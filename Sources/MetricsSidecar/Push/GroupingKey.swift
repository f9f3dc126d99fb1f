import SidecarPlatform
import SidecarRules

/// The labels in a push's path: `/metrics/job/backup/instance/db-1`.
///
/// What must stay true: `labels` is sorted by name and has `job`. It includes `instance=""` as a
/// default, which a metric's own instance replaces; that is not part of the group's identity.
struct GroupingKey {
  struct Label {
    /// Ranges of `bytes`: the name, and all of `name="escaped value"`.
    var name: Range<Int>
    var text: Range<Int>
    var isDefault = false
  }

  private(set) var bytes: [UInt8] = []
  private(set) var labels: [Label] = []
  /// `a="1",job="x"`: the group's identity, and its record's key.
  private(set) var identity = ByteKey()

  init() {}

  /// Parses the path after `/metrics/job`, for instance `/backup/a@base64/eA` or `@base64/eA`, as
  /// sent. Escapes `%2F` are resolved first, as in Pushgateway.
  init(path: RawSpan, limits: PushLimits) throws(PushError) {
    let parts = Self.split(try Self.unescaped(path))
    // The first part is what follows "job": nothing, or "@base64".
    guard parts.count >= 2, parts[0].isEmpty || parts[0][...] == Self.base64 else {
      throw PushError("the path is /metrics/job/JOB or /metrics/job/JOB/LABEL/VALUE…", status: 404)
    }
    let job = try Self.value(parts[1], isEncoded: !parts[0].isEmpty, "job")
    guard !job.isEmpty else { throw PushError("the job's name is missing") }
    var rest = parts[2...]
    if rest.count == 1, rest.first?.isEmpty == true { rest = [] }
    guard rest.count.isMultiple(of: 2) else {
      throw PushError("a label without a value: after the job come pairs of /LABEL/VALUE")
    }
    guard rest.count / 2 < limits.labels else {
      throw PushError(joined("more than ", limits.labels.description, " labels in the path"))
    }
    var pairs = [(name: Array("job".utf8), value: job)]
    for index in stride(from: rest.startIndex, to: rest.endIndex, by: 2) {
      let pair = try Self.pair(rest[index], rest[index + 1])
      // The job comes first in the path; if a label is repeated, the last one counts.
      if let known = pairs.firstIndex(where: { $0.name == pair.name }) {
        if known != 0 { pairs[known] = pair }
      } else {
        pairs.append(pair)
      }
    }
    try take(pairs, limits)
  }

  /// Parses an identity from the state file.
  init(identity: RawSpan) {
    var pairs: [(name: [UInt8], value: [UInt8])] = []
    var at = 0
    while let label = Labels.next(identity, from: &at) {
      var plain = ByteBuffer(capacity: 64)
      Labels.appendUnescaped(identity.extracting(label.value), to: &plain)
      pairs.append((SeriesKey.array(identity.extracting(label.name)), plain.array))
    }
    do throws(PushError) { try take(pairs, PushLimits()) } catch {}
  }

  private mutating func take(
    _ unsorted: [(name: [UInt8], value: [UInt8])], _ limits: PushLimits
  ) throws(PushError) {
    let instance = Array("instance".utf8)
    let hasInstance = unsorted.contains { $0.name == instance }
    var pairs = unsorted.map { ($0.name, $0.value, false) }
    if !hasInstance { pairs.append((instance, [], true)) }
    pairs = pairs.ordered { $0.0.lexicographicallyPrecedes($1.0) }
    var text = ByteBuffer(capacity: 128)
    var identity = ByteBuffer(capacity: 128)
    for (name, value, isDefault) in pairs {
      guard value.count <= limits.labelValueByteCount, name.count <= limits.nameByteCount else {
        throw PushError("a label in the path is too long")
      }
      guard unsafe value.span.bytes.isUTF8(0..<value.count) else {
        throw PushError("a label's value in the path is not UTF-8")
      }
      let start = text.count
      text.append(name)
      text.append("=\"")
      unsafe Labels.appendEscaped(value.span.bytes, to: &text)
      text.append("\"")
      labels.append(
        Label(
          name: start..<(start + name.count), text: start..<text.count, isDefault: isDefault))
      if isDefault { continue }
      if !identity.isEmpty { identity.append(",") }
      identity.append(text.bytes.extracting(start..<text.count))
    }
    bytes = text.array
    self.identity = ByteKey(identity.array)
  }

  // MARK: Parts of the path

  private static let base64 = Array("@base64".utf8)[...]

  private static func split(_ path: [UInt8]) -> [ArraySlice<UInt8>] {
    path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
  }

  private static func pair(
    _ name: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>
  ) throws(PushError) -> (name: [UInt8], value: [UInt8]) {
    let isEncoded = name.count >= base64.count && name.suffix(base64.count) == base64
    let plain = isEncoded ? name.dropLast(base64.count) : name
    let text = String(decoding: plain, as: UTF8.self)
    guard Names.isLabelName(text) else {
      throw PushError(joined("\"", text, "\" in the path is no label name"))
    }
    return (Array(plain), try self.value(value, isEncoded: isEncoded, text))
  }

  private static func value(
    _ part: ArraySlice<UInt8>, isEncoded: Bool, _ name: String
  ) throws(PushError) -> [UInt8] {
    guard isEncoded else { return Array(part) }
    guard let value = Base64.decodeURL(part) else {
      throw PushError(joined("the value of ", name, "@base64 in the path is no base64url"))
    }
    return value
  }

  /// Resolves `%2F` and the like (RFC 3986 §2.1).
  private static func unescaped(_ path: RawSpan) throws(PushError) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(path.byteCount)
    var index = 0
    while index < path.byteCount {
      let byte = path.at(index)
      index += 1
      guard byte == UInt8(ascii: "%") else { result.append(byte); continue }
      guard index + 2 <= path.byteCount, let high = path.at(index).hexDigit,
        let low = path.at(index + 1).hexDigit
      else { throw PushError("a % in the path without two digits after it") }
      result.append(high << 4 | low)
      index += 2
    }
    return result
  }
}
