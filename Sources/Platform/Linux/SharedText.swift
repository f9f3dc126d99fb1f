import CSidecarLinux

/// A text that outlives the process that stored it: it is in memory that processes forked later
/// share, so a worker that takes over finds its predecessor's text.
///
///      0   4  how many texts were stored; the last one lies in place 0 if that is even, else in 1
///      8   …  two places, each: 8 length   8 note   then the bytes
///
/// What must stay true: a text is complete in its place before the count is stored, in one store;
/// so a process killed while it stores leaves the previous text.
@safe
public final class SharedText {
  // Sound: one mapping of `byteCount` bytes, made in `init` and unmapped once in `deinit`; lengths
  // are compared with `limit` before they are used.
  private let memory: UnsafeMutableRawPointer
  private let byteCount: Int
  private let stride: Int
  private let limit: Int

  private static let headByteCount = 8
  private static let placeHeadByteCount = 16

  /// Makes room for a text of at most `limit` bytes. Memory that is never written costs nothing.
  public init(limit: Int) throws(Errno) {
    let stride = Self.placeHeadByteCount + (limit + 7) & ~7
    let byteCount = Self.headByteCount + 2 * stride
    guard let memory = unsafe cl_map_anonymous_shared(UInt64(byteCount)) else {
      throw Errno(cl_last_error())
    }
    unsafe self.memory = memory
    self.byteCount = byteCount
    self.stride = stride
    self.limit = limit
  }

  deinit { _ = unsafe cl_unmap(memory, UInt64(byteCount)) }

  /// Replaces the stored text and the number that belongs to it. Ignores a text longer than
  /// `limit`.
  public func store(_ text: RawSpan, note: UInt64) {
    guard text.byteCount <= limit else { return }
    let count = unsafe memory.load(as: UInt32.self) &+ 1
    let place = unsafe self.place(of: count)
    unsafe place.storeBytes(of: UInt64(text.byteCount), as: UInt64.self)
    unsafe place.storeBytes(of: note, toByteOffset: 8, as: UInt64.self)
    unsafe text.withUnsafeBytes { source in
      unsafe UnsafeMutableRawBufferPointer(
        start: place + Self.placeHeadByteCount, count: source.count
      ).copyMemory(from: source)
    }
    cl_compiler_barrier()
    unsafe cl_store_32(memory, count)
  }

  /// The text that any process stored last; `nil` if there is none.
  public func load() -> (text: [UInt8], note: UInt64)? {
    let count = unsafe memory.load(as: UInt32.self)
    guard count > 0 else { return nil }
    let place = unsafe self.place(of: count)
    let length = unsafe min(Int(clamping: place.load(as: UInt64.self)), limit)
    let bytes = unsafe UnsafeRawBufferPointer(start: place + Self.placeHeadByteCount, count: length)
    return unsafe (Array(bytes), place.load(fromByteOffset: 8, as: UInt64.self))
  }

  private func place(of count: UInt32) -> UnsafeMutableRawPointer {
    unsafe memory + Self.headByteCount + Int(count & 1) * stride
  }
}
