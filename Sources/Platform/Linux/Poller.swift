import CSidecarLinux

/// epoll: which descriptors are ready. Level-triggered; the data word comes back unchanged.
///
/// A descriptor watched by epoll costs its writers: epoll's callback stays on the descriptor, takes
/// a lock and runs within the writer's call, even while we are awake and would look anyway. poll(2)
/// adds a callback only while we sleep. So a few descriptors with floods of writes are watched by
/// poll, together with epoll's own descriptor.
@safe
public struct Poller: ~Copyable {
  private let descriptor: Descriptor
  // Sound: allocated for `capacity` events in `init`, freed once in `deinit`, indexed below
  // `count`.
  private let events: UnsafeMutablePointer<cl_event>
  private static var capacity: Int { Int(cl_poll_capacity()) }
  /// The descriptors that poll watches.
  private var busy: [cl_busy] = []

  /// The events to watch a descriptor for, and those that occurred.
  public struct Interest: OptionSet, Sendable {
    /// The bits of epoll.
    public let rawValue: UInt32
    /// From epoll's own bits.
    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// There is something to read, or a connection to accept.
    public static let readable = Interest(rawValue: CL_READABLE)
    /// The kernel takes bytes again.
    public static let writable = Interest(rawValue: CL_WRITABLE)
    /// Always reported.
    public static let error = Interest(rawValue: CL_ERROR)
    /// Always reported: both directions are closed.
    public static let hangup = Interest(rawValue: CL_HANGUP)
  }

  /// One descriptor that is ready.
  public struct Ready: Sendable {
    /// The word given with it.
    public let data: UInt64
    /// What it is ready for.
    public let interest: Interest
  }

  /// The corresponding C function is `epoll_create1`.
  public init() throws(Errno) {
    descriptor = Descriptor(owning: try SystemCall.check(cl_poll_create()))
    unsafe events = .allocate(capacity: Self.capacity)
  }

  deinit { unsafe events.deallocate() }

  /// Watches `raw`; `data` comes back with it.
  public borrowing func add(
    _ raw: Int32, _ interest: Interest, data: UInt64
  ) throws(Errno) {
    _ = try SystemCall.check(cl_poll_add(descriptor.raw, raw, interest.rawValue, data))
  }

  /// Watches `raw` for reading, in a way that costs its writers nothing while we are awake. Each
  /// wait looks at all such descriptors, so use it for a few with many writes.
  public mutating func addBusy(_ raw: Int32, data: UInt64) throws(Errno) {
    guard busy.count < Int(CL_BUSY_LIMIT) else { return try add(raw, .readable, data: data) }
    busy.append(cl_busy(data: data, fd: raw, padding: 0))
  }

  /// Watches a known `raw` for other events; for a descriptor added by `addBusy`, changes only the
  /// data.
  public mutating func modify(
    _ raw: Int32, _ interest: Interest, data: UInt64
  ) throws(Errno) {
    for index in busy.indices where busy[index].fd == raw {
      busy[index].data = data
      return
    }
    _ = try SystemCall.check(cl_poll_modify(descriptor.raw, raw, interest.rawValue, data))
  }

  /// Forgets a descriptor. Closing it does the same unless it has been duplicated. A descriptor
  /// added by `addBusy` has to be forgotten before it is closed.
  public mutating func remove(_ raw: Int32) {
    for index in busy.indices where busy[index].fd == raw {
      busy.remove(at: index)
      return
    }
    _ = cl_poll_remove(descriptor.raw, raw)
  }

  /// Waits until something is ready or the time is over, and says how many are.
  /// `timeoutMilliseconds` -1 waits without end; a signal ends the wait with 0.
  @inline(__always)
  public borrowing func wait(timeoutMilliseconds: Int32) throws(Errno) -> Int {
    Int(
      try SystemCall.check(
        unsafe cl_poll_wait(
          descriptor.raw, busy, Int32(busy.count), events, timeoutMilliseconds)))
  }

  /// The `index`-th ready descriptor of the last `wait`.
  @inline(__always)
  public borrowing func ready(_ index: Int) -> Ready {
    precondition(index >= 0 && index < Self.capacity)
    let event = unsafe events[index]
    return Ready(data: event.data, interest: Interest(rawValue: event.events))
  }
}
