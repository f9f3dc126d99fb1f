import SidecarPlatform

/// The numbers of an exponential histogram's point. Bucket `index` at `scale` has the values above
/// 2^(index / 2^scale), up to and with 2^((index + 1) / 2^scale), of positive and of negative
/// values.
///
/// What must stay true: however many buckets a point names, and wherever they are, `limit` of each
/// sign are kept: beyond, neighbours are joined, also for a scale above 8.
struct OTLPExponential {
  struct Side {
    var offset = 0
    var counts: [UInt64] = []

    /// Without zeros at both ends.
    mutating func trim() {
      var end = counts.count
      while end > 0, counts[end - 1] == 0 { end -= 1 }
      var start = 0
      while start < end, counts[start] == 0 { start += 1 }
      if end - start < counts.count { counts = Array(counts[start..<end]) }
      offset = counts.isEmpty ? 0 : offset + start
    }

    /// Joins each two buckets.
    mutating func halve() {
      guard !counts.isEmpty else { return }
      let first = offset >> 1
      var joined = [UInt64](repeating: 0, count: (offset + counts.count - 1) >> 1 - first + 1)
      for index in counts.indices { joined[(offset + index) >> 1 - first] &+= counts[index] }
      offset = first
      counts = joined
    }

    /// Subtracts another side; returns `false`, with undefined contents, if that is greater
    /// anywhere.
    mutating func subtract(_ other: Side) -> Bool {
      for index in other.counts.indices where other.counts[index] > 0 {
        let place = other.offset + index - offset
        guard place >= 0, place < counts.count, counts[place] >= other.counts[index] else {
          return false
        }
        counts[place] -= other.counts[index]
      }
      return true
    }
  }

  var scale = 0
  var count: UInt64 = 0
  var sum = Double.nan
  var zeros: UInt64 = 0
  /// Up to which magnitude samples are among `zeros`.
  private var zeroThreshold = 0.0
  /// The buckets of values above 0, then of those below.
  private var sides = [Side(), Side()]

  static let limit = 320
  /// Buckets that a point may name, most of them empty.
  static let namedLimit = 1 << 16

  /// Parses an `ExponentialHistogramDataPoint`; returns whether its numbers are consistent.
  mutating func read(_ message: WireCursor) -> Bool {
    var cursor = message
    while cursor.next() {
      switch cursor.number {
      case 4: count = cursor.bits
      case 5: sum = Double(bitPattern: cursor.bits)
      case 6: scale = Int(clamping: cursor.bits.unzigzagged)
      case 7: zeros = cursor.bits
      case 14: zeroThreshold = Double(bitPattern: cursor.bits)
      case 8, 9: if !Self.read(cursor.inside, into: &sides[cursor.number - 8]) { return false }
      default: break
      }
    }
    guard scale >= ExponentialScale.schemas.lowerBound, scale <= 64, count < 1 << 53,
      zeroThreshold >= 0, zeroThreshold.isFinite
    else {
      return false
    }
    while scale > ExponentialScale.schemas.upperBound || bucketCount > Self.limit { halve() }
    // Buckets lie where numbers are.
    absorb(below: zeroThreshold)
    let end = scale >= 0 ? 1080 << scale : 1080 >> -scale + 1
    var total = Double(zeros)
    for side in sides {
      if !side.counts.isEmpty, side.offset < -end || side.offset + side.counts.count > end {
        return false
      }
      for number in side.counts { total += Double(number) }
    }
    return scale >= ExponentialScale.schemas.lowerBound && total == Double(count)
  }

  private static func read(_ message: WireCursor, into side: inout Side) -> Bool {
    side = Side()
    var cursor = message
    while cursor.next() {
      if cursor.number == 1 {
        side.offset = Int(Int32(truncatingIfNeeded: cursor.bits.unzigzagged))
      }
      guard cursor.number == 2 else { continue }
      if cursor.type == WireCursor.varint {
        side.counts.append(cursor.bits)
      } else {
        var packed = cursor.inside
        while !packed.isAtEnd, side.counts.count <= namedLimit {
          side.counts.append(packed.readVarint())
        }
      }
      if side.counts.count > namedLimit { return false }
    }
    side.trim()
    return true
  }

  /// Adds the buckets that lie within the zero bucket to it.
  private mutating func absorb(below threshold: Double) {
    if threshold == 0 { return }
    for side in sides.indices {
      for index in sides[side].counts.indices {
        let bound = ExponentialScale.upperBound(of: sides[side].offset + index + 1, schema: scale)
        if bound > threshold { break }
        zeros &+= sides[side].counts[index]
        sides[side].counts[index] = 0
      }
      sides[side].trim()
    }
  }

  private var bucketCount: Int { max(sides[0].counts.count, sides[1].counts.count) }

  mutating func halve() {
    scale -= 1
    for index in sides.indices { sides[index].halve() }
  }

  /// Subtracts an earlier point; returns `false`, changing nothing but the scale, if any of its
  /// numbers is greater. The scale is then that of the coarser one.
  mutating func subtract(_ other: OTLPExponential) -> Bool {
    // A point without samples, such as a stream's before its first one, has no scale to keep.
    if other.count == 0 { return true }
    var other = other
    while other.scale > scale { other.halve() }
    while scale > other.scale { halve() }
    // The zero bucket may have become wider since.
    other.absorb(below: zeroThreshold)
    guard zeros >= other.zeros, count >= other.count else { return false }
    var rest = sides
    for index in rest.indices where !rest[index].subtract(other.sides[index]) { return false }
    sides = rest
    zeros -= other.zeros
    count -= other.count
    sum -= other.sum
    return true
  }

  /// Adds it to a series; returns why that is refused.
  func add(to target: LineTable.Target, in registry: Registry) -> Registry.Rejection? {
    // OpenTelemetry's numbers are one less.
    let buckets = Distribution.Exponential(
      schema: scale, zeros: zeros, firstIndex: sides[0].offset + 1,
      firstNegativeIndex: sides[1].offset + 1)
    let positive = sides[0].counts
    let negative = sides[1].counts
    return registry.add(
      Distribution(
        sum: sum.isFinite ? sum : 0, buckets, counts: positive.span,
        negativeCounts: negative.span), to: target)
  }

  // MARK: In a stream's cells

  /// After the cells of all streams: the sum, samples near 0, the scale, then for both signs the
  /// first bucket and their number, then the buckets.
  private static let head = Streams.cellCount
  private static let firstBucket = head + 7

  var cellCount: Int { Self.firstBucket + sides[0].counts.count + sides[1].counts.count }

  /// The number of cells of a record, with room for more buckets: a record that grows has all lines
  /// forgotten, so it grows seldom.
  var roomyCellCount: Int {
    max(Self.firstBucket + 32, min(cellCount * 3, Self.firstBucket + 2 * Self.limit))
  }

  init() {}

  init(_ stream: Int, in file: StateFile) {
    count = UInt64(file.number(stream + Streams.value))
    let cell = stream + Self.head
    sum = file.number(cell)
    zeros = file.value(cell + 1)
    scale = Int(Int64(bitPattern: file.value(cell + 2)))
    var at = stream + Self.firstBucket
    for index in sides.indices {
      sides[index].offset = Int(Int64(bitPattern: file.value(cell + 3 + 2 * index)))
      for _ in 0..<Int(file.value(cell + 4 + 2 * index)) {
        sides[index].counts.append(file.value(at))
        at += 1
      }
    }
  }

  /// Stores it as the stream's last point.
  func keep(_ stream: Int, in file: StateFile) {
    file.put(stream + Streams.value, Double(count).bitPattern)
    let cell = stream + Self.head
    file.put(cell, (sum.isFinite ? sum : 0).bitPattern)
    file.put(cell + 1, zeros)
    file.put(cell + 2, UInt64(bitPattern: Int64(scale)))
    var at = stream + Self.firstBucket
    for index in sides.indices {
      file.put(cell + 3 + 2 * index, UInt64(bitPattern: Int64(sides[index].offset)))
      file.put(cell + 4 + 2 * index, UInt64(sides[index].counts.count))
      for count in sides[index].counts {
        file.put(at, count)
        at += 1
      }
    }
  }
}
