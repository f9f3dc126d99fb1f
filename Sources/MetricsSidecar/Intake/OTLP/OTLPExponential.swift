import SidecarPlatform

/// The numbers of an exponential histogram's point. Bucket `index` at `scale` has the values above
/// 2^(index / 2^scale), up to and with 2^((index + 1) / 2^scale), of positive and of negative values.
///
/// What must stay true: however many buckets a point names, and wherever, `limit` of each sign are
/// kept: beyond, neighbours are joined, as the scale above 8 has them.
struct OTLPExponential {
  struct Side {
    var offset = 0
    var counts: [UInt64] = []

    /// Without zeros at both ends.
    mutating func trim() {
      while counts.last == 0 { counts.removeLast() }
      var zeros = 0
      while zeros < counts.count, counts[zeros] == 0 { zeros += 1 }
      if zeros > 0 { counts.removeFirst(zeros) }
      offset = counts.isEmpty ? 0 : offset + zeros
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

    subscript(index: Int) -> UInt64 {
      index >= offset && index < offset + counts.count ? counts[index - offset] : 0
    }

    /// Takes off what another side has; `false` where that is more somewhere.
    mutating func subtract(_ other: Side) -> Bool {
      for index in other.counts.indices where other.counts[index] > self[other.offset + index] {
        return false
      }
      for index in other.counts.indices where other.counts[index] > 0 {
        counts[other.offset + index - offset] -= other.counts[index]
      }
      return true
    }
  }

  var scale = 0
  var count: UInt64 = 0
  var sum = Double.nan
  var zeros: UInt64 = 0
  var positive = Side()
  var negative = Side()

  static let limit = 320
  /// Buckets that a point may name, most of them empty.
  static let namedLimit = 1 << 16

  /// Reads an `ExponentialHistogramDataPoint`. Whether its numbers belong together.
  init?(_ message: WireCursor) {
    var cursor = message
    while cursor.next() {
      switch cursor.number {
      case 4: count = cursor.bits
      case 5: sum = Double(bitPattern: cursor.bits)
      case 6: scale = Int(clamping: cursor.bits.unzigzagged)
      case 7: zeros = cursor.bits
      case 8, 9:
        guard let side = Self.side(cursor.inside) else { return nil }
        if cursor.number == 8 { positive = side } else { negative = side }
      default: break
      }
    }
    guard scale >= ExponentialScale.schemas.lowerBound, scale <= 64, count < 1 << 53 else {
      return nil
    }
    while scale > ExponentialScale.schemas.upperBound || positive.counts.count > Self.limit
      || negative.counts.count > Self.limit
    {
      halve()
    }
    guard scale >= ExponentialScale.schemas.lowerBound, isNear(positive), isNear(negative) else {
      return nil
    }
    var total = Double(zeros)
    for number in positive.counts { total += Double(number) }
    for number in negative.counts { total += Double(number) }
    if total != Double(count) { return nil }
  }

  /// Of an empty one.
  init() {}

  /// Whether its buckets are those of numbers that there are.
  private func isNear(_ side: Side) -> Bool {
    let end = scale >= 0 ? 1080 << scale : 1080 >> -scale + 1
    return side.counts.isEmpty || side.offset >= -end && side.offset + side.counts.count <= end
  }

  private static func side(_ message: WireCursor) -> Side? {
    var cursor = message
    var side = Side()
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
      if side.counts.count > namedLimit { return nil }
    }
    side.trim()
    return side
  }

  mutating func halve() {
    scale -= 1
    positive.halve()
    negative.halve()
  }

  /// What lies above an earlier point; `nil` where some number is below it. Both have the scale of the
  /// coarser one then.
  mutating func subtract(_ other: OTLPExponential) -> Bool {
    var other = other
    while other.scale > scale { other.halve() }
    while scale > other.scale { halve() }
    var rest = self
    guard zeros >= other.zeros, count >= other.count, rest.positive.subtract(other.positive),
      rest.negative.subtract(other.negative)
    else { return false }
    rest.zeros -= other.zeros
    rest.count -= other.count
    rest.sum = sum - other.sum
    self = rest
    return true
  }

  /// Gives `body` what it has, as it can be added.
  func withDistribution<Result>(_ body: (Distribution) -> Result) -> Result {
    // OpenTelemetry's numbers are one less.
    let buckets = Distribution.Exponential(
      schema: scale, zeros: zeros, firstIndex: positive.offset + 1,
      firstNegativeIndex: negative.offset + 1)
    return body(
      Distribution(
        sum: sum.isFinite ? sum : 0, buckets, counts: positive.counts.span,
        negativeCounts: negative.counts.span))
  }

  // MARK: In a stream's cells

  /// Behind those that all streams have: the sum, samples near 0, the scale, then for both signs the
  /// first bucket and how many there are, then the buckets.
  private static let head = Streams.cellCount
  private static let firstBucket = head + 7

  var cellCount: Int { Self.firstBucket + positive.counts.count + negative.counts.count }

  /// How many cells a record has for one, with room for more buckets.
  var roomyCellCount: Int {
    Self.firstBucket + max(32, (positive.counts.count + negative.counts.count) * 3 / 2)
  }

  init(_ cell: Int, in file: StateFile) {
    count = UInt64(file.number(cell + Streams.value))
    sum = file.number(cell + Self.head)
    zeros = file.value(cell + Self.head + 1)
    scale = Int(Int64(bitPattern: file.value(cell + Self.head + 2)))
    var at = cell + Self.firstBucket
    positive = Self.load(cell + Self.head + 3, &at, in: file)
    negative = Self.load(cell + Self.head + 5, &at, in: file)
  }

  private static func load(_ place: Int, _ at: inout Int, in file: StateFile) -> Side {
    var side = Side()
    side.offset = Int(Int64(bitPattern: file.value(place)))
    for _ in 0..<Int(file.value(place + 1)) {
      side.counts.append(file.value(at))
      at += 1
    }
    return side
  }

  func store(_ cell: Int, in file: StateFile) {
    file.store(cell + Streams.value, Double(count))
    file.store(cell + Self.head, sum.isFinite ? sum : 0)
    file.store(cell + Self.head + 1, zeros)
    file.store(cell + Self.head + 2, UInt64(bitPattern: Int64(scale)))
    var at = cell + Self.firstBucket
    for (place, side) in [(3, positive), (5, negative)] {
      file.store(cell + Self.head + place, UInt64(bitPattern: Int64(side.offset)))
      file.store(cell + Self.head + place + 1, UInt64(side.counts.count))
      for count in side.counts {
        file.store(at, count)
        at += 1
      }
    }
  }
}
