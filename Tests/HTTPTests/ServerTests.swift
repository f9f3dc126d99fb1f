import Foundation
import SidecarPlatform
import Testing

@testable import SidecarHTTP

@Suite(.serialized) struct ServerTests {
  @Test func `a connection is used again and again`() throws {
    let server = try Running()
    let peer = Peer(server.port)
    for _ in 0..<100 { #expect(peer.get() == 200) }
    #expect(server.stop())
    #expect(server.responder.recorder.answers.count == 100)
  }

  @Test func `a paused listener that is forgotten stays forgotten`() throws {
    let server = try Server(
      listener: try Socket.listenTCP(host: "127.0.0.1", port: 0), limits: HTTPLimits(),
      responder: Loop())
    let other = try Socket.listenTCP(host: "127.0.0.1", port: 0)
    try server.watch(other.raw, .readable, token: 1)
    server.pause(other.raw, token: 1)
    #expect(server.paused.count == 1)
    // Its number may be a client's by the time that listeners are looked at again.
    server.unwatch(other.raw)
    #expect(server.paused.isEmpty)
  }

  @Test func `300 half-open connections change nothing for the next one`() throws {
    let server = try Running()
    let halves = (0..<300).map { _ in Peer(server.port) }
    for half in halves { half.send("GET /health HTTP/1.1\r\nHo") }
    let start = Date()
    #expect(Peer(server.port).get() == 200)
    #expect(Date().timeIntervalSince(start) < 5)
    for half in halves { half.send("st: a\r\n\r\n") }
    #expect(halves.allSatisfy { $0.read { $0.hasSuffix("}") }?.status == 200 })
    #expect(server.stop())
  }

  @Test func `at the limit the connection idle longest makes room`() throws {
    let server = try Running { $0.connections = 4 }
    let peers = (0..<4).map { _ in Peer(server.port) }
    for peer in peers { #expect(peer.get() == 200) }
    #expect(Peer(server.port).get() == 200)
    #expect(peers[0].read() == "")
    #expect(peers[1].get() == 200)
    #expect(server.stop())
    #expect(server.closed.evicted == 1 && server.closed.refused == 0)
  }

  @Test func `at the limit who has sent a request is answered before it makes room`() throws {
    let server = try Running { $0.connections = 1 }
    for _ in 0..<200 {
      let first = Peer(server.port)
      first.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
      // It may be taken in the same turn, before anybody has read the request.
      let second = Peer(server.port)
      #expect(first.read { $0.hasSuffix("}") }?.status == 200)
      shutdown(first.socket, Int32(SHUT_RDWR))
      shutdown(second.socket, Int32(SHUT_RDWR))
    }
    #expect(server.stop())
  }

  @Test func `at the limit only probes are answered where nobody can make room`() throws {
    let server = try Running { $0.connections = 1 }
    server.responder.waitsForStop = true
    server.responder.recorder.bigByteCount = 0
    let waiting = Peer(server.port)
    waiting.send(
      "GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n")
    // Both were read at once; one whose request waits for its answer keeps its place.
    #expect(waiting.read { $0.hasSuffix("}") }?.status == 200)
    let other = Peer(server.port)
    other.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(other.read()?.status == 503)
    // Silent ones in the places for probes do not keep them.
    let silent = (0..<10).map { _ in Peer(server.port) }
    for _ in 0..<10 {
      let probe = Peer(server.port)
      probe.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
      let answer = probe.read()
      #expect(answer?.status == 200)
      #expect(answer?.contains("Connection: close\r\n") == true)
    }
    for peer in silent { shutdown(peer.socket, Int32(SHUT_RDWR)) }
    #expect(server.stop())
    #expect(server.closed.refused == 1)
  }

  @Test func `unfinished heads at the limit hold up nobody`() throws {
    let server = try Running { $0.connections = 4 }
    let halves = (0..<20).map { _ in Peer(server.port) }
    for half in halves { half.send("GET / HT") }
    #expect(Peer(server.port).get() == 200)
    for half in halves { shutdown(half.socket, Int32(SHUT_RDWR)) }
    #expect(server.stop())
  }

  @Test func `unfinished bodies at the limit hold up nobody`() throws {
    let server = try Running { $0.connections = 4 }
    let halves = (0..<20).map { _ in Peer(server.port) }
    for half in halves {
      half.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
    }
    #expect(Peer(server.port).get() == 200)
    for half in halves { shutdown(half.socket, Int32(SHUT_RDWR)) }
    #expect(server.stop())
    #expect(server.closed.evicted >= 17 && server.closed.refused == 0)
  }

  @Test func `chunks of a byte each from many clients stay within the memory of all`() throws {
    let server = try Running(memory: 1 << 20)
    let peers = (0..<40).map { _ in Peer(server.port) }
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    for peer in peers { peer.send(head + "Transfer-Encoding: chunked\r\n\r\n") }
    let chunks = String(repeating: "1\r\nA\r\n", count: 10_000)
    for _ in 0..<8 {
      for peer in peers { peer.send(chunks) }
      #expect(server.servesNewcomers)
    }
    // 40 bodies of 80,000 bytes have no room; those that stay are read to their end.
    var finished = 0
    for peer in peers {
      peer.send("0\r\n\r\n")
      if peer.read()?.body.utf8.count == 80_000 { finished += 1 }
    }
    #expect(finished > 3 && finished < 40)
    #expect(server.stop())
    #expect(Int(server.closed.memory) == 40 - finished)
    #expect(server.memoryByteCount == 0)
  }

  @Test func `answers that nobody reads stay within the memory of all`() throws {
    let server = try Running(memory: 4 << 20)
    server.responder.recorder.bigByteCount = 1_000_000
    let stuck = (0..<20).map { _ in Peer(server.port, receiveBuffer: 4096) }
    for peer in stuck { peer.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n") }
    for _ in 0..<20 { #expect(server.servesNewcomers) }
    for peer in stuck { shutdown(peer.socket, Int32(SHUT_RDWR)) }
    #expect(server.stop())
    #expect(server.memoryByteCount == 0)
  }

  @Test func `a request that takes its share of a turn lets others come between`() throws {
    // Each request is a visit of its own.
    let server = try Running {
      $0.turnNanoseconds = 0
      $0.visitNanoseconds = 0
    }
    server.responder.recorder.bigByteCount = 10
    let greedy = Peer(server.port)
    let request = "GET /big HTTP/1.1\r\nHost: a\r\n"
    greedy.send(
      String(repeating: request + "\r\n", count: 1499) + request + "Connection: close\r\n\r\n")
    let other = Peer(server.port)
    #expect(other.get() == 200)
    #expect(greedy.read() != nil)
    #expect(server.stop())
    let routes = server.responder.recorder.answers.map(\.route)
    #expect(routes.count == 1501)
    let place = try #require(routes.firstIndex(of: 1))
    #expect(place < 1400)
  }

  @Test func `a slow request is told so and a silent client is closed`() throws {
    let server = try Running { $0.headMilliseconds = 300 }
    let silent = Peer(server.port)
    let slow = Peer(server.port)
    slow.send("GET / HT")
    #expect(slow.read()?.status == 408)
    #expect(silent.read() == "")
    #expect(server.stop())
    #expect(server.closed.slow == 1)
  }

  @Test func `an idle connection is closed`() throws {
    let server = try Running { $0.idleMilliseconds = 300 }
    let peer = Peer(server.port)
    #expect(peer.get() == 200)
    #expect(peer.read() == "")
    #expect(server.stop())
  }

  @Test func `a refused client sees why, whatever it still sends`() throws {
    let server = try Running()
    let peer = Peer(server.port)
    peer.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n"
        + String(repeating: "x", count: 300_000))
    #expect(peer.read()?.status == 413)
    #expect(server.stop())
  }

  @Test func `a slow reader gets all of it, and holds up nobody`() throws {
    let server = try Running()
    server.responder.recorder.bigByteCount = 8_000_000
    let slow = Peer(server.port, receiveBuffer: 8192)
    slow.send("GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    for _ in 0..<10 { #expect(Peer(server.port).get() == 200) }
    #expect(slow.read()?.body.utf8.count == 8_000_000)
    #expect(server.stop())
  }

  @Test func `a reader that takes nothing is closed`() throws {
    let server = try Running {
      $0.writeMilliseconds = 300
      $0.connections = 1
    }
    server.responder.recorder.bigByteCount = 16_000_000
    let stuck = Peer(server.port, receiveBuffer: 4096)
    stuck.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
    // Its answer has begun; nobody else has room until it is closed.
    #expect(stuck.read { !$0.isEmpty } != nil)
    var tries = 0
    while Peer(server.port).get("/") != 200 {
      tries += 1
      try #require(tries < 3000)
      usleep(10_000)
    }
    #expect((stuck.read()?.utf8.count ?? 0) < 16_000_000)
    #expect(server.stop())
    // Where a page takes seconds to write, two have passed when the next one comes.
    #expect(server.closed.slow + server.closed.evicted == 1)
  }

  @Test func `a deep pipeline is answered whole`() throws {
    let server = try Running()
    let peer = Peer(server.port)
    let count = 20_000
    let writer = Foundation.Thread {
      peer.send(
        String(repeating: "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", count: count)
          + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    }
    writer.start()
    let text = try #require(peer.read())
    #expect(text.hasSuffix(#"{"message":"Hello"}"#))
    #expect(server.stop())
    #expect(server.responder.recorder.answers.count == count + 1)
  }

  @Test func `a client that closes its side gets all its answers`() throws {
    let server = try Running()
    let peer = Peer(server.port)
    let writer = Foundation.Thread {
      peer.send(String(repeating: "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", count: 20_000))
      shutdown(peer.socket, Int32(SHUT_WR))
    }
    writer.start()
    let text = try #require(peer.read())
    #expect(text.utf8.count % 20_000 == 0)
    #expect(text.hasSuffix("}"))
    #expect(server.stop())
    #expect(server.responder.recorder.answers.count == 20_000)
  }

  @Test func `a stop closes what is idle and finishes what has begun`() throws {
    let server = try Running()
    let idle = Peer(server.port)
    #expect(idle.get() == 200)
    let begun = Peer(server.port)
    begun.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh")
    usleep(100_000)
    server.responder.wake.fileHandleForWriting.write(Data([1]))
    #expect(idle.read() == "")
    begun.send("i")
    let text = begun.read()
    #expect(text?.status == 200)
    #expect(text?.contains("Connection: close\r\n") == true)
    #expect(server.stop())
  }

  @Test func `a stop does not wait for ever`() throws {
    let server = try Running { $0.stopMilliseconds = 300 }
    let begun = Peer(server.port)
    begun.send("GET / HT")
    usleep(100_000)
    #expect(server.stop())
  }

  @Test func `the client of the healthcheck reads the status`() throws {
    let server = try Running()
    let address = NetworkAddress(host: "127.0.0.1", port: server.port)
    #expect(try Client.status(of: "/health", at: address, timeoutMilliseconds: 2000) == 200)
    #expect(try Client.status(of: "/none", at: address, timeoutMilliseconds: 2000) == 404)
    #expect(server.stop())
  }

  @Test func `an answer that comes later keeps its place among those of its connection`() throws {
    let server = try Running()
    let peer = Peer(server.port)
    peer.send(
      "GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n"
        + "HEAD /later HTTP/1.1\r\nHost: a\r\n\r\n"
        + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    let text = try #require(peer.read())
    let parts = text.components(separatedBy: "HTTP/1.1 200 OK\r\n").dropFirst()
    #expect(parts.count == 4)
    #expect(
      parts.map { $0.components(separatedBy: "\r\n\r\n").last?.count ?? -1 }
        == [16, 1_000_000, 0, 19])
    #expect(server.stop())
    #expect(server.responder.recorder.answers.count == 4)
  }

  @Test func `one body answers many who wait, while others are served`() throws {
    let server = try Running { $0.idleMilliseconds = 60_000 }
    server.responder.delay = 2000
    let peers = (0..<8).map { _ in Peer(server.port) }
    for peer in peers {
      peer.send("GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    }
    #expect(Peer(server.port).get() == 200)
    for peer in peers { #expect(peer.read()?.body.utf8.count == 1_000_000) }
    #expect(server.stop())
  }

  @Test func `who leaves before the answer harms nobody`() throws {
    let server = try Running()
    server.responder.delay = 3000
    for _ in 0..<5 {
      let gone = Peer(server.port)
      gone.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
    }
    let half = Peer(server.port)
    half.send("GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    shutdown(half.socket, Int32(SHUT_WR))
    #expect(half.read()?.body.utf8.count == 1_000_000)
    #expect(Peer(server.port).get() == 200)
    #expect(server.stop())
  }

  @Test func `a stop waits for an answer that comes later`() throws {
    let server = try Running()
    server.responder.waitsForStop = true
    let peer = Peer(server.port)
    peer.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(Peer(server.port).get() == 200)
    server.responder.wake.fileHandleForWriting.write(Data([1]))
    // Read before the server has ended: the kernel need not hold all of it.
    let text = try #require(peer.read())
    #expect(text.contains("Connection: close\r\n"))
    #expect(text.body.utf8.count == 1_000_000)
    #expect(server.stop())
  }

  @Test func `an answer begun before the stop is finished and its connection closed`() throws {
    let server = try Running { $0.stopMilliseconds = 120_000 }
    server.responder.recorder.bigByteCount = 16_000_000
    let peer = Peer(server.port, receiveBuffer: 4096)
    peer.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
    let head = try #require(peer.read { $0.contains("\r\n\r\n") })
    #expect(!head.contains("Connection: close\r\n"))
    server.responder.wake.fileHandleForWriting.write(Data([1]))
    let rest = try #require(peer.read())
    #expect((head + rest).body.utf8.count == 16_000_000)
    #expect(server.stop())
  }

  @Test func `a slow reader gets all of a body in pieces`() throws {
    let server = try Running()
    server.responder.recorder.bigByteCount = 8_000_000
    let slow = Peer(server.port, receiveBuffer: 4096)
    slow.send("GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    for _ in 0..<20 { #expect(Peer(server.port).get() == 200) }
    #expect(slow.read()?.body.utf8.count == 8_000_000)
    #expect(server.stop())
  }

  @Test func `bodies that nobody takes make room for the next one, shared ones as one`() throws {
    let server = try Running { $0.unsentBodyByteCount = 1 }
    server.responder.recorder.bigByteCount = 16_000_000
    func ask(_ count: Int) throws -> [Peer] {
      let peers = (0..<count).map { _ in Peer(server.port, receiveBuffer: 4096) }
      for peer in peers {
        peer.send("GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      }
      for peer in peers { _ = try #require(peer.read { !$0.isEmpty }) }
      return peers
    }
    // Two bodies of that size may be held; each further one closes the client idle longest.
    let first = try ask(1)
    let second = try ask(1)
    let third = try ask(1)
    #expect((first[0].read()?.utf8.count ?? 0) < 16_000_000)
    for peer in second + third { #expect((peer.read()?.utf8.count ?? 0) > 15_990_000) }
    #expect(server.stop())
    #expect(server.closed.slow == 1)
    #expect(server.memoryByteCount == 0)
  }
}
