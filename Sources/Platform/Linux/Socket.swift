import CSidecarLinux

/// TCP and Unix sockets, all non-blocking and close-on-exec.
public enum Socket {
  /// A stream with connections, or datagrams.
  public enum Kind: Sendable { case stream, datagram }

  /// The longest path of a Unix socket in bytes: 107 on Linux.
  public static var unixPathLimit: Int { Int(cl_unix_path_limit()) }

  /// Listens on a TCP address exclusively: a second listener there gets `EADDRINUSE`. `port` 0
  /// picks a free one. Only the name `localhost` is resolved (others: `EINVAL`).
  public static func listenTCP(
    host: String, port: UInt16, backlog: Int = 1024
  ) throws(Errno) -> Descriptor {
    let socket = try bindTCP(host: host, port: port, isShared: false)
    try listen(socket.raw, backlog: backlog)
    return socket
  }

  /// Binds a TCP address; clients cannot connect before `listen`. A shared one has `SO_REUSEPORT`,
  /// so that each worker has a queue of its own.
  public static func bindTCP(
    host: String, port: UInt16, isShared: Bool = true
  ) throws(Errno) -> Descriptor {
    unsafe Descriptor(owning: try SystemCall.check(cl_bind_tcp(host, port, isShared ? 1 : 0)))
  }

  /// Lets other sockets of this process share the address of a listening one (`SO_REUSEPORT`). A
  /// program that wants it exclusively still finds it in use.
  public static func share(_ descriptor: Int32) throws(Errno) {
    _ = try SystemCall.check(cl_share_port(descriptor))
  }

  /// Lets clients connect to what `bindTCP` has bound.
  public static func listen(_ descriptor: Int32, backlog: Int = 1024) throws(Errno) {
    _ = try SystemCall.check(cl_listen(descriptor, Int32(backlog)))
  }

  /// Binds a UDP address; it can receive at once.
  public static func bindUDP(host: String, port: UInt16) throws(Errno) -> Descriptor {
    unsafe Descriptor(owning: try SystemCall.check(cl_bind_udp(host, port)))
  }

  /// Connects, waiting at most `timeoutMilliseconds`.
  public static func connectTCP(
    host: String, port: UInt16, timeoutMilliseconds: Int
  ) throws(Errno) -> Descriptor {
    unsafe Descriptor(
      owning: try SystemCall.check(cl_connect_tcp(host, port, Int64(timeoutMilliseconds))))
  }

  /// Binds `path`, sets its mode and, if it is not negative, its group, and listens if it is a
  /// stream. The file must not exist: `SocketFile` decides whether to remove an old one.
  public static func listenUnix(
    path: String, kind: Kind, mode: UInt32, group: Int64 = -1, backlog: Int = 1024
  ) throws(Errno) -> Descriptor {
    let isDatagram: Int32 = kind == .datagram ? 1 : 0
    return unsafe Descriptor(
      owning: try SystemCall.check(cl_listen_unix(path, isDatagram, mode, group, Int32(backlog))))
  }

  /// Connects to a Unix socket. Never waits: a full backlog is `EAGAIN`, a missing listener
  /// `ECONNREFUSED`.
  public static func connectUnix(path: String, kind: Kind) throws(Errno) -> Descriptor {
    unsafe Descriptor(
      owning: try SystemCall.check(cl_connect_unix(path, kind == .datagram ? 1 : 0)))
  }

  /// The next connection waiting on `listener`.
  @inline(__always)
  public static func accept(_ listener: Int32) throws(Errno) -> Descriptor {
    Descriptor(owning: try SystemCall.check(cl_accept(listener)))
  }

  /// Whether a connection waits on `listener`: when no descriptor is left, `accept` does not say.
  public static func hasWaiting(_ listener: Int32) -> Bool { cl_is_readable(listener) != 0 }

  /// The port that a TCP or UDP socket is bound to.
  public static func localPort(_ descriptor: Int32) throws(Errno) -> UInt16 {
    UInt16(truncatingIfNeeded: try SystemCall.check(cl_local_port(descriptor)))
  }

  /// `Descriptor.receive` for a descriptor with another owner.
  @inline(__always)
  public static func receive(
    _ descriptor: Int32, into buffer: inout ByteBuffer, capacity: Int
  ) -> IOResult {
    var result: Int64 = 0
    unsafe buffer.appendUnsafe(capacity: capacity) { memory in
      result = unsafe cl_receive(descriptor, memory.baseAddress, memory.count)
      return max(0, Int(result))
    }
    return IOResult(result, wanted: capacity)
  }

  /// Unreceived bytes of a stream that the kernel holds; `nil` if it does not say.
  public static func readableByteCount(_ descriptor: Int32) -> Int? {
    let count = cl_readable_byte_count(descriptor)
    return count < 0 ? nil : Int(count)
  }

  /// `Descriptor.send` for a descriptor with another owner.
  @inline(__always)
  public static func send(_ descriptor: Int32, _ bytes: RawSpan) -> IOResult {
    let result = unsafe bytes.withUnsafeBytes { memory in
      unsafe cl_send(descriptor, memory.baseAddress, memory.count)
    }
    return IOResult(result, wanted: bytes.byteCount)
  }

  /// Lets `receive` and `send` of short-lived commands block, at most this long per call.
  public static func setTimeouts(_ descriptor: Int32, milliseconds: Int) {
    _ = cl_set_timeouts(descriptor, Int64(milliseconds))
  }

  /// Bytes of a TCP stream that the peer's kernel has not acknowledged, counting the end of our
  /// side as one; `nil` if the kernel does not say.
  public static func unacknowledgedByteCount(_ descriptor: Int32) -> Int? {
    let count = cl_unacknowledged_byte_count(descriptor)
    return count < 0 ? nil : Int(count)
  }

  /// The peer's address, 16 bytes of IPv6 (`::ffff:0:0/96` for IPv4); zeros if unknown.
  public static func peerAddress(_ raw: Int32) -> (UInt64, UInt64) {
    var high: UInt64 = 0
    var low: UInt64 = 0
    unsafe cl_peer_address(raw, &high, &low)
    return (high, low)
  }

  /// A number for the peer's address, for IPv6 for its first 64 bits; 0 if unknown.
  public static func peer(_ raw: Int32) -> UInt64 { cl_peer(raw) }

  /// Tells the peer that nothing more comes. The corresponding C function is `shutdown`.
  public static func shutdownWrite(_ descriptor: Int32) { _ = cl_shutdown_write(descriptor) }

  /// Asks for a receive buffer of `byteCount` and returns what the kernel grants:
  /// `net.core.rmem_max` bounds it unless the process has CAP_NET_ADMIN.
  public static func growReceiveBuffer(_ descriptor: Int32, byteCount: Int) -> Int {
    Int(max(0, cl_grow_receive_buffer(descriptor, Int32(byteCount))))
  }

  /// Asks for a send buffer of `byteCount`; the kernel cuts that to `net.core.wmem_max` and doubles
  /// it. Keeps a larger buffer.
  public static func growSendBuffer(_ descriptor: Int32, byteCount: Int) {
    cl_grow_send_buffer(descriptor, Int32(byteCount))
  }

  /// Datagrams that the kernel has dropped because the socket's buffer was full.
  public static func dropCount(_ descriptor: Int32) -> Int64 {
    max(0, cl_socket_drops(descriptor))
  }
}
