import Synchronization
internal import SidecarPlatform

/// A series that a program counts with, created by `SessionClient`. Use it from any thread.
///
/// What must stay true: a change is stored before `isDirty` is read, and `isDirty` is cleared
/// before a flush takes the change; so a thread that changes it either relies on a flush that will
/// see the change, or asks for one.
public class Instrument: @unchecked Sendable {
  let name: String
  /// Its position in its table, which sets it before any other code sees the instrument.
  var key = ""
  /// `⏎name`
  let head: [UInt8]
  /// `|c`
  let type: StaticString
  /// `|#tags`
  let tail: [UInt8]
  private let isDirty = Atomic(false)
  /// `nil` if the series was refused.
  private let changes: Changes?

  init(_ name: String, type: StaticString, tags: String, _ changes: Changes?) {
    self.name = name
    head = Array("\n\(name)".utf8)
    self.type = type
    tail = tags.isEmpty ? [] : Array("|#\(tags)".utf8)
    self.changes = changes
  }

  /// Makes the next flush send the change.
  @inline(__always)
  final func mark() {
    if !isDirty.load(ordering: .sequentiallyConsistent) { markSlowly() }
  }

  @inline(never)
  private func markSlowly() {
    if isDirty.exchange(true, ordering: .sequentiallyConsistent) { return }
    changes?.add(self)
  }

  /// Writes lines with the changes, each preceded by its newline, until nothing is left or `buffer`
  /// has `end` bytes.
  /// - Returns: whether nothing is left.
  final func drain(into buffer: inout ByteBuffer, end: Int) -> Bool {
    if buffer.count >= end { return false }
    isDirty.store(false, ordering: .sequentiallyConsistent)
    return write(into: &buffer, end: end)
  }

  /// The same for each kind. If something is left, the instrument stays among the changes.
  func write(into buffer: inout ByteBuffer, end: Int) -> Bool { true }

  /// The sidecar has lost its state: returns whether there is something to send again.
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
  /// Adds to the number with these bits.
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

  /// Adds `count`.
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

/// A count of fractions. It only grows.
public final class FloatingPointCounter: Instrument, @unchecked Sendable {
  private let waiting = Atomic<UInt64>(0)

  /// Adds an amount; ignores negative ones, infinities and NaN.
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

/// A level. The sidecar shows it from its first value on.
public final class Gauge: Instrument, @unchecked Sendable {
  private let bits = Atomic<UInt64>(0)
  private let hasValue = Atomic(false)

  /// Sets it.
  public func set(_ value: Double) {
    bits.store(value.bitPattern, ordering: .sequentiallyConsistent)
    touch()
  }

  /// Moves it up, or down by a negative amount; ignores infinities and NaN.
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
