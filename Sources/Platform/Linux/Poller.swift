import CLinux

/// epoll: which descriptors are ready. Level-triggered; the data word comes back as it was given.
@safe
public struct Poller: ~Copyable {
  private let descriptor: Descriptor
  // Sound: allocated for `capacity` events in `init`, freed once in `deinit`, indexed below `count`.
  private let events: UnsafeMutablePointer<cl_event>
  private static var capacity: Int { 256 }

  public struct Interest: OptionSet, Sendable {
    public let rawValue: UInt32
    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let readable = Interest(rawValue: 0x001)
    public static let writable = Interest(rawValue: 0x004)
    /// Reported without asking.
    public static let error = Interest(rawValue: 0x008)
    /// Reported without asking: both directions are closed.
    public static let hangup = Interest(rawValue: 0x010)
    public static let peerClosed = Interest(rawValue: 0x2000)
  }

  public struct Ready: Sendable {
    public let data: UInt64
    public let interest: Interest
  }

  public init() throws(Errno) {
    descriptor = Descriptor(owning: try SystemCall.check(cl_poll_create()))
    unsafe events = .allocate(capacity: Self.capacity)
  }

  deinit { unsafe events.deallocate() }

  public borrowing func add(
    _ raw: Int32, _ interest: Interest, data: UInt64
  ) throws(Errno) {
    _ = try SystemCall.check(cl_poll_add(descriptor.raw, raw, interest.rawValue, data))
  }

  public borrowing func modify(
    _ raw: Int32, _ interest: Interest, data: UInt64
  ) throws(Errno) {
    _ = try SystemCall.check(cl_poll_modify(descriptor.raw, raw, interest.rawValue, data))
  }

  /// Forgets a descriptor. Closing it does the same unless it has been duplicated.
  public borrowing func remove(_ raw: Int32) { _ = cl_poll_remove(descriptor.raw, raw) }

  /// Waits until something is ready or the time is over, and says how many are.
  /// `timeoutMilliseconds` -1 waits without end; a signal ends the wait with 0.
  @inline(__always)
  public borrowing func wait(timeoutMilliseconds: Int32) throws(Errno) -> Int {
    Int(
      try SystemCall.check(
        unsafe cl_poll_wait(
          descriptor.raw, events, Int32(Self.capacity), timeoutMilliseconds)))
  }

  /// The `index`-th of those that the last `wait` found.
  @inline(__always)
  public borrowing func ready(_ index: Int) -> Ready {
    precondition(index >= 0 && index < Self.capacity)
    let event = unsafe events[index]
    return Ready(data: event.data, interest: Interest(rawValue: event.events))
  }
}
