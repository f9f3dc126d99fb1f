import SidecarPlatform

/// One blocking GET: for `healthcheck`, which images without a shell need.
public enum Client {
  /// Why there is no status.
  public enum Failure: Error, Sendable {
    case connect(Errno)
    case noAnswer
    case malformed
  }

  /// The status that `GET path` is answered with.
  public static func status(
    of path: String, at address: NetworkAddress, timeoutMilliseconds: Int
  ) throws(Failure) -> Int {
    let host = address.host == "0.0.0.0" ? "127.0.0.1" : address.host == "::" ? "::1" : address.host
    let socket: Descriptor
    do throws(Errno) {
      socket = try Socket.connectTCP(
        host: host, port: address.port, timeoutMilliseconds: timeoutMilliseconds)
    } catch { throw .connect(error) }
    var request = ByteBuffer()
    request.append("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    guard socket.send(request.bytes) == .bytes(request.count) else { throw .noAnswer }
    var answer = ByteBuffer()
    let deadline = Clock.monotonicNanoseconds + UInt64(timeoutMilliseconds) * 1_000_000
    while answer.count < 12, Clock.monotonicNanoseconds < deadline {
      switch socket.receive(into: &answer, capacity: 4096) {
      case .bytes: continue
      case .wouldBlock: Process.sleep(milliseconds: 1)
      case .closed, .failed: throw .noAnswer
      }
    }
    guard answer.count >= 12 else { throw .noAnswer }
    let bytes = answer.bytes
    guard bytes.extracting(0..<9).isEqual(to: "HTTP/1.1 ") else { throw .malformed }
    var status = 0
    for index in 9..<12 {
      let digit = bytes.at(index)
      guard digit >= 48, digit <= 57 else { throw .malformed }
      status = status * 10 + Int(digit - 48)
    }
    return status
  }
}
