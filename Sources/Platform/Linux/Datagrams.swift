import CSidecarLinux

/// Many datagrams per call, each in its own part of one slab.
///
/// Processes forked later share the memory, both the bytes and the lengths that the kernel writes.
/// So when a process dies between receiving and applying, by whatever signal, its successor finds
/// what the kernel had delivered, and nothing is lost.
///
/// What must stay true: `number` rises with each batch, after the lengths of the last one are wiped
/// and before the kernel writes new ones; so a successor that knows which number was applied knows
/// whether this batch was.
@safe
public struct Datagrams: ~Copyable {
  // Sound: one mapping of `byteCount` bytes, made in `init` and unmapped once in `deinit`: the head
  // that C lays out, then `capacity` parts of `stride` bytes, into which the kernel writes.
  private let head: UnsafeMutableRawPointer
  private let slab: UnsafeMutableRawPointer
  private let byteCount: Int
  private let stride: Int
  /// How many datagrams the last `receive` or `restore` found.
  public private(set) var count = 0
  /// Drawn at random; the same in all processes that share this.
  public let identity: (UInt64, UInt64)

  /// The most datagrams that one call receives.
  public static var capacity: Int { Int(cl_inbox_capacity()) }

  /// Makes room for 64 datagrams of at most `maximumByteCount` bytes. Memory that never receives a
  /// datagram is never touched, so it costs nothing.
  public init(maximumByteCount: Int) throws(Errno) {
    let identity = try Process.randomIdentity()
    let stride = (maximumByteCount + 63) & ~63
    let headByteCount = (Int(cl_inbox_head_byte_count()) + 63) & ~63
    let byteCount = headByteCount + Self.capacity * stride
    guard let memory = unsafe cl_map_anonymous_shared(UInt64(byteCount)) else {
      throw Errno(cl_last_error())
    }
    unsafe cl_inbox_prepare(memory, memory + headByteCount, stride)
    unsafe head = memory
    unsafe slab = memory + headByteCount
    self.byteCount = byteCount
    self.stride = stride
    self.identity = identity
  }

  deinit { _ = unsafe cl_unmap(head, UInt64(byteCount)) }

  /// Receives what is waiting on `descriptor`, at most `capacity` datagrams. Keeps `source` with
  /// the batch.
  public mutating func receive(from descriptor: Int32, source: Int = 0) -> IOResult {
    let result = unsafe cl_inbox_receive(head, descriptor, Int32(source))
    count = max(0, Int(result))
    if result == -Errno.wouldBlock.rawValue { return .wouldBlock }
    return result < 0 ? .failed(Errno(-result)) : .bytes(Int(result))
  }

  /// Whether the `index`-th datagram was longer than the buffer and is truncated.
  public borrowing func isTruncated(_ index: Int) -> Bool {
    precondition(index >= 0 && index < count)
    return unsafe cl_inbox_length(head, Int32(index)) & 0x8000_0000 != 0
  }

  /// The bytes of the `index`-th datagram.
  @_lifetime(borrow self)
  public borrowing func bytes(_ index: Int) -> RawSpan {
    precondition(index >= 0 && index < count)
    let size = unsafe min(Int(cl_inbox_length(head, Int32(index)) & 0x7fff_ffff), stride)
    let span = unsafe RawSpan(
      _unsafeStart: UnsafeRawPointer(slab + index * stride), byteCount: size)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  // MARK: Across processes

  /// The number of the batch that is here, or is being received.
  public var number: UInt64 { unsafe cl_inbox_number(head) }

  /// The batch's source.
  public var source: Int { Int(unsafe cl_inbox_source(head)) }

  /// Looks at what a predecessor received last; sets `count`.
  public mutating func restore() { count = Int(unsafe cl_inbox_received(head)) }

  /// Numbers that all processes share, each with its own `index` below 4.
  public func shared(_ index: Int) -> UInt64 { unsafe cl_inbox_shared(head, Int32(index), 0) }

  /// Adds to a shared number and returns the result.
  @discardableResult
  public func addShared(_ index: Int, _ amount: UInt64) -> UInt64 {
    unsafe cl_inbox_shared(head, Int32(index), amount)
  }
}
