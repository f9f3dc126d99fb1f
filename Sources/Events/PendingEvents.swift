internal import SidecarPlatform

/// Increments that are in no frame yet, by series.
///
/// Durations add up in cells, sixteen per octave, each with its sum and count: the sum and the
/// count stay exact however long nothing can be sent, and a single duration is off by at most 6 %.
/// A cell is sent as its mean with the rate 1/count.
struct PendingEvents: LineSource {
  private struct Series {
    /// `⏎name:`
    let head: [UInt8]
    /// `|c|#tags` or `|#tags`
    let tail: [UInt8]
    let isTiming: Bool
    var count: UInt64 = 0
    var cells: [Cell] = []
    var dirtyCells: [Int16] = []
    var isDirty = false
  }

  private struct Cell {
    var sum: UInt64 = 0
    var count: UInt64 = 0
  }

  private static let cellCount = 44 * 16
  /// Up to here the text of 1/count has enough digits to recover the count.
  static let weightLimit: UInt64 = 100_000_000

  private var series: [Series] = []
  private var dirty: [Int] = []

  var isEmpty: Bool { dirty.isEmpty }
  /// Applied events need no notification.
  var wantsConnection: Bool { false }
  /// Sums only: nothing comes before them.
  func restart(_ window: inout FrameWindow) {}

  /// The number of events, by a look at each series that has some.
  var eventCount: UInt64 {
    var sum: UInt64 = 0
    for index in dirty {
      sum &+= series[index].count
      for cell in series[index].dirtyCells { sum &+= series[index].cells[Int(cell)].count }
    }
    return sum
  }

  mutating func register(_ name: String, _ tags: String, isTiming: Bool) -> Int {
    let end = tags.isEmpty ? "" : "|#\(tags)"
    var new = Series(
      head: Array("\n\(name):".utf8), tail: Array(((isTiming ? "" : "|c") + end).utf8),
      isTiming: isTiming)
    if isTiming {
      new.cells = [Cell](repeating: Cell(), count: Self.cellCount)
      new.dirtyCells.reserveCapacity(Self.cellCount)
    }
    series.append(new)
    // Room for every series, so that marking one never allocates; doubled, not grown by one.
    if dirty.capacity < series.count { dirty.reserveCapacity(2 * series.count) }
    return series.count - 1
  }

  @inline(__always)
  @_optimize(speed)
  mutating func add(_ index: Int, _ count: UInt64) {
    series[index].count += count
    mark(index)
  }

  @inline(__always)
  @_optimize(speed)
  mutating func observe(_ index: Int, _ nanoseconds: UInt64, count: UInt64 = 1) {
    let cell = Self.cell(nanoseconds)
    if series[index].cells[cell].count == 0 { series[index].dirtyCells.append(Int16(cell)) }
    series[index].cells[cell].sum += nanoseconds * count
    series[index].cells[cell].count += count
    mark(index)
  }

  @inline(__always)
  private mutating func mark(_ index: Int) {
    if !series[index].isDirty {
      series[index].isDirty = true
      dirty.append(index)
    }
  }

  /// The octave and the next four bits; anything over four hours is in the last cell.
  @inline(__always)
  static func cell(_ value: UInt64) -> Int {
    if value < 16 { return Int(value) }
    let octave = 63 - value.leadingZeroBitCount
    let cell = (octave - 3) * 16 + Int(truncatingIfNeeded: value >> UInt64(octave - 4)) & 15
    return min(cell, cellCount - 1)
  }

  /// Writes lines, each preceded by its newline, until nothing is left or `limit` bytes are full.
  @_optimize(speed)
  mutating func drain(into buffer: inout ByteBuffer, limit: Int) {
    let end = buffer.count + limit
    while let index = dirty.last {
      if series[index].isTiming {
        while let cell = series[index].dirtyCells.last {
          if buffer.count >= end { return }
          series[index].dirtyCells.removeLast()
          let content = series[index].cells[Int(cell)]
          series[index].cells[Int(cell)] = Cell()
          appendTiming(index, content, &buffer)
        }
      } else {
        if buffer.count >= end { return }
        buffer.append(series[index].head)
        Decimal.append(series[index].count, to: &buffer)
        buffer.append(series[index].tail)
        series[index].count = 0
      }
      series[index].isDirty = false
      dirty.removeLast()
    }
  }

  @_optimize(speed)
  private func appendTiming(_ index: Int, _ cell: Cell, _ buffer: inout ByteBuffer) {
    // The mean in picoseconds, so that mean times count gives the sum again.
    let (mean, rest) = cell.sum.quotientAndRemainder(dividingBy: cell.count)
    let picoseconds = mean * 1000 + rest * 1000 / cell.count
    var left = cell.count
    while left > 0 {
      let count = min(left, Self.weightLimit)
      appendTiming(index, picoseconds, count, &buffer)
      left -= count
    }
  }

  @_optimize(speed)
  private func appendTiming(
    _ index: Int, _ picoseconds: UInt64, _ count: UInt64, _ buffer: inout ByteBuffer
  ) {
    buffer.append(series[index].head)
    Self.appendFraction(picoseconds, digits: 12, &buffer)
    buffer.append("|d")
    if count > 1 {
      buffer.append("|@")
      if count < 10_000 {
        Self.appendFraction(1_000_000_000_000_000 / count, digits: 15, &buffer)
      } else {
        Self.appendFraction(1_000_000_000_000_000_000 / count, digits: 18, &buffer)
      }
    }
    buffer.append(series[index].tail)
  }

  /// `value` / 10^`digits` as a decimal, without trailing zeroes.
  static func appendFraction(_ value: UInt64, digits: Int, _ buffer: inout ByteBuffer) {
    var divisor: UInt64 = 1
    for _ in 0..<digits { divisor *= 10 }
    Decimal.append(value / divisor, to: &buffer)
    var rest = value % divisor
    if rest == 0 { return }
    buffer.append(UInt8(ascii: "."))
    while rest > 0 {
      divisor /= 10
      buffer.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / divisor))
      rest %= divisor
    }
  }
}
