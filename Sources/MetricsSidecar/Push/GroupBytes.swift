import SidecarPlatform

/// A group as one run of bytes, the content of its record in the state file.
///
///       0   8  time of the last push that succeeded, in Unix seconds (a Double, as all numbers)
///       8   8  time of the last one that failed       16   8  time to live in seconds, 0 forever
///      24   …  families, one after the other
///
///     family      0   4  bytes of it, with these     4   1  type      5   1  zero
///                 6   2  bytes of the name           8   4  bytes of the help text, escaped
///                12   4  metrics                    16   8  time of the push it came with
///                24   …  name, help text, metrics
///
///     metric      0   4  bytes of it, with these     4   4  bytes of its labels
///                 8   4  buckets or quantiles       12   …  labels: `a="1",job="x"`
///                 …   8  value, or sum;  then for histograms and summaries:
///                 …   8  count                       …  16  each: bound, value (cumulative)
///                 …      and for native histograms what `NativeHistogram` draws
///
/// All numbers are little-endian. What must stay true: a histogram's last bucket is +Inf.
enum GroupBytes {
  static let headByteCount = 24
  static let familyHeadByteCount = 24
  static let metricHeadByteCount = 12

  struct Times: Equatable {
    var pushed = 0.0
    var failed = 0.0
    var timeToLive = 0.0
  }

  static func appendHead(_ times: Times, to buffer: inout ByteBuffer) {
    buffer.append(times.pushed)
    buffer.append(times.failed)
    buffer.append(times.timeToLive)
  }

  static func times(_ group: RawSpan) -> Times {
    Times(
      pushed: group.double(at: 0), failed: group.double(at: 8), timeToLive: group.double(at: 16))
  }

  /// A family's position and head.
  struct FamilyRecord {
    let range: Range<Int>
    let type: FamilyType
    let metricCount: Int
    let time: Double
    let name: Range<Int>
    let help: Range<Int>
    var metrics: Range<Int> { help.upperBound..<range.upperBound }
  }

  /// The family at `at`; `nil` at the group's end.
  static func family(_ group: RawSpan, at: Int) -> FamilyRecord? {
    guard at + familyHeadByteCount <= group.byteCount else { return nil }
    let nameStart = at + familyHeadByteCount
    let nameEnd = nameStart + Int(group.at(at + 6)) + Int(group.at(at + 7)) << 8
    let helpEnd = nameEnd + group.count32(at: at + 8)
    let end = at + group.count32(at: at)
    guard let type = FamilyType(rawValue: group.at(at + 4)), helpEnd <= end, end <= group.byteCount
    else { return nil }
    return FamilyRecord(
      range: at..<end, type: type, metricCount: group.count32(at: at + 12),
      time: group.double(at: at + 16), name: nameStart..<nameEnd, help: nameEnd..<helpEnd)
  }

  struct MetricRecord {
    let range: Range<Int>
    let labels: Range<Int>
    let pointCount: Int
    /// The position of the value or sum; the count follows, and then the points.
    var value: Int { labels.upperBound }
    var count: Int { value + 8 }
    func bound(_ point: Int) -> Int { value + 16 + 16 * point }
    func pointValue(_ point: Int) -> Int { value + 24 + 16 * point }
    /// The bytes of a `NativeHistogram`; empty if there is none, as for every number.
    var native: Range<Int> {
      let start = value + 16 + 16 * pointCount
      return start < range.upperBound ? start..<range.upperBound : 0..<0
    }
  }

  /// The metric at `at`, which must lie within a family.
  @inline(__always)
  static func metric(_ group: RawSpan, at: Int) -> MetricRecord {
    let labels = at + metricHeadByteCount
    return MetricRecord(
      range: at..<(at + max(metricHeadByteCount, group.count32(at: at))),
      labels: labels..<(labels + group.count32(at: at + 4)),
      pointCount: group.count32(at: at + 8))
  }

  /// Whether a histogram's buckets are these and +Inf.
  static func hasBounds(_ metric: MetricRecord, of group: RawSpan, _ bounds: [Double]) -> Bool {
    guard metric.pointCount == bounds.count + 1 else { return false }
    for point in bounds.indices where group.double(at: metric.bound(point)) != bounds[point] {
      return false
    }
    return true
  }
}

extension RawSpan {
  @inline(__always)
  func double(at offset: Int) -> Double {
    Double(
      bitPattern: UInt64(
        littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)))
  }

  @inline(__always)
  func count32(at offset: Int) -> Int {
    Int(
      clamping: UInt32(
        littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)))
  }
}

extension RawSpan {
  /// A number that may be negative. `count32` refuses those, since an Int may have 32 bits.
  func signed32(at offset: Int) -> Int {
    Int(
      Int32(
        littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: Int32.self)))
  }
}

extension ByteBuffer {
  @inline(__always)
  mutating func append(_ number: Double) { append64(number.bitPattern) }

  @inline(__always)
  mutating func append32(_ count: Int) {
    let bits = UInt32(truncatingIfNeeded: count).littleEndian
    unsafe appendUnsafe(capacity: 4) { memory in
      unsafe memory.storeBytes(of: bits, as: UInt32.self)
      return 4
    }
  }

  /// Writes a length that was not known before.
  mutating func patch32(at offset: Int, _ count: Int) {
    for index in 0..<4 {
      replace(at: offset + index, with: UInt8(truncatingIfNeeded: count >> (8 * index)))
    }
  }
}

extension GroupBytes {
  /// Whether a histogram's buckets are whole counts that do not fall.
  static func hasWholeCounts(_ metric: MetricRecord, of group: RawSpan) -> Bool {
    var last = 0.0
    for point in 0..<metric.pointCount {
      let value = group.double(at: metric.pointValue(point))
      guard value >= last, value.isFinite, value.rounded(.towardZero) == value else {
        return false
      }
      last = value
    }
    return true
  }
}
