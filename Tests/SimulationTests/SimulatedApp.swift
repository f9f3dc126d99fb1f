import SidecarPlatform

@testable import SidecarEvents

/// One life of the App: the shipping `EventSession` with simulated wires in the socket's place. Its
/// turn is `SessionSocket.flush` line for line.
final class SimulatedApp {
  var session: EventSession<PendingEvents>
  let life: Int
  var link: SimulatedLink?
  private let endpoints: [Int]
  private let latency: Int
  /// Requests made, by endpoint, and those that were answered: handed over with the sidecar up.
  private(set) var added = [UInt64](repeating: 0, count: 3)
  private(set) var answered = [UInt64](repeating: 0, count: 3)
  private(set) var nanoseconds: UInt64 = 0

  init(life: Int, id: SessionID, windowByteCount: Int) {
    self.life = life
    session = EventSession(
      id: id, windowByteCount: windowByteCount, pending: PendingEvents())
    let life = "life:\(life)"
    let names = ["root", "health", "bye"]
    var indexes: [Int] = []
    for name in names {
      indexes.append(session.pending.register(name, life, isTiming: false))
    }
    endpoints = indexes
    latency = session.pending.register("latency", life, isTiming: true)
  }

  func request(_ endpoint: Int, nanoseconds: UInt64) {
    session.pending.add(endpoints[endpoint], 1)
    session.pending.observe(latency, nanoseconds)
    added[endpoint] += 1
    self.nanoseconds += nanoseconds
  }

  /// The end of a turn; `connect` gives a new link if the sidecar listens.
  func turn(now: UInt64, connect: () -> SimulatedLink?) {
    if link == nil {
      guard session.shouldConnect, now >= session.nextAttempt else { return }
      link = connect()
      if link == nil { session.disconnected(now: now) } else { session.connected() }
    }
    guard link != nil else { return }
    if link!.toServer.room > 0 { session.setBlocked(false) }
    guard !session.isBlocked else { return }
    if session.wantsAcknowledgements { read(now) }
    session.fill()
    send(now)
    // All that was counted is with the kernel: the requests may be answered.
    if let link, session.pending.isEmpty, session.unsent.byteCount == 0 {
      answered = added
      link.hasEverything = true
    }
  }

  private func send(_ now: UInt64) {
    while let link, session.unsent.byteCount > 0 {
      if link.isServerGone {
        read(now)
        if self.link != nil { hangUp(now) }
        return
      }
      let count = min(link.toServer.room, session.unsent.byteCount)
      if count == 0 { return session.setBlocked(true) }
      for index in 0..<count { link.toServer.bytes.append(session.unsent.at(index)) }
      session.sent(count)
    }
  }

  func read(_ now: UInt64, piece: Int = 4096) {
    session.didRead()
    while let link {
      let bytes = link.toClient.take(piece)
      if bytes.isEmpty {
        if link.isServerGone { hangUp(now) }
        return
      }
      if !session.received(bytes.span.bytes, now: now) { hangUp(now) }
    }
  }

  func hangUp(_ now: UInt64) {
    link?.isClientGone = true
    link = nil
    session.disconnected(now: now)
  }
}
