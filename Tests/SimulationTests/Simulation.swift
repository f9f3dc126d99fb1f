import SidecarFuzzSupport
import SidecarPlatform

@testable import SidecarEvents

/// Both programs in one thread with a clock of its own: requests, turns, cuts, delays, full sockets
/// and kills of either end as the seed has them; then calm, and the count must be right.
final class Simulation {
  private var random: Dice
  private let sidecar: SimulatedSidecar
  private var app: SimulatedApp
  private var links: [SimulatedLink] = []
  private var lives: [(life: Int, least: [UInt64], most: [UInt64])] = []
  private var now: UInt64 = 1
  private let cutChance: Double
  private let killSidecarChance: Double
  private let killAppChance: Double
  private let diskFullChance: Double
  private let capacity: Int
  private let window: Int
  private(set) var requests = 0
  private(set) var faults = 0
  /// Sessions for which a full disk had no room.
  private(set) var refused = 0

  init(seed: UInt64, canary: Canary = .none) {
    var random = Dice(seed)
    sidecar = SimulatedSidecar(canary: canary)
    cutChance = random.chance(percent: 50) ? Double(random.below(4)) : 0
    killSidecarChance = random.chance(percent: 70) ? Double(random.below(6)) : 0
    killAppChance = random.chance(percent: 50) ? Double(random.below(2)) : 0
    diskFullChance = random.chance(percent: 30) ? 2 : 0
    capacity = [50, 200, 2000, 100_000][random.below(4)]
    window = [300, 4000, 256 << 10][random.below(3)]
    app = SimulatedApp(
      life: 0, id: SessionID(high: random.next(), low: random.next()), windowByteCount: window)
    self.random = random
  }

  /// Runs it; what went wrong, or `nil`.
  func run(steps: Int) -> String? {
    for _ in 0..<steps {
      step()
      if let wrong = checkKept() { return wrong }
    }
    calm()
    return checkEnd()
  }

  private func step() {
    now += UInt64(random.below(3_000_000))
    switch random.below(10) {
    case 0...3: handleRequests()
    case 4...7: serve()
    case 8: if random.chance(percent: 20) { app.read(now, piece: 1 + random.below(20)) }
    default: if !sidecar.isUp, random.chance(percent: 30) { sidecar.start() }
    }
    if random.chance(percent: cutChance), let link = app.link { cut(link) }
    if sidecar.isUp, random.chance(percent: killSidecarChance) { killSidecar() }
    if random.chance(percent: killAppChance) { killApp() }
    if random.chance(percent: diskFullChance) { sidecar.isDiskFull.toggle() }
  }

  private func handleRequests() {
    for _ in 0..<(1 + random.below(8)) {
      app.request(random.below(3), nanoseconds: 1000 + random.next() % 10_000_000)
      requests += 1
    }
    app.turn(now: now, connect: connect)
  }

  private func connect() -> SimulatedLink? {
    guard sidecar.isUp else { return nil }
    links.append(SimulatedLink(life: app.life, capacity: capacity))
    return links.last
  }

  /// The sidecar reads a piece of one connection.
  private func serve() {
    guard sidecar.isUp, !links.isEmpty else { return }
    let link = links[random.below(links.count)]
    link.input.append(link.toServer.take(1 + random.below(3000)))
    let isOpen = sidecar.turn(link) {
      if random.chance(percent: killSidecarChance) { killSidecar() }
      return sidecar.isUp
    }
    guard sidecar.isUp else { return }
    // A session without room loses its connection; its client sends everything again. What a client
    // had handed over that is dead by now is lost, as it is when no sidecar is there.
    if link.isRefused {
      refused += 1
      for index in lives.indices where lives[index].life == link.life {
        lives[index].least = keptCounts(link.life)
      }
    }
    link.flushOutput()
    if !isOpen || (link.isClientGone && link.toServer.bytes.isEmpty) { close(link) }
  }

  private func close(_ link: SimulatedLink) {
    link.isServerGone = true
    links.removeAll { $0 === link }
  }

  /// The connection breaks: what was on the wires is lost, from anywhere in a frame on.
  private func cut(_ link: SimulatedLink) {
    faults += 1
    link.toServer.bytes = Array(link.toServer.bytes.prefix(random.below(100)))
    link.toClient.bytes = Array(link.toClient.bytes.prefix(random.below(20)))
    link.isServerGone = true
    app.hangUp(now)
  }

  private func killSidecar() {
    faults += 1
    sidecar.kill()
    // What a dead client had handed over and was not kept is lost with the sidecar.
    for index in lives.indices { lives[index].least = keptCounts(lives[index].life) }
    for link in links {
      link.isServerGone = true
      link.toServer.bytes = []
    }
    links = []
  }

  private func killApp() {
    faults += 1
    // A connection that is gone, or that has not been given all again, promises nothing.
    let isHandedOver = app.link.map { !$0.isServerGone && $0.hasEverything } ?? false
    lives.append(
      (app.life, isHandedOver ? app.answered : keptCounts(app.life), app.added))
    app.link?.isClientGone = true
    app = SimulatedApp(
      life: lives.count, id: SessionID(high: random.next(), low: random.next()),
      windowByteCount: window)
  }

  /// No more faults: both ends get all the time they want.
  private func calm() {
    if !sidecar.isUp { sidecar.start() }
    sidecar.isDiskFull = false
    for _ in 0..<100_000 {
      now += 20_000_000
      app.turn(now: now, connect: connect)
      for link in links {
        link.input.append(link.toServer.take(1 << 20))
        let isOpen = sidecar.turn(link) { true }
        link.flushOutput()
        if !isOpen || link.isClientGone { close(link) }
      }
      app.read(now)
      if app.session.isDrained, links.count <= 1 { return }
    }
  }

  private func keptCounts(_ life: Int) -> [UInt64] {
    ["root", "health", "bye"].map { UInt64(sidecar.kept.sums["\($0)#life:\(life)"] ?? 0) }
  }

  /// At every moment: never more than was sent.
  private func checkKept() -> String? {
    let counted = keptCounts(app.life)
    for (counted, added) in zip(counted, app.added) where counted > added {
      return "counted \(counted) of \(added) requests"
    }
    return nil
  }

  private func checkEnd() -> String? {
    guard app.session.isDrained else { return "the client is not drained" }
    let counted = keptCounts(app.life)
    if counted != app.added { return "counted \(counted) of \(app.added)" }
    for life in lives {
      for (counted, bounds) in zip(keptCounts(life.life), zip(life.least, life.most))
      where counted < bounds.0 || counted > bounds.1 {
        return "a killed App: answered \(bounds.0), counted \(counted), sent \(bounds.1)"
      }
    }
    let key = "latency#life:\(app.life)"
    let count = sidecar.kept.counts[key] ?? 0
    if count != Double(app.added.reduce(0, +)) { return "\(count) durations of \(app.added)" }
    let sum = Double(app.nanoseconds) / 1e9
    if abs((sidecar.kept.sums[key] ?? 0) - sum) > sum * 1e-6 { return "the durations' sum is off" }
    return nil
  }
}
