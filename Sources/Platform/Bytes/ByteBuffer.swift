import CSidecarLinux

/// Growable bytes: append at the end, take from the front.
///
/// What must stay true: `0 <= head <= tail <= capacity`; the bytes in `head..<tail` are
/// initialised. Appending moves the remaining bytes to the front before it grows, so a buffer that
/// is emptied regularly stops allocating once it has held its largest content.
@safe
public struct ByteBuffer: ~Copyable {
  // Sound: owned by this value alone, freed once in `deinit`, handed out only as a borrowed span.
  private var base: UnsafeMutableRawPointer
  private var head = 0
  private var tail = 0
  /// Bytes it can hold before it allocates.
  public private(set) var capacity: Int

  /// Creates an empty buffer that holds `capacity` bytes before it allocates again.
  public init(capacity: Int = 256) {
    self.capacity = max(capacity, 16)
    unsafe base = .allocate(byteCount: self.capacity, alignment: 16)
  }

  deinit { unsafe base.deallocate() }

  /// The number of bytes waiting.
  @inline(__always)
  public var count: Int { tail - head }

  /// Whether no byte is waiting.
  @inline(__always)
  public var isEmpty: Bool { tail == head }

  /// The bytes waiting, borrowed: the view ends before the buffer changes.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    @inline(__always)
    get {
      let span = unsafe RawSpan(
        _unsafeStart: UnsafeRawPointer(base + head), byteCount: tail - head)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Forgets the first `count` bytes.
  @inline(__always)
  public mutating func removeFirst(_ count: Int) {
    precondition(count >= 0 && count <= self.count)
    head += count
    if head == tail {
      head = 0
      tail = 0
    }
  }

  /// Forgets all bytes and keeps the memory.
  @inline(__always)
  public mutating func removeAll() {
    head = 0
    tail = 0
  }

  /// Cuts the content to its first `count` bytes.
  public mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= self.count)
    tail = head + count
  }

  /// Releases memory beyond `capacity` once the content is small again.
  public mutating func shrink(to capacity: Int) {
    guard self.capacity > capacity, count <= capacity else { return }
    reallocate(capacity: max(capacity, 16))
  }

  /// Adds one byte at the end.
  @inline(__always)
  public mutating func append(_ byte: UInt8) {
    reserve(1)
    unsafe base.storeBytes(of: byte, toByteOffset: tail, as: UInt8.self)
    tail += 1
  }

  /// Adds a copy of `source`, which must not be part of this buffer.
  @inline(__always)
  public mutating func append(_ source: RawSpan) {
    let byteCount = source.byteCount
    guard byteCount > 0 else { return }
    reserve(byteCount)
    unsafe source.withUnsafeBytes {
      unsafe ByteCopy.copy($0.baseAddress!, to: base + tail, byteCount)
    }
    tail += byteCount
  }

  /// The same for content that will end at `total` bytes: growing by doubling goes up to that and
  /// no further.
  public mutating func append(_ source: RawSpan, within total: Int) {
    let needed = count + source.byteCount
    if capacity - tail < source.byteCount, needed <= total {
      reallocate(capacity: needed <= capacity ? capacity : min(max(needed, capacity * 2), total))
    }
    append(source)
  }

  /// Adds text known at compile time, as UTF-8.
  @inline(__always)
  public mutating func append(_ text: StaticString) {
    let byteCount = text.utf8CodeUnitCount
    guard byteCount > 0 else { return }
    reserve(byteCount)
    unsafe ByteCopy.copy(text.utf8Start, to: base + tail, byteCount)
    tail += byteCount
  }

  /// Adds text as UTF-8, byte by byte: not for hot paths.
  public mutating func append(_ text: String) {
    for byte in text.utf8 { append(byte) }
  }

  /// Adds a copy of `bytes`.
  public mutating func append(_ bytes: [UInt8]) {
    unsafe append(bytes.span.bytes)
  }

  /// Replaces existing bytes, such as a length that was not known before.
  public mutating func replace(at offset: Int, with byte: UInt8) {
    precondition(offset >= 0 && offset < count)
    unsafe base.storeBytes(of: byte, toByteOffset: head + offset, as: UInt8.self)
  }

  /// Inserts `byteCount` zeros at `offset`.
  public mutating func insertZeros(_ byteCount: Int, at offset: Int) {
    precondition(offset >= 0 && offset <= count && byteCount >= 0)
    let moved = count - offset
    reserve(byteCount)
    let start = unsafe base + head + offset
    // `copyMemory` allows the two to overlap.
    unsafe (start + byteCount).copyMemory(from: start, byteCount: moved)
    unsafe start.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    tail += byteCount
  }

  /// Appends what `body` writes into at most `capacity` bytes; `body` returns how many it wrote.
  /// For system calls and formatters that fill memory themselves.
  @inline(__always)
  public mutating func appendUnsafe(
    capacity: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int
  ) {
    reserve(capacity)
    let written = unsafe body(UnsafeMutableRawBufferPointer(start: base + tail, count: capacity))
    precondition(written >= 0 && written <= capacity)
    tail += written
  }

  /// Makes room for `byteCount` more bytes.
  @inline(__always)
  public mutating func reserve(_ byteCount: Int) {
    if capacity - tail < byteCount { makeRoom(byteCount) }
  }

  /// Makes the kernel provide the memory for the free room at once instead of with a fault for each
  /// page.
  public mutating func touch() { unsafe cl_touch(base + tail, capacity - tail) }

  @inline(never)
  private mutating func makeRoom(_ byteCount: Int) {
    let needed = count + byteCount
    // Moving is cheap while at most half is in use; otherwise grow, so that appends stay O(1).
    reallocate(capacity: needed * 2 <= capacity ? capacity : max(needed, capacity * 2))
  }

  private mutating func reallocate(capacity newCapacity: Int) {
    let count = self.count
    if newCapacity == capacity {
      unsafe base.copyMemory(from: base + head, byteCount: count)
    } else {
      let larger = UnsafeMutableRawPointer.allocate(byteCount: newCapacity, alignment: 16)
      unsafe larger.copyMemory(from: base + head, byteCount: count)
      unsafe base.deallocate()
      unsafe base = larger
      capacity = newCapacity
    }
    head = 0
    tail = count
  }
}

extension ByteBuffer {
  /// A copy of the bytes waiting.
  public var array: [UInt8] {
    let span = bytes
    // An empty one would write its count, 0, into the storage that all empty arrays share.
    guard span.byteCount > 0 else { return [] }
    return unsafe [UInt8](unsafeUninitializedCapacity: span.byteCount) { target, count in
      unsafe span.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
      }
      count = span.byteCount
    }
  }
}
