import Foundation
import SidecarPlatform
import Testing

@testable import SidecarHTTP

/// What a responder hears of answers that have arrived; its numbers are those of the requests.
@Suite(.serialized) struct ReceiptTests {
  private let later = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"

  @Test func `the receipt of an answer comes with the connection's next request`() throws {
    let server = try Running()
    server.responder.hasReceipts = true
    let peer = Peer(server.port)
    for _ in 0..<5 { #expect(peer.get() == 200) }
    #expect(server.stop())
    #expect(Array(server.responder.marks.prefix(4)) == [1, 2, 3, 4])
  }

  @Test func `where our side ends the connection, the receipt comes with the end of the other`()
    throws
  {
    let server = try Running()
    server.responder.hasReceipts = true
    let peer = Peer(server.port)
    peer.send("GET /health HTTP/1.0\r\n\r\n")
    #expect(peer.read()?.status == 200)
    shutdown(peer.socket, Int32(SHUT_RDWR))
    #expect(server.stop())
    #expect(server.responder.marks == [1])
  }

  @Test func `a later answer of several parts has one receipt, once all of it is taken`() throws {
    let server = try Running()
    server.responder.hasReceipts = true
    server.responder.recorder.bigByteCount = 8_000_000
    let peer = Peer(server.port)
    peer.send("GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    #expect(peer.read()?.utf8.count ?? 0 > 8_000_000)
    shutdown(peer.socket, Int32(SHUT_RDWR))
    #expect(server.stop())
    #expect(server.responder.marks == [1])
  }

  @Test(arguments: [false, true])
  func `an answer that is cut has none`(_ isReset: Bool) throws {
    let server = try Running()
    server.responder.hasReceipts = true
    server.responder.recorder.bigByteCount = 8_000_000
    let peer = Peer(server.port, receiveBuffer: 4096)
    peer.send(later)
    #expect(peer.read { $0.utf8.count > 1000 } != nil)
    var linger = Foundation.linger(l_onoff: 1, l_linger: 0)
    if isReset {
      setsockopt(
        peer.socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Foundation.linger>.size)
      )
      // The same descriptor, so that it is closed once.
      let other = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      dup2(other, peer.socket)
      close(other)
    } else {
      shutdown(peer.socket, Int32(SHUT_RDWR))
    }
    // It goes on for others.
    #expect(Peer(server.port).get() == 200)
    #expect(server.stop())
    #expect(!server.responder.marks.contains(1))
  }
}
