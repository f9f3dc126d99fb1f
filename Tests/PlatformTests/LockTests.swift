import Testing

@testable import SidecarPlatform

/// A number that only a lock keeps right.
private final class Sum: @unchecked Sendable {
  let lock = Lock()
  private var value = 0

  func add() { lock.holding { value += 1 } }
  var total: Int { lock.holding { value } }
}

@Test func `what several threads do under a lock is done one after the other`() throws {
  let sum = Sum()
  var threads: [UInt64] = []
  for _ in 0..<4 {
    threads.append(try Thread { for _ in 0..<10_000 { sum.add() } }.detachHandle())
  }
  for thread in threads { Thread.join(thread) }
  #expect(sum.total == 40_000)
}

@Test func `a call ends the sleep that comes after it, once`() throws {
  let wake = try Wake()
  wake()
  wake()
  #expect(wake.wait(watching: -1, wantsWritable: false, timeoutMilliseconds: -1).isCalled)
  #expect(!wake.wait(watching: -1, wantsWritable: false, timeoutMilliseconds: 0).isCalled)
}

@Test func `a call from another thread ends a sleep without end`() throws {
  let wake = try Wake()
  let caller = try Thread { wake() }
  #expect(wake.wait(watching: -1, wantsWritable: false, timeoutMilliseconds: -1).isCalled)
  caller.join()
}

@Test func `a connection that is gone, or takes bytes, ends a sleep`() throws {
  let wake = try Wake()
  var path = "@wake-"
  let (high, _) = try Process.randomIdentity()
  path += String(high, radix: 16)
  let listener = try Socket.listenUnix(path: path, kind: .stream, mode: 0o600)
  let client = try Socket.connectUnix(path: path, kind: .stream)
  do {
    let server = try Socket.accept(listener.raw)
    let idle = wake.wait(watching: client.raw, wantsWritable: false, timeoutMilliseconds: 0)
    #expect(idle.interest.isEmpty && !idle.isCalled)
    let ready = wake.wait(watching: client.raw, wantsWritable: true, timeoutMilliseconds: -1)
    #expect(ready.interest.contains(.writable))
    _ = server.raw
  }
  let gone = wake.wait(watching: client.raw, wantsWritable: false, timeoutMilliseconds: -1)
  #expect(gone.interest.contains(.hangup))
}
