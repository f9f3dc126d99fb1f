import SidecarEvents
import Foundation
import SidecarFuzzSupport
import SidecarPlatform

@testable import MetricsSidecar

/// Two clients that send every kind of metric to the sidecar's own registry and state file, which
/// is killed, cut off and given other rules as the seed has it; then calm, and every kind must have
/// what was sent: sums and counts exactly once, a gauge its last value, a set its members.
final class KindSimulation {
  private var dice: Dice
  private let canary: Canary
  private let path: String
  private var registry: Registry!
  private var processor: LineProcessor!
  private var rules: [Rules]
  private var clients: [KindClient] = []
  private var model = KindModel()
  /// Who else is there; `nil` for nobody.
  private let neighbours: KindNeighbours?
  private(set) var faults = 0
  /// All series of those who behave well were there once.
  private var hasSettled = false
  /// The sidecar has closed a client that keeps to the protocol.
  private var failure: String?

  init(seed: UInt64, canary: Canary = .none, hasNeighbours: Bool = false) throws {
    var dice = Dice(seed)
    self.canary = canary
    path = NSTemporaryDirectory() + "kinds-\(UUID().uuidString.prefix(8))"
    neighbours = hasNeighbours ? KindNeighbours(path: path) : nil
    rules = [try Self.rules(help: "One"), try Self.rules(help: "Two")]
    for _ in 0..<2 {
      clients.append(KindClient(id: SessionID(high: dice.next(), low: dice.next())))
    }
    self.dice = dice
    try start()
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  private static func rules(help: String) throws -> Rules {
    let text = #"""
      {"families": [
        {"name": "done_total", "type": "counter", "help": "\#(help)",
         "events": [{"event": "done"}]},
        {"name": "level", "type": "gauge", "labels": ["who"], "events": [{"event": "level"}]},
        {"name": "wait_seconds", "type": "histogram", "buckets": [0.1, 1],
         "events": [{"event": "wait"}]},
        {"name": "size_bytes", "type": "histogram", "native": true, "events": [{"event": "size"}]},
        {"name": "query_seconds", "type": "summary", "window": "1h",
         "events": [{"event": "query"}]},
        {"name": "users", "type": "set", "window": "1h", "events": [{"event": "user"}]},
        {"name": "busy", "type": "gauge", "merge": "sum", "events": [{"event": "busy"}]}]}
      """#
    return try RuleFile.parse(Array(text.utf8))
  }

  /// Runs it; what went wrong, or `nil`.
  func run(steps: Int) throws -> String? {
    for _ in 0..<steps where failure == nil { try step() }
    for _ in 0..<1000
    where failure == nil && clients.contains(where: { !$0.frames.isEmpty }) {
      for index in clients.indices { try serve(index, byteCount: 1 << 20, isCalm: true) }
    }
    if let failure { return failure }
    if clients.contains(where: { !$0.frames.isEmpty }) { return "a client is not drained" }
    return model.difference(from: page)
  }

  /// What the neighbours did, by kind.
  var neighbourly: [Int] { neighbours?.done ?? [] }

  private func step() throws {
    if let neighbours, dice.chance(percent: 40) {
      let isSettled = model.isComplete && clients.allSatisfy { $0.frames.isEmpty }
      hasSettled = hasSettled || isSettled
      try neighbours.act(registry, processor, mayFlood: hasSettled, &dice)
      if dice.chance(percent: 30) { registry.commit() }
    }
    let index = dice.below(clients.count)
    switch dice.below(10) {
    case 0...3: clients[index].put(model.lines(client: index, &dice))
    case 4...8: try serve(index, byteCount: 1 + dice.below(400), isCalm: false)
    default:
      if dice.chance(percent: 30) { registry.reload(rules[dice.below(2)]) }
      if dice.chance(percent: 20) { cut(index) }
      if dice.chance(percent: 20) { try kill() }
    }
  }

  // MARK: The sidecar

  private func start() throws {
    var limits = Limits()
    limits.series = 100
    let state = try StateFile(try Self.open(path))
    registry = Registry(state: state, rules: rules[0], limits: limits)
    processor = LineProcessor(registry: registry, limits: limits)
    try neighbours?.start(registry)
  }

  /// Opens a file of which the last holder has gone. A program that a test beside this one starts
  /// may hold it for a moment, between its fork and its exec.
  static func open(_ path: String) throws -> MappedFile {
    for _ in 0..<2000 {
      do throws(MappedFile.Failure) {
        return try MappedFile(path: path, limit: 4 << 20)
      } catch {
        guard case .locked = error else { throw error }
        usleep(1000)
      }
    }
    return try MappedFile(path: path, limit: 4 << 20)
  }

  /// SIGKILL: what is not committed is gone, and so are all connections.
  private func kill() throws {
    faults += 1
    for index in clients.indices { clients[index].link = nil }
    processor = nil
    registry = nil
    neighbours?.stop()
    try start()
  }

  /// The connection breaks, with whatever is on its way.
  private func cut(_ index: Int) {
    guard let link = clients[index].link else { return }
    faults += 1
    registry.connectionEnded(link.owner)
    if link.slot != nil { registry.close(clients[index].id) }
    clients[index].link = nil
  }

  /// One turn: reads a piece, applies, commits, acknowledges. As `EventConnection` and `Sidecar`
  /// do.
  private func serve(_ index: Int, byteCount: Int, isCalm: Bool) throws {
    if clients[index].link == nil { clients[index].connect(owner: registry.owners.connect()) }
    guard let link = clients[index].link else { return }
    link.input.append(link.wire.prefix(byteCount).map { $0 })
    link.wire.removeFirst(min(byteCount, link.wire.count))
    let number = apply(link, clients[index].id)
    if canary == .acknowledgesBeforeCommit { acknowledge(link, number, index) }
    if !isCalm, dice.chance(percent: 3) { return try kill() }
    registry.commit()
    if !isCalm, dice.chance(percent: 3) { return try kill() }
    if canary == .positionOutsideCommit, let slot = link.slot {
      registry.state.store(slot.positionCell, number)
      registry.commit()
    }
    acknowledge(link, number, index)
  }

  /// Applies what is whole; the number of the last frame.
  private func apply(_ link: KindLink, _ id: SessionID) -> UInt64 {
    let state = registry.state
    var last = link.slot.map { state.value($0.positionCell) } ?? 0
    registry.owners.current = link.owner
    defer { registry.owners.current = 0 }
    while true {
      switch link.server.next(link.input.bytes, lastApplied: last) {
      case .needMore:
        link.input.removeFirst(link.server.takeConsumed())
        return last
      case .open(let named):
        precondition(named == id)
        link.slot = registry.sessions.open(id, now: Clock.unixNanoseconds, in: state)
        state.commit()
        link.owner = ClientOwners.number(session: id.high, id.low)
        registry.owners.insert(link.owner)
        registry.owners.current = link.owner
        last = state.value(link.slot!.positionCell)
        link.server.opened(lastApplied: last)
      case .apply(let start, let end, let number):
        processor.lines(link.input.bytes.extracting(0..<end), from: start, .events)
        last = number
        if canary != .positionOutsideCommit { state.store(link.slot!.positionCell, number) }
      case .close(let reason):
        failure = "closed for \(reason)"
        return last
      }
    }
  }

  private func acknowledge(_ link: KindLink, _ number: UInt64, _ index: Int) {
    link.server.committed(lastApplied: number)
    clients[index].received(link.server.output.bytes)
    link.server.output.removeAll()
  }

  private var page: [String: Double] {
    let snapshot = Snapshot(registry, filter: NameFilter())
    if let store = neighbours?.store {
      snapshot.pushed = FamilyConflicts(
        PushedFamilies(store, now: .now, format: .text004), registry)
    }
    let writer = ExpositionWriter(
      snapshot, shape: ExpositionShape(format: .text004), filter: NameFilter())
    var buffer = ByteBuffer()
    while !writer.write(into: &buffer, byteCount: 1 << 20) {}
    var values: [String: Double] = [:]
    for line in String(decoding: buffer.array, as: UTF8.self).split(separator: "\n")
    where !line.hasPrefix("#") {
      let space = line.lastIndex(of: " ")!
      values[String(line[..<space])] = Double(line[line.index(after: space)...])
    }
    return values
  }
}
