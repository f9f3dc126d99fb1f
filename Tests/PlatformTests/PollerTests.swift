import Foundation
import Testing

@testable import SidecarPlatform

@Suite struct PollerTests {
  /// The data words of what is ready now.
  private func ready(_ poller: borrowing Poller) throws -> [UInt64] {
    try (0..<poller.wait(timeoutMilliseconds: 0)).map {
      let ready = poller.ready($0)
      return ready.interest.contains(.readable) ? ready.data : .max
    }.sorted()
  }

  @Test func `what epoll watches and what poll watches is told by one wait`() throws {
    let sockets = try [DatagramPair(), DatagramPair(), DatagramPair()]
    var poller = try Poller()
    try poller.add(sockets[0].receiver.raw, .readable, data: 10)
    try poller.addBusy(sockets[1].receiver.raw, data: 11)
    try poller.addBusy(sockets[2].receiver.raw, data: 12)
    #expect(try ready(poller) == [])
    sockets[2].send()
    #expect(try ready(poller) == [12])
    sockets[0].send()
    #expect(try ready(poller) == [10, 12])
    sockets[1].send()
    #expect(try ready(poller) == [10, 11, 12])
    try poller.modify(sockets[1].receiver.raw, .readable, data: 13)
    #expect(try ready(poller) == [10, 12, 13])
    poller.remove(sockets[2].receiver.raw)
    #expect(try ready(poller) == [10, 13])
    poller.remove(sockets[0].receiver.raw)
    poller.remove(sockets[1].receiver.raw)
    #expect(try ready(poller) == [])
  }

  @Test func `more busy descriptors than poll is given are told as well`() throws {
    let sockets = try (0..<40).map { _ in try DatagramPair() }
    var poller = try Poller()
    for (index, socket) in sockets.enumerated() {
      try poller.addBusy(socket.receiver.raw, data: UInt64(index))
      socket.send()
    }
    #expect(try ready(poller) == Array(0..<40))
    for socket in sockets { poller.remove(socket.receiver.raw) }
    #expect(try ready(poller) == [])
  }
}

/// A datagram socket, and one that sends to it.
private final class DatagramPair {
  let receiver: Descriptor
  private let sender: Descriptor

  init() throws {
    let path = NSTemporaryDirectory() + "poller-\(UUID().uuidString.prefix(8))"
    receiver = try Socket.listenUnix(path: path, kind: .datagram, mode: 0o600)
    sender = try Socket.connectUnix(path: path, kind: .datagram)
    try FileManager.default.removeItem(atPath: path)
  }

  func send() { _ = Socket.send(sender.raw, [120].span.bytes) }
}
