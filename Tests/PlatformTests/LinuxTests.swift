import Foundation
import Testing

@testable import SidecarPlatform

private func temporaryPath() -> String {
  NSTemporaryDirectory() + "platform-\(UUID().uuidString.prefix(8))"
}

@Suite struct LinuxTests {
  @Test func `a civil time is what the calendar says`() {
    let formatter = ISO8601DateFormatter()
    for seconds in stride(from: Int64(-3_000_000_000), to: 9_000_000_000, by: 86_399_123) {
      let time = CivilTime(unixSeconds: seconds)
      let text = formatter.string(from: Date(timeIntervalSince1970: Double(seconds)))
      let expected = String(
        format: "%04d-%02d-%02dT%02d:%02d:%02dZ", time.year, time.month, time.day, time.hour,
        time.minute, time.second)
      #expect(text == expected)
    }
    #expect(CivilTime(unixSeconds: 0).weekday == 4)
    #expect(CivilTime(unixSeconds: 1_769_852_662).weekday == 6)
  }

  @Test func `a port of one's own is in use for others, also once it is shared`() throws {
    let first = try Socket.listenTCP(host: "127.0.0.1", port: 0)
    let port = try Socket.localPort(first.raw)
    #expect(throws: Errno.addressInUse) {
      _ = try Socket.bindTCP(host: "127.0.0.1", port: port).raw
    }
    try Socket.share(first.raw)
    let second = try Socket.bindTCP(host: "127.0.0.1", port: port)
    try Socket.listen(second.raw)
    #expect(throws: Errno.addressInUse) {
      _ = try Socket.listenTCP(host: "127.0.0.1", port: port).raw
    }
  }

  @Test func `a live socket file is not stolen and a stale one is replaced`() throws {
    let path = temporaryPath()
    do {
      let first = try SocketFile(path: path, kind: .stream, mode: 0o660)
      #expect(throws: SocketFile.Failure.self) {
        _ = try SocketFile(path: path, kind: .stream, mode: 0o660)
      }
      _ = first.path
    }
    // A file of a socket that nobody has any more.
    _ = try Socket.listenUnix(path: path, kind: .stream, mode: 0o600).raw
    let second = try SocketFile(path: path, kind: .datagram, mode: 0o600)
    let mode = try FileManager.default.attributesOfItem(atPath: second.path)[.posixPermissions]
    #expect(mode as? Int == 0o600)
  }

  @Test func `what stands in a socket's place and is none is left alone`() throws {
    let path = temporaryPath()
    try Data("kept".utf8).write(to: URL(fileURLWithPath: path))
    do throws(SocketFile.Failure) {
      _ = try SocketFile(path: path, kind: .stream, mode: 0o600)
      Issue.record("the file was taken for a stale socket")
    } catch {
      guard case .bind(.addressInUse) = error else { throw error }
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("kept".utf8))
  }

  @Test func `a socket file that goes is told, and bound anew unless another lives there`() throws {
    let path = temporaryPath()
    var file = try SocketFile(path: path, kind: .datagram, mode: 0o600)
    var states = [file.isBound]
    for removesLock in [false, true] {
      try FileManager.default.removeItem(atPath: path)
      if removesLock { try FileManager.default.removeItem(atPath: path + ".lock") }
      states.append(file.isBound)
      _ = try file.bindAgain()
      states.append(file.isBound)
      #expect(throws: SocketFile.Failure.self) {
        _ = try SocketFile(path: path, kind: .datagram, mode: 0o600)
      }
    }
    #expect(states == [true, false, true, false, true])
    try FileManager.default.removeItem(atPath: path)
    do {
      let other = try Socket.listenUnix(path: path, kind: .datagram, mode: 0o600)
      var isRefused = false
      do throws(SocketFile.Failure) { _ = try file.bindAgain() } catch { isRefused = true }
      #expect(isRefused && other.raw >= 0)
    }
    _ = try file.bindAgain()
    let isBound = file.isBound
    #expect(isBound)
  }

  @Test func `a spare descriptor gives its number to another, and comes back`() throws {
    var spare = SpareDescriptor()
    var steps = [spare.isLent]
    for _ in 0..<2 { steps.append(spare.lend()) }
    steps.append(spare.isLent)
    spare.takeBack()
    steps.append(spare.isLent)
    #expect(steps == [false, true, false, true, false])
  }

  @Test func `who waits on a listener is told without being taken`() throws {
    let listener = try Socket.listenTCP(host: "127.0.0.1", port: 0)
    #expect(!Socket.hasWaiting(listener.raw))
    let port = try Socket.localPort(listener.raw)
    let client = try Socket.connectTCP(host: "127.0.0.1", port: port, timeoutMilliseconds: 20_000)
    #expect(Socket.hasWaiting(listener.raw) && client.raw >= 0)
    let taken = try Socket.accept(listener.raw)
    #expect(!Socket.hasWaiting(listener.raw) && taken.raw >= 0)
  }

  @Test func `parked sockets are found in their order, an only one in place of all`() throws {
    for isOnly in [false, true] {
      let parked = try ParkedSockets()
      var identities: [FileIdentity] = []
      for _ in 0..<3 {
        let path = temporaryPath()
        let socket = try Socket.listenUnix(path: path, kind: .datagram, mode: 0o600)
        identities.append(try FileIdentity(path: path))
        parked.park(socket.raw, identities.last!, isOnly: isOnly)
        let sender = try Socket.connectUnix(path: path, kind: .datagram)
        #expect(sender.send([UInt8](repeating: 65, count: identities.count).span.bytes) != .closed)
      }
      // Nobody else has them open now, and yet they have what was sent to them.
      var found: [FileIdentity] = []
      var identity = identities[0]
      var datagrams = try Datagrams(maximumByteCount: 64)
      while let socket = parked.next(&identity) {
        found.append(identity)
        let place = identities.firstIndex(of: identity) ?? 0
        #expect(datagrams.receive(from: socket.raw) == .bytes(1))
        #expect(datagrams.bytes(0).byteCount == place + 1)
      }
      #expect(found == (isOnly ? [identities[2]] : identities))
    }
  }

  @Test func `a name with an @ is a socket without a file, and taken by one at a time`() throws {
    let name = "@platform-\(UUID().uuidString.prefix(8))"
    do {
      let file = try SocketFile(path: name, kind: .datagram, mode: 0o600)
      let isBound = file.isBound
      #expect(isBound && !FileManager.default.fileExists(atPath: name))
      var isInUse = false
      do throws(SocketFile.Failure) {
        _ = try SocketFile(path: name, kind: .datagram, mode: 0o600)
      } catch {
        if case .inUse = error { isInUse = true }
      }
      #expect(isInUse)
      let sender = try Socket.connectUnix(path: name, kind: .datagram)
      #expect(sender.send([UInt8](repeating: 65, count: 1).span.bytes) == .bytes(1))
    }
    #expect(throws: Errno.connectionRefused) {
      _ = try Socket.connectUnix(path: name, kind: .datagram)
    }
  }

  @Test func `a path too long for a socket is told with its length`() {
    let path = "/tmp/" + String(repeating: "x", count: 120)
    do throws(SocketFile.Failure) {
      _ = try SocketFile(path: path, kind: .stream, mode: 0o660)
      Issue.record("bound")
    } catch {
      guard case .pathTooLong(125) = error else {
        Issue.record("\(error)")
        return
      }
    }
  }

  @Test func `a shared text is the last one stored, whole, or none`() throws {
    let shared = try SharedText(limit: 10)
    #expect(shared.load() == nil)
    for (note, text) in ["first", "2nd", "", "ten bytes."].enumerated() {
      shared.store(Array(text.utf8).span.bytes, note: UInt64(note))
      let found = try #require(shared.load())
      #expect(found.text == Array(text.utf8) && found.note == UInt64(note))
    }
    shared.store(Array("eleven byte".utf8).span.bytes, note: 9)
    #expect(try #require(shared.load()).note == 3)
  }

  @Test func `a mapped file keeps what was stored and its lock keeps others out`() throws {
    let path = temporaryPath()
    do {
      var file = try MappedFile(path: path, limit: 1 << 20)
      try file.grow(to: 8192)
      file.base.storeBytes(of: 77, toByteOffset: 8000, as: UInt8.self)
      #expect(throws: MappedFile.Failure.self) { _ = try MappedFile(path: path, limit: 1 << 20) }
      #expect(throws: Errno.self) { try file.grow(to: 2 << 20) }
    }
    let file = try MappedFile(path: path, limit: 1 << 20)
    #expect(file.size == 8192)
    #expect(file.base.load(fromByteOffset: 8000, as: UInt8.self) == 77)
  }

  @Test func `a link is followed to its end, and a loop to none`() throws {
    let folder = temporaryPath()
    try Files.makeFolder(folder + "/in")
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let links = FileManager.default
    try links.createSymbolicLink(atPath: folder + "/a", withDestinationPath: "in/b")
    try links.createSymbolicLink(atPath: folder + "/in/b", withDestinationPath: folder + "/c")
    try links.createSymbolicLink(atPath: folder + "/loop", withDestinationPath: "loop")
    #expect(Files.resolved(folder + "/a") == folder + "/c")
    #expect(Files.resolved(folder + "/none") == folder + "/none")
    #expect(Files.resolved(folder + "/loop") == folder + "/loop")
    let file = try MappedFile(path: folder + "/a", limit: 1 << 20)
    let (path, isThere) = (file.path, file.isThere)
    #expect(path == folder + "/c" && isThere)
  }

  @Test func `what is no file is not opened, and not written to`() throws {
    let folder = temporaryPath()
    try Files.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(mkfifo(folder + "/pipe", 0o600) == 0)
    for (path, expected) in [
      (folder, Errno.isDirectory), (folder + "/pipe", .invalid), ("/dev/null", .invalid),
    ] {
      var found: Errno?
      do throws(MappedFile.Failure) {
        _ = try MappedFile(path: path, limit: 1 << 20)
      } catch { if case .open(let code) = error { found = code } }
      #expect(found == expected, "\(path)")
    }
  }

  @Test func `names that begin alike are counted, and the least and the greatest found`() throws {
    let folder = temporaryPath()
    try Files.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for name in ["s.d-2", "s.d-1", "s.d-3", "s.x", "t.d-0"] {
      try Data().write(to: URL(fileURLWithPath: folder + "/" + name))
    }
    #expect(Files.paths(beginning: folder + "/s.d-") == (3, folder + "/s.d-1"))
    #expect(Files.paths(beginning: folder + "/s.d-", isGreatest: true) == (3, folder + "/s.d-3"))
    #expect(Files.paths(beginning: folder + "/none").count == 0)
    #expect(Files.parent(of: "/state") == "/" && Files.parent(of: "state") == nil)
  }

  @Test func `a mapped file that was removed is made anew with what it has, and goes on`() throws {
    let folder = temporaryPath()
    let path = folder + "/in/file"
    try Files.makeFolder(folder + "/in")
    do {
      var file = try MappedFile(path: path, limit: 1 << 20)
      try file.grow(to: 8192)
      file.base.storeBytes(of: 77, toByteOffset: 8000, as: UInt8.self)
      var states = [file.isThere]
      try FileManager.default.removeItem(atPath: folder)
      states.append(file.isThere)
      try file.makeAgain()
      states.append(file.isThere)
      #expect(states == [true, false, true])
      #expect(throws: MappedFile.Failure.self) { _ = try MappedFile(path: path, limit: 1 << 20) }
      try file.grow(to: 16_384)
      file.base.storeBytes(of: 78, toByteOffset: 16_000, as: UInt8.self)
    }
    var file = try MappedFile(path: path, limit: 1 << 20)
    #expect(file.size == 16_384)
    let found = [8000, 16_000].map { file.base.load(fromByteOffset: $0, as: UInt8.self) }
    #expect(found == [77, 78])
    // Another's file is left alone.
    try FileManager.default.removeItem(atPath: path)
    try Data([1]).write(to: URL(fileURLWithPath: path))
    var code: Errno?
    do throws(Errno) { try file.makeAgain() } catch { code = error }
    #expect(code == .exists)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data([1]))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/in") == ["file"])
    #expect(file.base.load(fromByteOffset: 8000, as: UInt8.self) == 77)
  }

  @Test func `datagrams come many at a time and a cut one is told`() throws {
    let path = temporaryPath()
    let receiver = try Socket.listenUnix(path: path, kind: .datagram, mode: 0o600)
    let sender = try Socket.connectUnix(path: path, kind: .datagram)
    for size in [3, 100, 64] {
      #expect(sender.send([UInt8](repeating: 65, count: size).span.bytes) == .bytes(size))
    }
    var datagrams = try Datagrams(maximumByteCount: 64)
    #expect(datagrams.receive(from: receiver.raw) == .bytes(3))
    #expect(datagrams.bytes(0).byteCount == 3)
    #expect((0..<3).map { datagrams.isTruncated($0) } == [false, true, false])
    #expect(datagrams.number == 1)
    #expect(datagrams.receive(from: receiver.raw) == .wouldBlock)
    datagrams.restore()
    #expect(datagrams.count == 0)
  }

  @Test func `what was received last is found again by its number and lengths`() throws {
    let path = temporaryPath()
    let receiver = try Socket.listenUnix(path: path, kind: .datagram, mode: 0o600)
    let sender = try Socket.connectUnix(path: path, kind: .datagram)
    var datagrams = try Datagrams(maximumByteCount: 64)
    for sizes in [[1, 2, 3], [0, 5]] {
      for size in sizes {
        #expect(sender.send([UInt8](repeating: 65, count: size).span.bytes) == .bytes(size))
      }
      #expect(datagrams.receive(from: receiver.raw, source: 7) == .bytes(sizes.count))
      datagrams.restore()
      #expect(datagrams.source == 7)
      #expect((0..<datagrams.count).map { datagrams.bytes($0).byteCount } == sizes)
    }
    #expect(datagrams.number == 2)
    #expect(datagrams.addShared(1, 3) == 3 && datagrams.shared(1) == 3 && datagrams.shared(0) == 0)
  }

  @Test func `a log line is the one that people know, or JSON`() {
    let moment: Int64 = 1_769_852_662
    #expect(
      Log().line(.info, "Running", unixSeconds: moment, processID: 1)
        == "[2026-01-31 09:44:22 +0000] [1] [INFO] Running\n")
    #expect(
      Log(format: .json).line(.error, "a \"b\"\n", unixSeconds: moment, processID: 1)
        == #"{"time":"2026-01-31T09:44:22Z","pid":1,"level":"error","message":"a \"b\"\n"}"# + "\n")
  }
}
