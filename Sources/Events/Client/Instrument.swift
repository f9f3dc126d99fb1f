import Synchronization
internal import SidecarPlatform

/// A series that a program counts by: what `SessionClient` makes. Use it from any thread.
///
/// What must stay true: a change is stored before `isDirty` is looked at, and `isDirty` is cleared before
/// the change is taken; so whoever changes it finds a flush that will see the change, or asks for one.
public class Instrument: @unchecked Sendable {
  let name: String
  /// Where its table has it; set there before anybody else knows it.
  var key = ""
  /// `⏎name`
  let head: [UInt8]
  /// `|c`
  let type: StaticString
  /// `|#tags`
  let tail: [UInt8]
  private let isDirty = Atomic(false)
  /// `nil` where the series was refused.
  private let changes: Changes?

  init(_ name: String, type: StaticString, tags: String, _ changes: Changes?) {
    self.name = name
    head = Array("\n\(name)".utf8)
    self.type = type
    tail = tags.isEmpty ? [] : Array("|#\(tags)".utf8)
    self.changes = changes
  }

  /// Has the next flush take what has changed.
  @inline(__always)
  final func mark() {
    if !isDirty.load(ordering: .sequentiallyConsistent) { markSlowly() }
  }

  @inline(never)
  private func markSlowly() {
    if isDirty.exchange(true, ordering: .sequentiallyConsistent) { return }
    changes?.add(self)
  }

  /// Writes lines of what has changed, each with its newline before it, until nothing is left or
  /// `buffer` has `end` bytes.
  /// - Returns: whether nothing is left.
  final func drain(into buffer: inout ByteBuffer, end: Int) -> Bool {
    if buffer.count >= end { return false }
    isDirty.store(false, ordering: .sequentiallyConsistent)
    return write(into: &buffer, end: end)
  }

  /// The same for each kind. What is left keeps the instrument among the changes.
  func write(into buffer: inout ByteBuffer, end: Int) -> Bool { true }

  /// The sidecar has lost its state: whether there is something to say again.
  func renew() -> Bool { false }

  func appendLine(to buffer: inout ByteBuffer, _ value: (inout ByteBuffer) -> Void) {
    buffer.append(head)
    buffer.append(UInt8(ascii: ":"))
    value(&buffer)
    buffer.append(type)
    buffer.append(tail)
  }
}

extension Atomic<UInt64> {
  /// Adds to the number that the bits are.
  @inline(__always)
  borrowing func add(_ amount: Double) {
    var known = load(ordering: .relaxed)
    while true {
      let sum = (Double(bitPattern: known) + amount).bitPattern
      let (isDone, found) = weakCompareExchange(
        expected: known, desired: sum, ordering: .sequentiallyConsistent)
      if isDone { return }
      known = found
    }
  }
}

/// A count of things. It only grows.
public final class Counter: Instrument, @unchecked Sendable {
  private let waiting = Atomic<UInt64>(0)

  /// Counts so many more.
  @inline(__always)
  public func add(_ count: UInt64 = 1) {
    waiting.wrappingAdd(count, ordering: .sequentiallyConsistent)
    mark()
  }

  override func write(into buffer: inout ByteBuffer, end: Int) -> Bool {
    let count = waiting.exchange(0, ordering: .sequentiallyConsistent)
    if count > 0 { appendLine(to: &buffer) { Decimal.append(count, to: &$0) } }
    return true
  }
}

/// A count of what is not whole. It only grows.
public final class FloatingPointCounter: Instrument, @unchecked Sendable {
  private let waiting = Atomic<UInt64>(0)

  /// Counts so much more; a negative amount, an infinity or NaN is left out.
  public func add(_ amount: Double) {
    guard amount > 0, amount.isFinite else { return }
    waiting.add(amount)
    mark()
  }

  override func write(into buffer: inout ByteBuffer, end: Int) -> Bool {
    let amount = Double(bitPattern: waiting.exchange(0, ordering: .sequentiallyConsistent))
    if amount > 0, amount.isFinite {
      appendLine(to: &buffer) { Observations.append(amount, to: &$0) }
    }
    return true
  }
}

/// A level. It is shown from its first value on.
public final class Gauge: Instrument, @unchecked Sendable {
  private let bits = Atomic<UInt64>(0)
  private let hasValue = Atomic(false)

  /// Sets it.
  public func set(_ value: Double) {
    bits.store(value.bitPattern, ordering: .sequentiallyConsistent)
    touch()
  }

  /// Moves it up, or down by a negative amount; by an infinity or NaN it stays.
  public func add(_ amount: Double) {
    guard amount.isFinite else { return }
    bits.add(amount)
    touch()
  }

  private func touch() {
    if !hasValue.load(ordering: .relaxed) { hasValue.store(true, ordering: .relaxed) }
    mark()
  }

  override func write(into buffer: inout ByteBuffer, end: Int) -> Bool {
    let value = Double(bitPattern: bits.load(ordering: .sequentiallyConsistent))
    appendLine(to: &buffer) {
      // A plus would make it a step.
      if value == .infinity { $0.append("Inf") } else { Observations.append(value, to: &$0) }
    }
    return true
  }

  override func renew() -> Bool { hasValue.load(ordering: .relaxed) }
}
