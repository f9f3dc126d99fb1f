import SidecarPlatform

/// One blocking GET: for `healthcheck`, which images without a shell need, and for `tail` and
/// `top`.
public enum Client {
  /// Why there is no status.
  public enum Failure: Error, Sendable {
    case connect(Errno)
    case noAnswer
    case malformed
  }

  /// The status of the answer to `GET path`.
  public static func status(
    of path: String, at address: NetworkAddress, timeoutMilliseconds: Int
  ) throws(Failure) -> Int {
    var answer = ByteBuffer()
    _ = try receive(path, address, timeoutMilliseconds, atLeast: 12, into: &answer)
    return try status(answer.bytes)
  }

  /// The status of `GET path`; its body in `body`, of at most `limit` bytes.
  public static func get(
    _ path: String, at address: NetworkAddress, timeoutMilliseconds: Int, limit: Int = 256 << 20,
    into body: inout ByteBuffer
  ) throws(Failure) -> Int {
    body.removeAll()
    guard try receive(path, address, timeoutMilliseconds, atLeast: limit, into: &body) else {
      throw .noAnswer
    }
    let status = try status(body.bytes)
    // Each answer has a length and is the last one of its connection, so everything after the head
    // is body.
    var index = 0
    while index + 4 <= body.count,
      !body.bytes.extracting(index..<index + 4).isEqual(to: "\r\n\r\n")
    { index += 1 }
    guard index + 4 <= body.count else { throw .malformed }
    body.removeFirst(index + 4)
    return status
  }

  /// Receives until the connection ends or `least` bytes have arrived; returns whether it has
  /// ended.
  @inline(never)
  private static func receive(
    _ path: String, _ address: NetworkAddress, _ timeoutMilliseconds: Int, atLeast least: Int,
    into answer: inout ByteBuffer
  ) throws(Failure) -> Bool {
    let host = address.host == "0.0.0.0" ? "127.0.0.1" : address.host == "::" ? "::1" : address.host
    let socket: Descriptor
    do throws(Errno) {
      socket = try Socket.connectTCP(
        host: host, port: address.port, timeoutMilliseconds: timeoutMilliseconds)
    } catch { throw .connect(error) }
    var request = ByteBuffer()
    request.append(
      joined("GET ", path, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    guard socket.send(request.bytes) == .bytes(request.count) else { throw .noAnswer }
    let deadline = Clock.monotonicNanoseconds + UInt64(timeoutMilliseconds) * 1_000_000
    while answer.count < least, Clock.monotonicNanoseconds < deadline {
      switch socket.receive(into: &answer, capacity: 65_536) {
      case .bytes: continue
      case .wouldBlock: Process.sleep(milliseconds: 1)
      case .closed: return true
      case .failed: throw .noAnswer
      }
    }
    if answer.count < min(least, 12) { throw .noAnswer }
    return false
  }

  @inline(never)
  private static func status(_ bytes: RawSpan) throws(Failure) -> Int {
    guard bytes.byteCount >= 12, bytes.extracting(0..<9).isEqual(to: "HTTP/1.1 ") else {
      throw bytes.byteCount < 12 ? .noAnswer : .malformed
    }
    var status = 0
    for index in 9..<12 {
      let digit = bytes.at(index)
      guard digit >= 48, digit <= 57 else { throw .malformed }
      status = status * 10 + Int(digit - 48)
    }
    return status
  }
}
