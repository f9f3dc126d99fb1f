import Platform

/// The sockets that bring events, open. What stands in the way of one is told in a line that says
/// what to change.
final class IntakeSockets {
  struct Failure: Error { let message: String }

  private var eventsFile: SocketFile?
  private var statsdFile: SocketFile?
  private var spectatorFile: SocketFile?
  private var udpSocket: Descriptor?
  private var tcpSocket: Descriptor?

  // Valid as long as this lives; -1 where there is no such socket.
  var events: Int32 { eventsFile?.socket.raw ?? -1 }
  var statsd: Int32 { statsdFile?.socket.raw ?? -1 }
  var spectator: Int32 { spectatorFile?.socket.raw ?? -1 }
  var udp: Int32 { udpSocket?.raw ?? -1 }
  var tcp: Int32 { tcpSocket?.raw ?? -1 }

  init(_ settings: Settings) throws(Failure) {
    eventsFile = try Self.file(settings, settings.eventsSocket, .stream, "--events-socket")
    statsdFile = try Self.file(settings, settings.statsdSocket, .datagram, "--statsd-socket")
    spectatorFile = try Self.file(
      settings, settings.spectatorSocket, .datagram, "--spectator-socket")
    udpSocket = try Self.udp(settings)
    tcpSocket = try Self.tcp(settings)
  }

  // MARK: Addresses

  private static func udp(_ settings: Settings) throws(Failure) -> Descriptor? {
    guard let address = settings.statsdUDP else { return nil }
    let socket: Descriptor
    do throws(Errno) {
      socket = try Socket.bindUDP(host: address.host, port: address.port)
    } catch { throw cannotListen(address, error, "--statsd-udp") }
    let wanted = settings.receiveBufferByteCount
    let granted = Socket.growReceiveBuffer(socket.raw, byteCount: wanted)
    if granted < wanted {
      settings.log.info(
        "udp: the kernel grants a receive buffer of \(granted) bytes; raise net.core.rmem_max to "
          + "have the \(wanted) of --receive-buffer")
    }
    return socket
  }

  private static func tcp(_ settings: Settings) throws(Failure) -> Descriptor? {
    guard let address = settings.statsdTCP else { return nil }
    do throws(Errno) {
      return try Socket.listenTCP(host: address.host, port: address.port)
    } catch { throw cannotListen(address, error, "--statsd-tcp") }
  }

  private static func cannotListen(
    _ address: NetworkAddress, _ code: Errno, _ flag: String
  ) -> Failure {
    let hint: String
    switch code {
    case .addressInUse: hint = "another program listens there; choose another with \(flag)"
    case .addressNotAvailable:
      hint = "this machine has no such address; \(flag) 0.0.0.0:\(address.port) takes all it has"
    case .permissionDenied: hint = "ports below 1024 need a privilege; choose another with \(flag)"
    case .invalid: hint = "\(flag) takes an address in numbers, or localhost"
    default: hint = "\(code.description) (\(code.name))"
    }
    return Failure(message: "cannot listen on \(address.description): \(hint)")
  }

  // MARK: Files

  private static func file(
    _ settings: Settings, _ path: String, _ kind: Socket.Kind, _ flag: String
  ) throws(Failure) -> SocketFile? {
    if path.isEmpty { return nil }
    if let folder = Files.parent(of: path) {
      do throws(Errno) { try Files.makeFolder(folder) } catch {}
    }
    do throws(SocketFile.Failure) {
      return try SocketFile(
        path: path, kind: kind, mode: settings.socketMode, group: settings.socketGroup)
    } catch {
      switch error {
      case .inUse:
        throw Failure(
          message: "\(path) is in use by another sidecar; choose another with \(flag)")
      case .pathTooLong(let count):
        throw Failure(
          message: "\(path) has \(count) bytes; a Unix socket's path has at most "
            + "\(Socket.unixPathLimit). Choose a shorter \(flag)")
      case .lock(let code), .bind(let code):
        throw Failure(message: cannotBind(path, code, flag, settings))
      }
    }
  }

  private static func cannotBind(
    _ path: String, _ code: Errno, _ flag: String, _ settings: Settings
  ) -> String {
    let folder = Files.parent(of: path) ?? "."
    switch code {
    case .notPermitted where settings.socketGroup >= 0:
      return "cannot give \(path) to group \(settings.socketGroup): this user is not in it. Add "
        + "it (supplementalGroups in Kubernetes), or leave --socket-group out"
    case .permissionDenied, .readOnlyFileSystem:
      return "cannot make \(path): this user may not write to \(folder). Mount a volume there that "
        + "its group may write (fsGroup in Kubernetes), or choose another \(flag)"
    case .noSuchFile, .notDirectory:
      return "cannot make \(path): there is no folder \(folder). Mount a volume there, or choose "
        + "another \(flag)"
    case .addressInUse, .isDirectory:
      return "cannot make \(path): something that is not a stale socket is in its place. Remove "
        + "it, or choose another \(flag)"
    default: return "cannot make \(path): \(code.description) (\(code.name))"
    }
  }
}
