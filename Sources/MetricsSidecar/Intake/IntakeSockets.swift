import SidecarPlatform

/// The open sockets for events. If one cannot be opened, a line says why and what to change.
final class IntakeSockets {
  struct Failure: Error { let message: String }

  /// The sockets with a path.
  let files: [IntakeFile]
  private var udpSocket: Descriptor?
  private var tcpSocket: Descriptor?
  /// An owner where an array can have it.
  final class Listener {
    private let socket: Descriptor
    var raw: Int32 { socket.raw }
    init(_ socket: consuming Descriptor) { self.socket = socket }
  }

  /// Where OTLP comes in: none, one, or both addresses of localhost.
  private(set) var otlp: [Listener] = []

  // Valid as long as this lives; -1 if there is no such socket.
  private(set) var events: Int32 = -1
  private(set) var statsd: Int32 = -1
  private(set) var spectator: Int32 = -1
  var udp: Int32 { udpSocket?.raw ?? -1 }
  var tcp: Int32 { tcpSocket?.raw ?? -1 }

  init(_ settings: Settings) throws(Failure) {
    var files: [IntakeFile] = []
    if !settings.eventsSocket.isEmpty {
      files.append(try IntakeFile(settings, settings.eventsSocket, .events, "--events-socket"))
    }
    if !settings.statsdSocket.isEmpty {
      files.append(try IntakeFile(settings, settings.statsdSocket, .statsd, "--statsd-socket"))
    }
    if !settings.spectatorSocket.isEmpty {
      files.append(
        try IntakeFile(settings, settings.spectatorSocket, .spectator, "--spectator-socket"))
    }
    self.files = files
    udpSocket = try Self.udp(settings)
    tcpSocket = try Self.tcp(settings)
    otlp = try Self.otlp(settings)
    for file in files { name(file) }
  }

  private func name(_ file: IntakeFile) {
    switch file.source {
    case .events: events = file.file.socket.raw
    case .statsd: statsd = file.file.socket.raw
    default: spectator = file.file.socket.raw
    }
  }

  /// Lets workers share the sockets that one of them binds again.
  func share() throws(Errno) {
    for file in files { try file.file.share() }
  }

  /// Takes over the sockets that earlier workers have bound again, one after the other; returns the
  /// previous socket, `nil` if there are no more.
  func takeParked(_ file: IntakeFile) -> OrphanedSocket? {
    guard let former = file.file.takeParked() else { return nil }
    name(file)
    return OrphanedSocket(former, file.source)
  }

  /// Binds a socket whose file was removed; returns the previous one.
  func bindAgain(_ file: IntakeFile, _ settings: Settings) throws(Failure) -> OrphanedSocket {
    let former = OrphanedSocket(try file.bindAgain(settings), file.source)
    name(file)
    return former
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
        joined(
          "udp: the kernel grants a receive buffer of ", granted.description,
          " bytes; raise net.core.rmem_max to ")
          + joined("have the ", wanted.description, " of --receive-buffer"))
    }
    return socket
  }

  private static func tcp(_ settings: Settings) throws(Failure) -> Descriptor? {
    guard let address = settings.statsdTCP else { return nil }
    do throws(Errno) {
      return try Socket.listenTCP(host: address.host, port: address.port)
    } catch { throw cannotListen(address, error, "--statsd-tcp") }
  }

  private static func otlp(_ settings: Settings) throws(Failure) -> [Listener] {
    var listeners: [Listener] = []
    for address in settings.otlp.addresses {
      do throws(Errno) {
        listeners.append(
          Listener(try Socket.listenTCP(host: address.host, port: address.port)))
      } catch {
        // Of localhost, the machine may have no address of IPv6.
        if listeners.isEmpty || error == .addressInUse {
          throw cannotListen(address, error, "--otlp")
        }
      }
    }
    return listeners
  }

  private static func cannotListen(
    _ address: NetworkAddress, _ code: Errno, _ flag: String
  ) -> Failure {
    let hint: String
    switch code {
    case .addressInUse: hint = joined("another program listens there; choose another with ", flag)
    case .addressNotAvailable:
      hint = joined(
        "this machine has no such address; ", flag, " 0.0.0.0:", address.port.description,
        " takes all it has")
    case .permissionDenied:
      hint = joined("ports below 1024 need a privilege; choose another with ", flag)
    case .invalid: hint = joined(flag, " takes an address in numbers, or localhost")
    default: hint = joined(code.description, " (", code.name, ")")
    }
    return Failure(message: joined("cannot listen on ", address.description, ": ", hint))
  }
}

/// A socket with a path, and the flag that names it.
final class IntakeFile {
  var file: SocketFile
  let source: IntakeCounts.Source
  private let flag: String

  init(
    _ settings: Settings, _ path: String, _ source: IntakeCounts.Source, _ flag: String
  ) throws(IntakeSockets.Failure) {
    self.source = source
    self.flag = flag
    Self.makeFolder(path)
    do throws(SocketFile.Failure) {
      file = try SocketFile(
        path: path, kind: source == .events ? .stream : .datagram, mode: settings.socketMode,
        group: settings.socketGroup)
    } catch {
      throw Self.failure(
        error, path, flag, settings, inUse: "is in use by another sidecar; choose another with")
    }
  }

  /// Binds it if its file was removed; returns the previous socket.
  func bindAgain(_ settings: Settings) throws(IntakeSockets.Failure) -> Descriptor {
    Self.makeFolder(file.path)
    do throws(SocketFile.Failure) {
      return try file.bindAgain()
    } catch {
      throw Self.failure(
        error, file.path, flag, settings,
        inUse: "was taken by another program, to which clients send now; end it, or choose another")
    }
  }

  private static func makeFolder(_ path: String) {
    guard !SocketFile.isAbstract(path), let folder = Files.parent(of: path) else { return }
    do throws(Errno) { try Files.makeFolder(folder) } catch {}
  }

  private static func failure(
    _ failure: SocketFile.Failure, _ path: String, _ flag: String, _ settings: Settings,
    inUse: String
  ) -> IntakeSockets.Failure {
    let message: String
    switch failure {
    case .inUse: message = joined(path, " ", inUse, " ", flag)
    case .pathTooLong(let count):
      message =
        joined(
          path, " has ", count.description, " bytes; a Unix socket's path has at most ",
          Socket.unixPathLimit.description, ". ")
        + joined("Choose a shorter ", flag)
    case .lock(let code), .bind(let code): message = cannotBind(path, code, flag, settings)
    }
    return IntakeSockets.Failure(message: message)
  }

  private static func cannotBind(
    _ path: String, _ code: Errno, _ flag: String, _ settings: Settings
  ) -> String {
    let folder = Files.parent(of: path) ?? "."
    switch code {
    case .notPermitted where settings.socketGroup >= 0:
      return joined(
        "cannot give ", path, " to group ", settings.socketGroup.description,
        ": this user is not in it. Add ")
        + "it (supplementalGroups in Kubernetes), or leave --socket-group out"
    case .permissionDenied, .readOnlyFileSystem:
      return joined(
        "cannot make ", path, ": this user may not write to ", folder,
        ". Mount a volume there that ")
        + joined("its group may write (fsGroup in Kubernetes), or choose another ", flag)
    case .noSuchFile, .notDirectory:
      return joined(
        "cannot make ", path, ": there is no folder ", folder, ". Mount a volume there, or choose ")
        + joined("another ", flag)
    case .addressInUse, .isDirectory:
      return joined(
        "cannot make ", path, ": something that is not a stale socket is in its place. Remove ")
        + joined("it, or choose another ", flag)
    default: return joined("cannot make ", path, ": ", code.description, " (", code.name, ")")
    }
  }
}
