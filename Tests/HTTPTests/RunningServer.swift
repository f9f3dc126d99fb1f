import Foundation
import SidecarPlatform

@testable import SidecarHTTP

/// A server on a free port with a thread of its own; a pipe wakes it up to stop.
final class Running: @unchecked Sendable {
  // Owned by the server's thread while it runs; the test reads it after `stop` has joined.
  let responder = Loop()
  let port: UInt16
  private let thread: Foundation.Thread
  private let done = DispatchSemaphore(value: 0)

  init(memory: Int = 64 << 20, _ change: (inout HTTPLimits) -> Void = { _ in }) throws {
    var limits = HTTPLimits()
    change(&limits)
    let listener = try Socket.listenTCP(host: "127.0.0.1", port: 0)
    let server = try Server(
      listener: listener, limits: limits, responder: responder, memory: ClientMemory(limit: memory))
    port = server.port
    responder.server = server
    try server.watch(responder.wake.fileHandleForReading.fileDescriptor, .readable, token: 7)
    nonisolated(unsafe) let running = server
    let done = done
    thread = Foundation.Thread {
      running.run()
      done.signal()
    }
    thread.start()
  }

  /// What its server has counted, once it has stopped.
  var closed: ClosedConnections { responder.server?.closed ?? ClosedConnections() }

  /// What clients still hold by its books, once it has stopped.
  var memoryByteCount: Int { responder.server?.memory.byteCount ?? -1 }

  /// Whether a newcomer is answered while others hold all the memory. With a sanitizer a turn is so
  /// long that a newcomer may weigh most for a moment; it comes again then.
  var servesNewcomers: Bool { (0..<3).contains { _ in Peer(port).get() == 200 } }

  /// Stops gracefully; whether it ended in time.
  func stop(seconds: Double = 30) -> Bool {
    responder.wake.fileHandleForWriting.write(Data([1]))
    return done.wait(timeout: .now() + seconds) == .success
  }
}

/// Answers `/later` some turns later, everything else at once.
final class Loop: Responder {
  let recorder = Recorder()
  var tickets: [Ticket] = []
  var turns = 0
  /// Turns until the tickets are answered.
  var delay = 5
  /// Whether they are answered only after a call of `stop`.
  var waitsForStop = false
  private var isStopped = false
  let wake = Pipe()
  /// Whether each answer has a receipt: its number, 1, 2 …; and those that have come.
  var hasReceipts = false
  var marks: [UInt64] = []
  private var answerCount: UInt64 = 0
  var server: Server<Loop>?

  func respond(
    to request: Request, head: RawSpan, body: RawSpan, into response: inout ResponseWriter
  ) {
    if head.extracting(request.path).isEqual(to: "/later") {
      tickets.append(response.postpone())
      turns = 0
      return
    }
    recorder.respond(to: request, head: head, body: body, into: &response)
    response.receipt = nextReceipt()
  }

  private func nextReceipt() -> Receipt? {
    guard hasReceipts else { return nil }
    answerCount += 1
    return Receipt(reader: 9, mark: answerCount)
  }

  func received(_ receipt: Receipt) { marks.append(receipt.mark) }

  func isProbe(_ request: Request, head: RawSpan) -> Bool { recorder.isProbe(request, head: head) }
  func bodyLimit(of request: Request, head: RawSpan) -> Int {
    recorder.bodyLimit(of: request, head: head)
  }

  func nextDeadline() -> UInt64 { tickets.isEmpty ? .max : 0 }

  func deadlineReached(now: UInt64) {
    turns += 1
    guard turns > delay, isStopped || !waitsForStop else { return }
    let body = ResponseBody()
    for _ in 0..<recorder.bigByteCount / 100_000 {
      var piece = ByteBuffer()
      for _ in 0..<100_000 { piece.append(0x78 as UInt8) }
      body.append(piece)
    }
    let waiting = tickets
    tickets = []
    for ticket in waiting {
      server?.answer(
        ticket, PostponedHead(status: 200, contentType: Array("text/plain".utf8)), body,
        receipt: nextReceipt(), now: now)
    }
  }

  func answered(_ answer: Answer) { recorder.answered(answer) }

  func ready(_ token: UInt32, _ interest: Poller.Interest, now: UInt64) {
    server?.unwatch(wake.fileHandleForReading.fileDescriptor)
    server?.stop(now: now)
    isStopped = true
    turns = 0
  }
}

/// A client that blocks, with a limit. Its descriptor never changes, so threads may share it.
final class Peer: @unchecked Sendable {
  let socket: Int32

  init(_ port: UInt16, receiveBuffer: Int32 = 0) {
    socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var size = receiveBuffer
    if size > 0 {
      setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    var limit = timeval(tv_sec: 150, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    _ = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  deinit { close(socket) }

  func send(_ text: String) {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Foundation.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { return }
      sent += count
    }
  }

  /// Reads until `enough` says so or the server closes; `nil` if neither happens in time.
  func read(until enough: (String) -> Bool = { _ in false }) -> String? {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(socket, &chunk, chunk.count, 0)
      if count < 0 { return nil }
      if count == 0 { return String(decoding: all, as: UTF8.self) }
      all += chunk[..<count]
      if all.count < 1 << 16, enough(String(decoding: all, as: UTF8.self)) {
        return String(decoding: all, as: UTF8.self)
      }
    }
  }

  func get(_ path: String = "/health") -> Int? {
    send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
    return read { $0.hasSuffix("}") }?.status
  }
}
