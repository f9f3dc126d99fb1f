import SidecarPlatform

/// The queue of passwords whose slow hash is not known yet. It works on one at a time, a little in
/// each turn of the loop; the next one is from the address, and then the name, that was served
/// longest ago.
///
/// What must stay true: guessing from one address delays the others by at most one hash, and uses
/// no more than that address's places.
struct PasswordLine {
  private struct Waiting {
    let number: Int
    let address: UInt64
    /// The hash of address and name.
    let client: UInt64
    let print: [UInt8]
    let hash: [UInt8]
    var work: SHA256.PBKDF2
  }

  private var waiting: [Waiting] = []
  /// The one being hashed; -1 for none.
  private var current = -1
  private var lastNumber = 0
  private var servedCount = 0
  /// When each address and each client was last served, as a sequence number.
  private var served: [UInt64: Int] = [:]

  private static let limit = 64
  private static let addressLimit = 4
  private static let clientLimit = 2
  private static let servedLimit = 1024
  /// Iterations between two looks at the clock: some tens of microseconds.
  private static let stepCount = 16

  var isEmpty: Bool { waiting.isEmpty }

  /// The number of an already waiting password.
  func find(_ print: [UInt8]) -> Int? { waiting.first { $0.print == print }?.number }

  private static func client(_ address: UInt64, _ name: [UInt8]) -> UInt64 {
    unsafe Digest.hash(name.span.bytes, seed: address) | 1
  }

  func hasRoom(from address: UInt64, _ name: [UInt8]) -> Bool {
    let client = Self.client(address, name)
    return waiting.count < Self.limit
      && waiting.count { $0.address == address } < Self.addressLimit
      && waiting.count { $0.client == client } < Self.clientLimit
  }

  /// Adds a password and returns its number.
  mutating func add(
    _ print: [UInt8], from address: UInt64, _ name: [UInt8], _ hash: [UInt8],
    _ work: SHA256.PBKDF2
  ) -> Int {
    lastNumber += 1
    waiting.append(
      Waiting(
        number: lastNumber, address: address, client: Self.client(address, name), print: print,
        hash: hash, work: work))
    return lastNumber
  }

  /// Works until `end`, in monotonic nanoseconds, or until one is done.
  mutating func goOn(until end: UInt64) -> (number: Int, print: [UInt8], isRight: Bool)? {
    if current < 0 { current = next() }
    guard current >= 0 else { return nil }
    while !waiting[current].work.goOn(Self.stepCount) {
      if Clock.monotonicNanoseconds >= end { return nil }
    }
    let done = waiting.remove(at: current)
    current = -1
    if served.count >= Self.servedLimit { served.removeAll() }
    servedCount += 1
    served[done.address] = servedCount
    served[done.client] = servedCount
    return (done.number, done.print, SHA256.isEqual(done.work.result, done.hash))
  }

  private func next() -> Int {
    var best = -1
    var least = (Int.max, Int.max, Int.max)
    for (index, each) in waiting.enumerated() {
      let place = (served[each.address] ?? 0, served[each.client] ?? 0, each.number)
      if place < least {
        least = place
        best = index
      }
    }
    return best
  }
}
