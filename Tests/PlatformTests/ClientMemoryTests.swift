import Testing

@testable import SidecarPlatform

/// Clients as a table of what each holds, and since when in milliseconds.
private final class Holder: ClientMemoryHolder {
  let memory: ClientMemory
  var clients: [(byteCount: Int, since: UInt64)] = []
  var closed: [Int] = []

  init(_ memory: ClientMemory, _ clients: [(Int, UInt64)]) {
    self.memory = memory
    self.clients = clients.map { ($0.0, $0.1 * 1_000_000) }
    for client in clients { memory.change(by: client.0) }
    memory.join(self)
  }

  private func heaviest(_ now: UInt64) -> (index: Int, weight: UInt64)? {
    clients.indices.map { index in
      let client = clients[index]
      return (
        index,
        client.byteCount == 0
          ? 0
          : ClientMemory.weight(byteCount: client.byteCount, since: client.since, now: now)
      )
    }.max { $0.1 < $1.1 }
  }

  func heaviestWeight(now: UInt64) -> UInt64 { heaviest(now)?.weight ?? 0 }

  func closeHeaviest(now: UInt64) {
    guard let index = heaviest(now)?.index else { return }
    memory.change(by: -clients[index].byteCount)
    clients[index].byteCount = 0
    closed.append(index)
  }
}

@Suite struct ClientMemoryTests {
  @Test func `whoever held most for longest goes first, whichever way it came in`() {
    let memory = ClientMemory(limit: 100)
    let first = Holder(memory, [(60, 900), (50, 0)])
    let second = Holder(memory, [(30, 0), (20, 500)])
    memory.makeRoom(now: 1_000_000_000)
    #expect(first.closed == [1])
    #expect(second.closed == [0])
    #expect(memory.byteCount == 80)
    memory.leave()
  }

  @Test func `bytes that still move outweigh none that stand`() {
    let memory = ClientMemory(limit: 1000)
    let holder = Holder(memory, [(10, 900), (990, 1_300), (10, 899)])
    memory.makeRoom(now: 1_899_999_999)
    #expect(holder.closed == [2])
    memory.change(by: 20)
    memory.makeRoom(now: 1_899_999_999)
    #expect(holder.closed == [2, 1])
    memory.leave()
  }

  @Test func `within the limit nobody is closed, and without clients it ends`() {
    let memory = ClientMemory(limit: 100)
    let holder = Holder(memory, [(100, 0)])
    memory.makeRoom(now: 1)
    #expect(holder.closed == [])
    memory.change(by: 1000)
    memory.makeRoom(now: 1)
    #expect(holder.closed == [0])
    #expect(memory.byteCount == 1000)
    memory.leave()
  }

  @Test func `an exposition larger than the limit has room twice`() {
    let memory = ClientMemory(limit: 100)
    memory.leastByteCount = 400
    memory.change(by: 400)
    #expect(!memory.isExceeded)
    memory.change(by: 1)
    #expect(memory.isExceeded)
  }
}
