import CLinux

/// Many datagrams a call, each in its own part of one slab.
@safe
public struct Datagrams: ~Copyable {
  // Sound: `capacity * stride` bytes and `capacity` sizes, allocated in `init`, freed in `deinit`;
  // the kernel writes at most `stride` bytes into each part.
  private let slab: UnsafeMutableRawPointer
  private let sizes: UnsafeMutablePointer<UInt32>
  private let capacity: Int
  private let stride: Int
  public private(set) var count = 0

  /// Room for 64 datagrams of at most `maximumByteCount` bytes. Memory that is never received into
  /// is never touched, so it costs nothing.
  public init(maximumByteCount: Int) {
    capacity = 64
    stride = (maximumByteCount + 63) & ~63
    unsafe slab = .allocate(byteCount: capacity * stride, alignment: 64)
    unsafe sizes = .allocate(capacity: capacity)
  }

  deinit {
    unsafe slab.deallocate()
    unsafe sizes.deallocate()
  }

  /// Takes what is waiting on `descriptor`, at most 64.
  public mutating func receive(from descriptor: Int32) -> IOResult {
    let result = unsafe cl_receive_datagrams(descriptor, slab, stride, sizes, Int32(capacity))
    count = max(0, Int(result))
    if result == -Errno.wouldBlock.rawValue { return .wouldBlock }
    return result < 0 ? .failed(Errno(-result)) : .bytes(Int(result))
  }

  /// Whether the `index`-th was longer than the buffer; what is here of it is cut.
  public borrowing func isTruncated(_ index: Int) -> Bool {
    precondition(index >= 0 && index < count)
    return unsafe sizes[index] & 0x8000_0000 != 0
  }

  /// The bytes of the `index`-th.
  @_lifetime(borrow self)
  public borrowing func bytes(_ index: Int) -> RawSpan {
    precondition(index >= 0 && index < count)
    let size = unsafe min(Int(sizes[index] & 0x7fff_ffff), stride)
    let span = unsafe RawSpan(
      _unsafeStart: UnsafeRawPointer(slab + index * stride), byteCount: size)
    return unsafe _overrideLifetime(span, borrowing: self)
  }
}
